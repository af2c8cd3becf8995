"""Moves a Kafka topic of Arrow IPC messages into a Delta table of zstd Parquet with Spark Structured Streaming, and prints the rows and the CPU
seconds of the query alone, without starting Spark: arguments are the broker, the topic, a folder, the jars, by comma, and the columns as DDL."""

import json
import sys

from spark_stream import cpu_seconds, messages_of, rows_of, session, write

broker, topic, folder, jars, columns = sys.argv[1:]

spark = session(jars)
start = cpu_seconds()
table = write(rows_of(messages_of(spark, broker, topic), columns.split(", ")), folder)
cpu = cpu_seconds() - start
print(json.dumps({"cpu_seconds": cpu, "rows": table.count()}))
