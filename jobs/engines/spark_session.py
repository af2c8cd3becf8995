"""Runs SQL in Spark: takes a JSON object a line, {"sql": text} or {"keep": view}, and answers with one.

Arguments are settings, each as NAME=VALUE.
"""

import glob
import json
import os
import sys

answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever else prints is no answer


def answer(value):
    print(json.dumps(value), file=answers, flush=True)


try:
    import pyspark
except ImportError:
    sys.path += [f"{os.environ.get('SPARK_HOME')}/python", *glob.glob(f"{os.environ.get('SPARK_HOME')}/python/lib/py4j-*.zip")]
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import types as t

NUMBERS = (t.ByteType, t.ShortType, t.IntegerType, t.LongType, t.FloatType, t.DoubleType, t.DecimalType)


def plain(kind, value):
    """As DuckDB's own client gives it: numbers of 64 bits as text, times in UTC."""
    if value is None:
        return None
    if isinstance(kind, (t.LongType, t.DecimalType)):
        return str(value)
    if isinstance(kind, t.TimestampType):
        text = value.isoformat(" ")
        return (text.rstrip("0") if value.microsecond else text) + "+00"
    if isinstance(kind, t.DateType):
        return value.isoformat()
    if isinstance(kind, t.BinaryType):
        return "".join(chr(byte) if 32 <= byte < 127 and byte not in b"\"'\\" else f"\\x{byte:02X}" for byte in value)
    if isinstance(kind, t.ArrayType):
        return [plain(kind.elementType, item) for item in value]
    if isinstance(kind, t.StructType):
        return {field.name: plain(field.dataType, item) for field, item in zip(kind.fields, value)}
    return value


def run(spark, sql):
    frame = spark.sql(sql)
    fields = frame.schema.fields
    return {
        "columns": [{"name": field.name, "isNumber": isinstance(field.dataType, NUMBERS)} for field in fields],
        "rows": [[plain(field.dataType, value) for field, value in zip(fields, row)] for row in frame.collect()],
    }


def keep(spark, view):
    """Finds the view's rows once. Its plan is cut there: a plan that holds those of many views takes Spark minutes to think over."""
    spark.table(view).localCheckpoint().createOrReplaceTempView(view)
    return {}


builder = SparkSession.builder.appName("skyfall")
for setting in sys.argv[1:]:
    builder = builder.config(*setting.split("=", 1))
session = builder.getOrCreate()
session.sparkContext.setLogLevel("ERROR")
answer({"version": session.version})
for line in sys.stdin:
    try:
        request = json.loads(line)
        answer(keep(session, request["keep"]) if "keep" in request else run(session, request["sql"]))
    except (PySparkException, Py4JError) as error:
        answer({"error": str(error)})
