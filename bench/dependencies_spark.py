"""Adds up a Kafka topic of Arrow IPC messages by minute and conversation with Spark Structured Streaming into a Delta table, and prints the rows of
the minutes that closed and the CPU seconds of the query alone, without starting Spark: arguments are the broker, the topic, a folder, the jars, by
comma, the columns as DDL, and for how many minutes one waits for late rows."""

import json
import os
import sys

import pyarrow as pa
from pyspark.sql import SparkSession, functions as f

broker, topic, folder, jars, columns, lateness_minutes = sys.argv[1:]

KEYS = ["network_transport", "client_ip", "server_ip", "server_port"]
SUMS = ["bytes_sent", "bytes_received", "segments_sent", "segments_received", "retransmits"]
SUMS += ["connections_opened", "connections_closed", "connections_failed_refused", "srtt_us_sum", "srtt_samples"]
NEEDED = ["window_start", "client_service_name", "server_service_name", *KEYS, *SUMS]
DECLARED = [column for column in columns.split(", ") if column.split(" ")[0] in NEEDED]
ORDER = [column.split(" ")[0] for column in DECLARED]
MESSAGES_A_BATCH = 250


def cpu_seconds():
    """User and system time of this process and of all that it has started, from proc(5)'s stat."""
    parents, ticks = {}, {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(name)] = int(fields[1])
        ticks[int(name)] = sum(int(field) for field in fields[11:15])
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own and pid not in own}:
        own |= more
    return sum(ticks.get(pid, 0) for pid in own) / os.sysconf("SC_CLK_TCK")


def decode(batches):
    """Rows of the messages, by PyArrow in Spark's Python worker: what reads these messages fastest there."""
    for messages in batches:
        for value in messages.column(0):
            for batch in pa.ipc.open_stream(value.as_buffer()):
                needed = batch.select(ORDER)
                yield needed.cast(pa.schema([pa.field(each.name, plain(each.type)) for each in needed.schema]))


def plain(kind):
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_type)
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", jars)
    .config("spark.driver.memory", "3g")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.parquet.compression.codec", "zstd")
    .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
start = cpu_seconds()
query = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", broker)
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", MESSAGES_A_BATCH)
    .load()
    .select("value")
    .mapInArrow(decode, ", ".join(DECLARED))
    .withWatermark("window_start", f"{lateness_minutes} minutes")
    .groupBy(f.window("window_start", "1 minute"), *KEYS)
    .agg(
        f.max("client_service_name").alias("client_service_name"),
        f.max("server_service_name").alias("server_service_name"),
        f.count("*").alias("flow_rows"),
        *[f.sum(name).alias(name) for name in SUMS],
    )
    .select(f.col("window.start").alias("window_start"), "flow_rows", *KEYS, "client_service_name", "server_service_name", *SUMS)
    .writeStream.format("delta")
    .option("checkpointLocation", f"{folder}/checkpoint")
    .trigger(availableNow=True)
    .start(f"{folder}/table")
)
query.awaitTermination()
cpu = cpu_seconds() - start
print(json.dumps({"cpu_seconds": cpu, "rows": spark.read.format("delta").load(f"{folder}/table").agg(f.sum("flow_rows")).first()[0]}))
