"""What delta-rs counts in a table, what its vacuum would delete now, and what it deletes under its own rules, as JSON."""

import json
import os
import sys

from deltalake import DeltaTable

table = DeltaTable(sys.argv[1])
rows = table.to_pyarrow_table(columns=["src_offset"]).num_rows
would = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=True)
deleted = table.vacuum(dry_run=False)
print(json.dumps({"version": table.version(), "rows": rows, "would": sorted(would), "deleted": deleted}))

sys.stdout.flush()
os._exit(0)  # the interpreter's own end at times aborts while the library's threads run
