/** Kafka topics on a real broker: the contract of every topic, and what must hold when the broker fails. */

import assert from "node:assert/strict";
import { testTopic } from "../lib/topic/contract.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { PublishError, type TopicProducer, type TopicRecord } from "../lib/topic/topic.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { Broker } from "../tools/kafka.ts";
import { LossyProxy } from "./kafka/lossy_proxy.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const missing = firstMissing(await missingCommand("java", "-version"), await missingCommand("mvn", "--version"));

let started: Promise<Broker> | null = null;
let topics = 0;

/** The broker of this file's tests, with a topic name of their own each. */
async function shared(): Promise<{ readonly broker: Broker; readonly topic: string }> {
  const broker = await (started ??= Broker.start());
  return { broker, topic: `flows-${topics++}` };
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

testTopic("kafka", async (partitionCount) => {
  const { broker, topic } = await shared();
  const producer = () => openProducer(broker.url(topic, `?partitions=${partitionCount}`));
  await (await producer())[Symbol.asyncDispose]();
  return { producer, consumer: () => openConsumer(broker.url(topic)) };
}, (name, fn) => testWith(missing, name, fn));

testWith(missing, "openProducer() makes a Kafka topic only where the URL tells partitions", async () => {
  const { broker, topic } = await shared();
  const absent = { name: "TopicError", message: /there is no such topic; add "partitions=N" to have it made/ };
  await assert.rejects(openProducer(broker.url(topic)), absent);
  await assert.rejects(openConsumer(broker.url(topic, "?partitions=3")), absent);
  await using producer = await openProducer(broker.url(topic, "?partitions=3&replication=1"));
  assert.equal(producer.partitionCount, 3);
  await using again = await openProducer(broker.url(topic, "?partitions=5"));
  assert.equal(again.partitionCount, 3);
});

testWith(missing, "openProducer() tells how many copies a cluster cannot keep", async () => {
  const { broker, topic } = await shared();
  await assert.rejects(openProducer(broker.url(topic, "?partitions=1&replication=3")), {
    name: "TopicError",
    message: /fewer brokers than copies are asked for; correct replication=/,
  });
});

testWith(missing, "a consumer goes on reading after an offset that is not there", async () => {
  const { broker, topic } = await shared();
  await using producer = await openProducer(broker.url(topic, "?partitions=1"));
  await using consumer = await openConsumer(broker.url(topic));
  await producer.publish([record(0, 1)]);
  await assert.rejects(consumer.read(0, 9n, 1), { message: /partition 0 offset 9, there are 0 to before 1/ });
  assert.equal((await consumer.read(0, 0n, 1)).length, 1);
});

/** A record that holds its number. */
function record(partition: number, number: number, bytes = 200): TopicRecord {
  const value = new Uint8Array(bytes);
  new DataView(value.buffer).setUint32(0, number);
  return { partition, value };
}

/** Publishes as the collector does: what is not acknowledged is given again. Returns how often that was. */
async function publishAll(producer: TopicProducer, records: readonly TopicRecord[]): Promise<number> {
  let left = records, failures = 0;
  while (left.length > 0) {
    try {
      await producer.publish(left);
      left = [];
    } catch (error) {
      assert(error instanceof PublishError);
      left = left.filter((each) => error.unacknowledged.has(each));
      failures++;
    }
  }
  return failures;
}

/** Numbers of a partition's records, in the order stored. */
async function numbersOf(url: string, partition: number): Promise<number[]> {
  await using consumer = await openConsumer(url);
  const messages = await consumer.read(partition, 0n, 1 << 30);
  return messages.map(({ value }) => new DataView(value.buffer).getUint32(0));
}

/** Publishes numbered records to two partitions until told to stop; then each must hold its numbers once, in order. */
async function assertStoredOnce(url: string, disturb: () => Promise<void>): Promise<number> {
  await using producer = await openProducer(`${url}?partitions=2`);
  let stop = false, count = 0, failures = 0;
  const publishing = (async () => {
    for (; !stop; count += 50) {
      const numbers = Array.from({ length: 50 }, (_, i) => count + i);
      failures += await publishAll(producer, numbers.flatMap((number) => [record(0, number), record(1, number)]));
    }
  })();
  await disturb();
  stop = true;
  await publishing;
  const expected = Array.from({ length: count }, (_, i) => i);
  for (const partition of [0, 1]) assert.deepEqual(await numbersOf(url, partition), expected);
  return failures;
}

testWith(missing, "a broker that is killed again and again loses and doubles nothing, and keeps the order", async () => {
  const { broker, topic } = await shared();
  await assertStoredOnce(broker.url(topic), async () => {
    for (let i = 0; i < 3; i++) {
      await pause(400 + 150 * i);
      await broker.kill();
      await broker.restart();
    }
    await pause(500);
  });
});

testWith(missing, "publish() gives up on a broker that is away in bounded time, and stores once when it is back", async () => {
  const { broker, topic } = await shared();
  const failures = await assertStoredOnce(broker.url(topic), async () => {
    await pause(300);
    await broker.kill();
    await pause(7_000);
    await broker.restart();
  });
  assert.ok(failures > 0);
});

testWith(missing, "a broker that hangs for longer than a request may take loses and doubles nothing", async () => {
  const { broker, topic } = await shared();
  await assertStoredOnce(broker.url(topic), async () => {
    await pause(300);
    broker.signal("SIGSTOP");
    await pause(13_000);
    broker.signal("SIGCONT");
    await pause(1_000);
  });
});

testWith(missing, "answers that get lost on the way lose and double nothing", async () => {
  using proxy = new LossyProxy(randomNumbers(1));
  await using broker = await Broker.start("PLAINTEXT", proxy.port);
  proxy.target.resolve(broker.address);
  await assertStoredOnce(broker.url("lossy"), async () => {
    proxy.isLossy = true;
    while (proxy.lost < 60) await pause(100);
    proxy.isLossy = false;
  });
});

testWith(missing, "brokers of a cluster that are killed one after the other lose and double nothing, while the others go on", async () => {
  const brokers = await Broker.startCluster(3);
  try {
    const url = `kafka://${brokers.map(({ address }) => address).join(",")}/flows`;
    await assertStoredOnce(url, async () => {
      for (const broker of brokers) {
        await broker.kill(); // its partitions get another leader
        await pause(5_000);
        await broker.restart();
        await pause(2_000); // it catches up, or the next would leave one copy
      }
    });
  } finally {
    for (const broker of brokers) await broker[Symbol.asyncDispose]();
  }
});

testWith(missing, "a message that the topic does not take is named with what to do, and those of other partitions are stored", async () => {
  const { broker, topic } = await shared();
  await using producer = await openProducer(broker.url(topic, "?partitions=2"));
  const random = randomNumbers(1);
  const tooLarge = { partition: 0, value: Uint8Array.from({ length: 2_000_000 }, () => random(256)) };
  const other = record(1, 1);
  await assert.rejects(producer.publish([tooLarge, other]), (error) => {
    assert(error instanceof PublishError);
    assert.match(error.message, /a message is larger than it takes; raise its max.message.bytes/);
    assert.deepEqual([...error.unacknowledged], [tooLarge]);
    return true;
  });
  assert.deepEqual(await numbersOf(broker.url(topic), 1), [1]);
  await producer.publish([record(0, 2)]);
  assert.deepEqual(await numbersOf(broker.url(topic), 0), [2]);
});

testWith(missing, "openProducer() refuses a topic that takes less than our messages may have", async () => {
  const { broker, topic } = await shared();
  await broker.administer((admin) =>
    admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs: [{ name: "max.message.bytes", value: "500000" }] })
  );
  await assert.rejects(openProducer(broker.url(topic)), {
    message: /takes messages of 500000 bytes, needed 1048588; raise its max.message.bytes/,
  });
});

