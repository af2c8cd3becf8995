"""Writes and reads a Kafka topic with librdkafka: arguments are the broker, the topic, its partitions, a file of messages and rounds.

The file holds messages, each behind its length in 4 bytes. Prints, as JSON, seconds and CPU seconds of writing and of reading.
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

broker, topic, partitions, path, rounds = sys.argv[1:]
partitions, rounds = int(partitions), int(rounds)
data = open(path, "rb").read()
messages, at = [], 0
while at < len(data):
    length = int.from_bytes(data[at:at + 4], "big")
    messages.append(data[at + 4:at + 4 + length])
    at += 4 + length


def timed(run):
    start, start_cpu = time.monotonic(), time.process_time()
    run()
    return {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - start_cpu}


def write():
    producer = Producer({
        "bootstrap.servers": broker,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "zstd",
        "linger.ms": 5,
        "queue.buffering.max.kbytes": 1 << 20,
    })
    failed = []
    for i in range(rounds * len(messages)):
        producer.produce(topic, messages[i % len(messages)], partition=i % partitions,
                         on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    producer.flush()
    if failed:
        sys.exit(str(failed[0]))


def read():
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "peer", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    count, ended = 0, 0
    while ended < partitions:
        for message in consumer.consume(1_000, 1):
            if message.error():
                ended += 1
            else:
                count += 1
    consumer.close()
    if count != rounds * len(messages):
        sys.exit(f"{count} messages of {rounds * len(messages)}")


print(json.dumps({"write": timed(write), "read": timed(read)}))
