"""Prints, as JSON, what delta-rs reads of every version of a Delta table: argument 1 is its folder, the others are application ids."""

import json
import os
import sys

import pyarrow.compute as pc
from deltalake import DeltaTable


def totals(table):
    rows = table.to_pyarrow_table()
    return {
        "rows": rows.num_rows,
        "bytes_sent": pc.sum(rows["bytes_sent"]).as_py(),
        "bytes_received": pc.sum(rows["bytes_received"]).as_py(),
        "client_ports": pc.sum(pc.list_value_length(rows["client_ports"])).as_py(),
        "srtt_us_min_nulls": rows["srtt_us_min"].null_count,
        "reporter_nulls": rows["reporter"].null_count if "reporter" in rows.column_names else rows.num_rows,
        "window_start_us": sum(us % 1_000_003 for us in pc.cast(rows["window_start"], "int64").to_pylist()),
        "client_services": pc.count_distinct(rows["client_service_name"]).as_py(),
        "hours": sorted({f"{date} {hour}" for date, hour in zip(rows["date"].to_pylist(), rows["hour"].to_pylist())}),
    }


newest = DeltaTable(sys.argv[1])
print(json.dumps({
    "versions": [totals(DeltaTable(sys.argv[1], version=version)) for version in range(newest.version() + 1)],
    "next_offsets": [newest.transaction_version(application) for application in sys.argv[2:]],
}))

sys.stdout.flush()
os._exit(0)  # the interpreter's own end at times aborts while the library's threads run
