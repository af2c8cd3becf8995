"""A Spark session for tests: takes a JSON object a line, and answers with one. Arguments are settings, each as NAME=VALUE."""

import json
import os
import sys

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints is no answer

builder = SparkSession.builder.master("local[2]")
for setting in sys.argv[1:]:
    builder = builder.config(*setting.split("=", 1))
spark = builder.getOrCreate()


def sql(request):
    return [row.asDict(recursive=True) for row in spark.sql(request["sql"]).collect()]


def race(request):
    """Tries to write each version with the log store of the class; returns those that it was told are its own."""
    jvm, won = spark._jvm, []
    configuration = spark._jsc.hadoopConfiguration()
    store = getattr(jvm, request["store"])(configuration)
    for version in range(request["versions"]):
        path = jvm.org.apache.hadoop.fs.Path(f"{request['log']}/{version:020d}.json")
        lines = jvm.java.util.ArrayList()
        lines.add(json.dumps({"commitInfo": {"engineInfo": "Spark", "number": version}}))
        try:
            store.write(path, lines.iterator(), False, configuration)
            won.append(version)
        except Py4JJavaError as error:
            if "FileAlreadyExistsException" not in str(error.java_exception.getClass()):
                raise
    return won


print(json.dumps({"ready": spark.version}), file=answers, flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"answer": (race if "race" in request else sql)(request.get("race", request))}
    except Exception as error:  # told to the test, which decides
        answer = {"error": str(error)}
    print(json.dumps(answer, default=str), file=answers, flush=True)