testWith(missing, "a producer that is killed at any moment has stored all that it acknowledged", async () => {
  const { broker, topic } = await shared();
  await (await openProducer(broker.url(topic, "?partitions=1")))[Symbol.asyncDispose]();
  const script = new URL("../lib/topic/testdata/endless_producer.ts", import.meta.url).pathname;
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", script, broker.url(topic)], stdout: "piped" })
      .spawn();
    const killAt = acknowledged + 30 + 50 * round;
    for await (const chunk of child.stdout) {
      acknowledged += chunk.length; // one byte an acknowledgement
      if (acknowledged >= killAt) child.kill("SIGKILL");
    }
    await child.status;
  }
  const stored = (await numbersOf(broker.url(topic), 0)).length;
  assert.ok(stored >= acknowledged && stored <= acknowledged + 3, `${stored} stored, ${acknowledged} acknowledged`);
});

testWith(missing, "a topic that is made anew under an old name has another, and a reader of the old one is told", async () => {
  const { broker, topic } = await shared();
  await (await openProducer(broker.url(topic, "?partitions=1")))[Symbol.asyncDispose]();
  await using old = await openConsumer(broker.url(topic));
  await broker.administer((admin) => admin.deleteTopics({ topics: [topic] }));
  await (await openProducer(broker.url(topic, "?partitions=1")))[Symbol.asyncDispose]();
  await using anew = await openConsumer(broker.url(topic));
  assert.notEqual(anew.topicName, old.topicName);
  await assert.rejects(old.read(0, 0n, 1), { name: "TopicError" });
});

Deno.test("openProducer() says that nothing listens where a broker should be", async () => {
  await assert.rejects(openProducer("kafka://127.0.0.1:1/flows"), {
    name: "TopicError",
    message: /Cannot open topic "kafka:\/\/127.0.0.1:1\/flows": nothing listens there; start the broker, or correct its address/,
  });
});

Deno.test("openProducer() says that a port is no Kafka broker's, whether it talks or not", async () => {
  await using web = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("hello"));
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refused = { name: "TopicError", message: /it does not answer as a Kafka broker does; correct the port/ };
  await Promise.all([web.addr, silent.addr].map(({ port }) => assert.rejects(openProducer(`kafka://127.0.0.1:${port}/flows`), refused)));
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
