"""Moves a Kafka topic of Arrow IPC messages into a Delta table of zstd Parquet with Spark Structured Streaming, and prints the rows and the CPU
seconds of the query alone, without starting Spark: arguments are the broker, the topic, a folder, the jars, by comma, and the columns as DDL."""

import json
import os
import sys

import pyarrow as pa
from pyspark.sql import SparkSession

broker, topic, folder, jars, columns = sys.argv[1:]


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
                yield batch.cast(pa.schema([pa.field(f.name, plain(f.type)) for f in batch.schema]))


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
    .getOrCreate()
)
start = cpu_seconds()
query = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", broker)
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .load()
    .select("value")
    .mapInArrow(decode, columns)
    .writeStream.format("delta")
    .option("checkpointLocation", f"{folder}/checkpoint")
    .trigger(availableNow=True)
    .start(f"{folder}/table")
)
query.awaitTermination()
cpu = cpu_seconds() - start
print(json.dumps({"cpu_seconds": cpu, "rows": spark.read.format("delta").load(f"{folder}/table").count()}))
