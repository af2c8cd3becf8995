/** Messages reach the topic in order and once each, however long it is away and wherever the collector is killed. */

import assert from "node:assert/strict";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { Publisher, type TopicAccess } from "./publish.ts";
import type { RowMessage } from "./rows.ts";
import { Spool } from "./spool.ts";
import { topicEnds } from "./stored_already.ts";
import { openTopic } from "./topic_access.ts";

const PARTITIONS = 3, MESSAGES = 60;
const ALL = 1 << 30;
const EVENTS = 10;

function message(number: number): RowMessage {
  const value = new Uint8Array(1_000);
  new DataView(value.buffer).setUint32(0, number);
  return { partition: number % PARTITIONS, value, rows: 2, events: EVENTS };
}

function messages(start: number, end: number): RowMessage[] {
  return Array.from({ length: end - start }, (_, i) => message(start + i));
}

/** A topic in a folder that may not be there yet: then it is away. */
class Scene {
  readonly folder: string;
  readonly spoolDirectory: string;
  #isHidden = false;

  constructor(directory: string) {
    this.folder = `${directory}/topic`;
    this.spoolDirectory = `${directory}/spool`;
  }

  static async make(): Promise<Scene> {
    return new Scene(await Deno.makeTempDir());
  }

  get url(): string {
    return `sqlite:${this.folder}/topic.db?partitions=${PARTITIONS}`;
  }

  topic(): Promise<TopicAccess & AsyncDisposable> {
    return openTopic(this.url, PARTITIONS);
  }

  async comeBack(): Promise<void> {
    await Deno.mkdir(this.folder);
  }

