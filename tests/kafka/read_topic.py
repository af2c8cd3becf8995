"""Prints, as JSON, what PyArrow reads of the messages of a Kafka topic: arguments are the broker and the topic."""

import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

broker, topic = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": broker,
    "group.id": "reader",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
})
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
tables, ended = [], 0
while ended < len(partitions):
    message = consumer.poll(10)
    if message is None:
        sys.exit("the broker does not answer")
    if message.error():
        ended += 1  # of the partition
    else:
        tables.append(pa.ipc.open_stream(message.value()).read_all())
consumer.close()
rows = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
print(json.dumps({
    "messages": len(tables),
    "rows": rows.num_rows,
    "bytes_sent": pc.sum(rows["bytes_sent"]).as_py(),
    "client_ports": pc.sum(pc.list_value_length(rows["client_ports"])).as_py(),
    "schema_version": tables[0].schema.metadata[b"skyfall.schema_version"].decode(),
}))
