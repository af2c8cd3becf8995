"""A Kafka topic of Arrow IPC messages read with Spark Structured Streaming into a Delta table of zstd Parquet, and what that costs."""

import os

import pyarrow as pa
from pyspark.sql import SparkSession


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


def rows_of(frame, declared):
    """Rows of the messages, of these columns as DDL, by PyArrow in Spark's Python worker: what reads these messages fastest there."""
    names = [column.split(" ")[0] for column in declared]

    def decode(batches):
        for messages in batches:
            for value in messages.column(0):
                for batch in pa.ipc.open_stream(value.as_buffer()):
                    needed = batch.select(names)
                    yield needed.cast(pa.schema([pa.field(each.name, plain(each.type)) for each in needed.schema]))

    return frame.mapInArrow(decode, ", ".join(declared))


def plain(kind):
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_type)
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


def session(jars, settings=()):
    builder = (
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
    )
    for name, value in settings:
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.addPyFile(__file__)  # the workers run decode()
    return spark


def messages_of(spark, broker, topic, options=()):
    reader = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", broker)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
    )
    for name, value in options:
        reader = reader.option(name, value)
    return reader.load().select("value")


def write(frame, folder):
    """Writes all that there is into a table, and returns it."""
    query = (
        frame.writeStream.format("delta")
        .option("checkpointLocation", f"{folder}/checkpoint")
        .trigger(availableNow=True)
        .start(f"{folder}/table")
    )
    query.awaitTermination()
    return frame.sparkSession.read.format("delta").load(f"{folder}/table")