  /** Takes a topic away with all that it holds, or brings it back. */
  async setAway(isAway: boolean): Promise<void> {
    const hidden = `${this.folder}.away`;
    if (isAway === this.#isHidden) return;
    await Deno.rename(...(isAway ? [this.folder, hidden] as const : [hidden, this.folder] as const));
    this.#isHidden = isAway;
  }

  /** Numbers of the messages in the topic, by partition. */
  async stored(): Promise<number[][]> {
    await using consumer = await openConsumer(`sqlite:${this.folder}/topic.db`);
    return await Promise.all(Array.from({ length: PARTITIONS }, async (_, partition) => {
      const read = await consumer.read(partition, 0n, ALL);
      return read.map(({ value }) => new DataView(value.buffer, value.byteOffset).getUint32(0));
    }));
  }
}

const EACH_ONCE = [0, 1, 2].map((partition) => Array.from({ length: MESSAGES / PARTITIONS }, (_, i) => i * PARTITIONS + partition));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 1_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("Publisher spools while the topic is away, and publishes in order when it is back", async () => {
  const scene = await Scene.make();
  await using topic = await scene.topic();
  await using spool = await Spool.open(scene.spoolDirectory, ALL);
  const publisher = new Publisher(topic, spool, () => {});
  publisher.add(messages(0, 10));
  await until(() => publisher.spooledEvents === 10 * EVENTS);
  publisher.add(messages(10, 40));
  await until(() => publisher.spooledEvents === 40 * EVENTS);
  assert.deepEqual([publisher.waiting().messages, publisher.waiting().bytes, publisher.counts.events_published], [0, 0, 0]);
  await scene.comeBack();
  await until(() => publisher.counts.messages_published > 0);
  publisher.add(messages(40, MESSAGES));
  await publisher.finish();
  assert.deepEqual(await scene.stored(), EACH_ONCE);
  assert.deepEqual([publisher.counts.events_published, publisher.spooledEvents, spool.isEmpty], [MESSAGES * EVENTS, 0, true]);
});

Deno.test("Publisher keeps in memory what does not fit into the spool, in order and counted", async () => {
  const scene = await Scene.make();
  await using topic = await scene.topic();
  await using spool = await Spool.open(scene.spoolDirectory, 20_000);
  const publisher = new Publisher(topic, spool, () => {});
  publisher.add(messages(0, 10));
  await until(() => publisher.spooledEvents > 0);
  publisher.add(messages(10, MESSAGES));
  await until(() => publisher.spooledEvents === 19 * EVENTS);
  assert.equal(publisher.waiting().events, (MESSAGES - 19) * EVENTS);
  await scene.comeBack();
  await publisher.finish();
  assert.deepEqual(await scene.stored(), EACH_ONCE);
});

Deno.test("Publisher leaves the spool to the next collector where the topic stays away, which may start without it", async () => {
  const scene = await Scene.make();
  {
    await using topic = await scene.topic();
    await using spool = await Spool.open(scene.spoolDirectory, ALL);
    const publisher = new Publisher(topic, spool, () => {});
    publisher.add(messages(0, 30));
    await publisher.finish();
    assert.deepEqual([publisher.waiting().events, publisher.spooledEvents], [0, 30 * EVENTS]);
  }
  await using spool = await Spool.open(scene.spoolDirectory, ALL);
  await using topic = await openTopic(scene.url, spool.partitionCount);
  const publisher = new Publisher(topic, spool, () => {});
  publisher.add(messages(30, MESSAGES));
  assert.equal(publisher.counts.events_recovered, 30 * EVENTS);
  await scene.comeBack();
  await publisher.finish();
  assert.deepEqual(await scene.stored(), EACH_ONCE);
});

for (const published of [0, 1, 17, 30]) {
  Deno.test(`Publisher publishes once each what a killed collector had been publishing, of which the topic took ${published} of 30`, async () => {
    const scene = await Scene.make();
    await scene.comeBack();
    {
      await using producer = await openProducer(scene.url);
      await producer.publish(messages(0, 10));
      await using consumer = await openConsumer(`sqlite:${scene.folder}/topic.db`);
      await using spool = await Spool.open(scene.spoolDirectory, ALL);
      await spool.append(messages(10, 50), PARTITIONS);
      const { end } = await spool.read(31_000);
      await spool.begin(end, await topicEnds(consumer, [0, 1, 2]));
      await producer.publish([...messages(10, 10 + published), { partition: 1, value: new Uint8Array(1_000).fill(255) }]);
    }
    await using topic = await scene.topic();
    await using spool = await Spool.open(scene.spoolDirectory, ALL);
    const publisher = new Publisher(topic, spool, () => {});
    publisher.add(messages(50, MESSAGES));
    await publisher.finish();
    const stored = await scene.stored();
    assert.deepEqual(stored.map((numbers) => numbers.filter((n) => n !== 0xffff_ffff)), EACH_ONCE);
    const { events_recovered, events_found_published, events_published } = publisher.counts;
    assert.deepEqual(
      [events_recovered, events_found_published, events_published],
      [40 * EVENTS, published * EVENTS, (MESSAGES - 10 - published) * EVENTS],
    );
  });
}

Deno.test("Publisher loses no message that it had stored or spooled, and doubles none, wherever it is killed", async () => {
  const seed = Date.now() >>> 0, random = randomNumbers(seed);
  const scene = await Scene.make();
  await scene.comeBack();
  const program = new URL("testdata/spooling_program.ts", import.meta.url).pathname;
  const durable: number[] = [];
  const rounds = 10, messagesARound = 100;
  for (let round = 0; round <= rounds; round++) {
    const isAway = round < rounds && random(3) === 0, isLast = round === rounds;
    await scene.setAway(isAway);
    const args = [
      "run",
      "-A",
      "--no-check",
      program,
      scene.url,
      scene.spoolDirectory,
      String(round * messagesARound),
      String(messagesARound),
    ];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "null" }).spawn();
    let hasEnded = false;
    const kill = () => hasEnded || child.kill("SIGKILL");
    const killed = isLast ? null : setTimeout(kill, 150 + random(600));
    child.status.then(() => hasEnded = true);
    const { stdout } = await child.output();
    if (killed !== null) clearTimeout(killed);
    const said = new TextDecoder().decode(stdout).split("\n").slice(0, -1).map(Number);
    for (let i = 0; i < Math.max(0, ...said); i++) durable.push(round * messagesARound + i);
  }
  const stored = (await scene.stored()).flat();
  assert.equal(new Set(stored).size, stored.length, `doubled, seed ${seed}`);
  assert.deepEqual(durable.filter((number) => !stored.includes(number)), [], `lost, seed ${seed}`);
  for (const numbers of await scene.stored()) assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), `order, seed ${seed}`);
});
