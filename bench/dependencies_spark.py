"""Adds up a Kafka topic of Arrow IPC messages by minute and conversation with Spark Structured Streaming into a Delta table, and prints the rows of
the minutes that closed and the CPU seconds of the query alone, without starting Spark: arguments are the broker, the topic, a folder, the jars, by
comma, the columns as DDL, and for how many minutes one waits for late rows."""

import json
import sys

from pyspark.sql import functions as f
from spark_stream import cpu_seconds, messages_of, rows_of, session, write

broker, topic, folder, jars, columns, lateness_minutes = sys.argv[1:]

KEYS = ["network_transport", "client_ip", "server_ip", "server_port"]
SUMS = ["bytes_sent", "bytes_received", "segments_sent", "segments_received", "retransmits"]
SUMS += ["connections_opened", "connections_closed", "connections_failed_refused", "srtt_us_sum", "srtt_samples"]
NEEDED = ["window_start", "client_service_name", "server_service_name", *KEYS, *SUMS]
DECLARED = [column for column in columns.split(", ") if column.split(" ")[0] in NEEDED]
MESSAGES_A_BATCH = 250

spark = session(jars, [("spark.sql.shuffle.partitions", "2")])
start = cpu_seconds()
sums = (
    rows_of(messages_of(spark, broker, topic, [("maxOffsetsPerTrigger", MESSAGES_A_BATCH)]), DECLARED)
    .withWatermark("window_start", f"{lateness_minutes} minutes")
    .groupBy(f.window("window_start", "1 minute"), *KEYS)
    .agg(
        f.max("client_service_name").alias("client_service_name"),
        f.max("server_service_name").alias("server_service_name"),
        f.count("*").alias("flow_rows"),
        *[f.sum(name).alias(name) for name in SUMS],
    )
    .select(f.col("window.start").alias("window_start"), "flow_rows", *KEYS, "client_service_name", "server_service_name", *SUMS)
)
table = write(sums, folder)
cpu = cpu_seconds() - start
print(json.dumps({"cpu_seconds": cpu, "rows": table.agg(f.sum("flow_rows")).first()[0]}))
