"""Holds one version of a Delta table with delta-rs, and prints, as a line of JSON, what it reads from it whenever a line comes."""

import json
import os
import sys

from deltalake import DeltaTable

table = DeltaTable(sys.argv[1], version=int(sys.argv[2]))
for _ in sys.stdin:
    rows = table.to_pyarrow_table(columns=["bytes_sent", "src_offset"])
    print(json.dumps({"rows": rows.num_rows, "bytes": str(sum(rows["bytes_sent"].to_pylist()))}), flush=True)

sys.stdout.flush()
os._exit(0)  # the interpreter's own end at times aborts while the library's threads run
