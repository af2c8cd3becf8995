"""Runs queries over the Parquet files of a lake's tables: arguments are "spark" or "chdb" and the lake; takes a JSON text, the SQL, a line."""

import json
import os
import re
import sys
import time

TABLES = ["flow", "conversation_1m"]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
engine, lake, threads = sys.argv[1], sys.argv[2], os.cpu_count()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if engine == "spark":
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "6g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(threads),
    }
    builder = SparkSession.builder.master(f"local[{threads}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for table in TABLES:
        spark.read.parquet(f"{lake}/{table}").createOrReplaceTempView(table)
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()

    def rows(sql):
        return [list(row) for row in spark.sql(sql).collect()]
else:
    from chdb import session

    clickhouse, pid = session.Session(), os.getpid()
    clickhouse.query("create database bench")
    for table in TABLES:
        clickhouse.query(f"create view bench.{table} as select * from file('{lake}/{table}/date=*/hour=*/*.parquet', Parquet)")

    def rows(sql):
        settings = f"settings max_threads = {threads}, use_hive_partitioning = 1, join_use_nulls = 1"
        for table in TABLES:
            sql = re.sub(rf"\bfrom {table}\b", f"from bench.{table}", sql)
        text = clickhouse.query(f"{sql} {settings}", "JSONCompactEachRow").bytes().decode()
        return [json.loads(line) for line in text.splitlines()]


for line in sys.stdin:
    start, start_cpu = time.perf_counter(), cpu_seconds(pid)
    found = rows(json.loads(line))
    seconds, cpu = time.perf_counter() - start, cpu_seconds(pid) - start_cpu
    texts = sorted(json.dumps([str(value) for value in row]) for row in found)
    print(json.dumps({"seconds": seconds, "cpuSeconds": cpu, "rows": texts}), file=answers, flush=True)
