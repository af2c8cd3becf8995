"""Moves a topic of Arrow IPC messages into a Delta table of zstd Parquet with PyArrow and delta-rs: arguments are the topic's file and the table's folder."""

import sqlite3
import sys

import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

topic, table = sys.argv[1:]
messages = sqlite3.connect(topic).execute("select value from message order by partition, offset")
batches = [batch for (value,) in messages for batch in pa.ipc.open_stream(value)]
# The writer takes no dictionaries.
plain = pa.schema([
    pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type, f.nullable) for f in batches[0].schema
])
rows = pa.Table.from_batches([batch.cast(plain) for batch in batches])
write_deltalake(table, rows, writer_properties=WriterProperties(compression="ZSTD", compression_level=1))
print(rows.num_rows)
