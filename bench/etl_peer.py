"""Moves a topic of Arrow IPC messages into a Delta table of zstd Parquet with PyArrow and delta-rs: arguments are the topic's file and the table's folder."""

import sqlite3
import sys

import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

topic, table = sys.argv[1:]
messages = sqlite3.connect(topic, check_same_thread=False).execute("select value from message order by partition, offset")
batches = (batch for (value,) in messages for batch in pa.ipc.open_stream(value))
first = next(batches)
# The writer takes no dictionaries.
plain = pa.schema([pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type, f.nullable) for f in first.schema])
count = 0


def rows():
    """One batch after the other, so that they are never all in memory."""
    global count
    batch = first
    while batch is not None:
        count += batch.num_rows
        yield batch.cast(plain)
        batch = next(batches, None)


reader = pa.RecordBatchReader.from_batches(plain, rows())
write_deltalake(table, reader, writer_properties=WriterProperties(compression="ZSTD", compression_level=1))
print(count)
