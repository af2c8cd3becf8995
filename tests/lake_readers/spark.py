"""Prints, as JSON, what Spark reads from a Delta table: argument 1 is its folder, argument 2 the jars, by comma, argument 3 a file of jobs/analytics."""

import json
import sys

from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", sys.argv[2])
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
spark.read.format("delta").load(sys.argv[1]).createOrReplaceTempView("flow")
answer = spark.sql("""
    select count(*) as rows, sum(bytes_sent) as bytes_sent, sum(bytes_received) as bytes_received,
        sum(size(client_ports)) as client_ports, count(*) - count(srtt_us_min) as srtt_us_min_nulls,
        count(*) - count(reporter) as reporter_nulls,
        sum(unix_micros(window_start) % 1000003) as window_start_us, count(distinct client_service_name) as client_services,
        array_sort(collect_set(concat(date, ' ', hour))) as hours
    from flow""").first()
with open(sys.argv[3], encoding="utf-8") as file:
    analysis = [row.asDict() for row in spark.sql(file.read()).collect()]
print(json.dumps({**answer.asDict(), "analysis": analysis}))
