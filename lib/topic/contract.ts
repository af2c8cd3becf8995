/** What every topic must do: the same cases for each implementation. */

import assert from "node:assert/strict";
import { type TopicConsumer, TopicError, type TopicProducer } from "./topic.ts";

/** Makes a new, empty topic of so many partitions, and opens it as often as asked. */
export interface TopicUnderTest {
  readonly producer: () => Promise<TopicProducer>;
  readonly consumer: () => Promise<TopicConsumer>;
}

const ALL = 1 << 30;

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function texts(consumer: TopicConsumer, partition: number, offset = 0n, bytesMax = ALL): Promise<string[]> {
  return (await consumer.read(partition, offset, bytesMax)).map(({ value }) => new TextDecoder().decode(value));
}

type Make = (partitionCount: number) => Promise<TopicUnderTest>;
type Test = (name: string, fn: () => Promise<void>) => void;

/**
 * Registers the cases.
 *
 * @param make Makes a new topic with so many partitions.
 * @param test Registers one case; a topic that needs a service says there what is missing.
 */
export function testTopic(name: string, make: Make, test: Test): void {
  testWriting(name, make, test);
  testReading(name, make, test);
}

function testWriting(name: string, make: Make, test: Test): void {
  test(`${name}: messages come back in order, with offsets from 0 without a gap`, async () => {
    const topic = await make(1);
    await using producer = await topic.producer();
    await producer.publish([{ partition: 0, value: bytes("a") }, { partition: 0, value: bytes("b") }]);
    await producer.publish([{ partition: 0, value: bytes("c") }]);
    await using consumer = await topic.consumer();
    const messages = await consumer.read(0, 0n, ALL);
    assert.deepEqual(messages.map(({ offset }) => offset), [0n, 1n, 2n]);
    assert.deepEqual(await texts(consumer, 0), ["a", "b", "c"]);
    assert.deepEqual(await texts(consumer, 0, 2n), ["c"]);
  });

  test(`${name}: partitions are counted apart`, async () => {
    const topic = await make(3);
    await using producer = await topic.producer();
    assert.equal(producer.partitionCount, 3);
    await producer.publish([{ partition: 2, value: bytes("a") }, { partition: 0, value: bytes("b") }, { partition: 2, value: bytes("c") }]);
    await using consumer = await topic.consumer();
    assert.deepEqual(await Promise.all([0, 1, 2].map((p) => consumer.offsets(p))), [{ begin: 0n, end: 1n }, { begin: 0n, end: 0n }, {
      begin: 0n,
      end: 2n,
    }]);
    assert.deepEqual(await texts(consumer, 2), ["a", "c"]);
  });

  test(`${name}: of a refused batch nothing is stored, and no offset is used`, async () => {
    const topic = await make(1);
    await using producer = await topic.producer();
    await assert.rejects(producer.publish([{ partition: 0, value: bytes("a") }, { partition: 7, value: bytes("b") }]), TopicError);
    await producer.publish([{ partition: 0, value: bytes("c") }]);
    await using consumer = await topic.consumer();
    assert.deepEqual((await consumer.read(0, 0n, ALL)).map(({ offset }) => offset), [0n]);
    assert.deepEqual(await texts(consumer, 0), ["c"]);
  });

  test(`${name}: two producers share a topic, and a reader sees what is published while it is open`, async () => {
    const topic = await make(1);
    await using first = await topic.producer();
    await using second = await topic.producer();
    await using consumer = await topic.consumer();
    for (let i = 0; i < 20; i++) await Promise.all([first, second].map((p) => p.publish([{ partition: 0, value: bytes(String(i)) }])));
    assert.equal((await texts(consumer, 0)).length, 40);
    assert.deepEqual((await consumer.read(0, 0n, ALL)).map(({ offset }) => offset), Array.from({ length: 40 }, (_, i) => BigInt(i)));
  });
}

function testReading(name: string, make: Make, test: Test): void {
  test(`${name}: a reader gets at least one message, and no more bytes than it asked for beyond that`, async () => {
    const topic = await make(1);
    await using producer = await topic.producer();
    await producer.publish(["aaaa", "bb", "cc"].map((text) => ({ partition: 0, value: bytes(text) })));
    await using consumer = await topic.consumer();
    assert.deepEqual(await texts(consumer, 0, 0n, 1), ["aaaa"]);
    assert.deepEqual(await texts(consumer, 0, 0n, 6), ["aaaa", "bb"]);
    assert.deepEqual(await texts(consumer, 0, 3n), []);
  });

  test(`${name}: offsets that are not there are an error, never a jump`, async () => {
    const topic = await make(1);
    await using producer = await topic.producer();
    await producer.publish([{ partition: 0, value: bytes("a") }]);
    await using consumer = await topic.consumer();
    await assert.rejects(consumer.read(0, 2n, ALL), TopicError);
    await assert.rejects(consumer.read(0, -1n, ALL), TopicError);
  });

  test(`${name}: many messages of many sizes come back as they were, however much a reader takes at once`, async () => {
    const topic = await make(3);
    await using producer = await topic.producer();
    const records = Array.from({ length: 300 }, (_, i) => ({ partition: i % 3, value: new Uint8Array(i * i % 90_001).fill(i) }));
    await producer.publish(records);
    await using consumer = await topic.consumer();
    for (let partition = 0; partition < 3; partition++) {
      const values: Uint8Array[] = [];
      for (const bytesMax of [1, 100_000, 1_000_000, ALL]) {
        for (const message of await consumer.read(partition, BigInt(values.length), bytesMax)) {
          assert.equal(message.offset, BigInt(values.length));
          values.push(message.value);
        }
      }
      assert.deepEqual(values, records.filter((record) => record.partition === partition).map(({ value }) => value));
    }
  });

  test(`${name}: a topic keeps its name, and another has another`, async () => {
    const [first, second] = [await make(1), await make(1)];
    const nameOf = async (topic: TopicUnderTest) => {
      await using consumer = await topic.consumer();
      return consumer.topicName;
    };
    assert.equal(await nameOf(first), await nameOf(first));
    assert.notEqual(await nameOf(first), await nameOf(second));
  });
}
