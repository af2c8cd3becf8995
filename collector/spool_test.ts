/** Messages on disk: in order, within the bound, whole or not there, whatever ends the collector. */

import assert from "node:assert/strict";
import type { RowMessage } from "./rows.ts";
import { Spool, SpoolError } from "./spool.ts";

const ALL = 1 << 30;

/** A message of 1,000 bytes that says its number. */
function message(number: number, partition = 0): RowMessage {
  const value = new Uint8Array(1_000);
  new DataView(value.buffer).setUint32(0, number);
  return { partition, value, rows: 2, events: 10 };
}

function numbers(messages: readonly RowMessage[]): number[] {
  return messages.map(({ value }) => new DataView(value.buffer).getUint32(0));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** As a crash leaves it: nothing is noted at the end. */
async function copyOf(directory: string): Promise<string> {
  const copy = await Deno.makeTempDir();
  for await (const { name } of Deno.readDir(directory)) await Deno.copyFile(`${directory}/${name}`, `${copy}/${name}`);
  return copy;
}

async function lastSegment(directory: string): Promise<string> {
  const names = await Array.fromAsync(Deno.readDir(directory), ({ name }) => name);
  return `${directory}/${names.filter((name) => name.endsWith(".spool")).sort().at(-1)}`;
}

async function readAll(directory: string): Promise<number[]> {
  await using spool = await Spool.open(directory, ALL);
  const all: number[] = [];
  while (!spool.isEmpty) {
    const { messages, end } = await spool.read(5_000);
    all.push(...numbers(messages));
    await spool.acknowledge(end, messages.length);
  }
  return all;
}

Deno.test("Spool gives messages back as they were, in order, and removes what is published", async () => {
  const directory = await Deno.makeTempDir();
  await using spool = await Spool.open(directory, 100_000);
  const sent = range(0, 40).map((number) => message(number, number % 3));
  assert.equal(await spool.append(sent, 3), 40);
  const read: RowMessage[] = [];
  while (read.length < 40) {
    const batch = await spool.read(5_000);
    assert.ok(batch.messages.length > 0 && batch.messages.length <= 5);
    read.push(...batch.messages);
    await spool.acknowledge(batch.end, batch.messages.length);
    assert.ok(spool.bytes <= (40 - read.length) * 1_024 + 100_000 / 4);
  }
  assert.deepEqual(read, sent);
  assert.deepEqual([spool.isEmpty, spool.bytes], [true, 0]);
});

Deno.test("Spool takes the first messages that fit into its bound, and more when there is room again", async () => {
  await using spool = await Spool.open(await Deno.makeTempDir(), 20_000);
  assert.equal(await spool.append(range(0, 30).map((n) => message(n)), 1), 19);
  assert.equal(await spool.append([message(30)], 1), 0);
  assert.ok(spool.bytes <= 20_000);
  const { messages, end } = await spool.read(10_000);
  await spool.acknowledge(end, messages.length);
  assert.ok(await spool.append(range(19, 30).map((n) => message(n)), 1) > 0);
  assert.equal(spool.failures, 0);
});

Deno.test("Spool has after a crash what it had before, from the last place that was noted", async () => {
  const directory = await Deno.makeTempDir();
  await using spool = await Spool.open(directory, ALL);
  await spool.append(range(0, 20).map((n) => message(n)), 4);
  const first = await spool.read(5_000);
  await spool.begin(first.end, new Map([[0, 7n], [3, 9n]]));
  const crashed = await copyOf(directory);
  await spool.acknowledge(first.end, first.messages.length);
  const second = await spool.read(5_000);
  await spool.begin(second.end, new Map());
  const crashedLater = await copyOf(directory);
  {
    await using again = await Spool.open(crashed, ALL);
    assert.deepEqual([again.recovered, again.partitionCount], [{ messages: 20, events: 200 }, 4]);
    assert.deepEqual(again.interrupted, { end: first.end, topicEnds: new Map([[0, 7n], [3, 9n]]) });
    assert.deepEqual(numbers((await again.read(ALL, again.interrupted!.end)).messages), range(0, first.messages.length));
  }
  assert.deepEqual(await readAll(crashed), range(0, 20));
  assert.deepEqual(await readAll(crashedLater), range(first.messages.length, 20));
});

Deno.test("Spool cuts a write that a crash tore off, at any byte, and goes on behind what is whole", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using spool = await Spool.open(directory, ALL);
    await spool.append([message(0), message(1)], 1);
  }
  for (const torn of [1, 3, 23, 24, 100, 1_000, 1_023]) {
    const crashed = await copyOf(directory);
    await Deno.truncate(await lastSegment(crashed), 1_024 + torn);
    {
      await using spool = await Spool.open(crashed, ALL);
      assert.deepEqual([spool.recovered.messages, spool.cutBytes], [1, torn]);
      await spool.append([message(2)], 1);
    }
    assert.deepEqual(await readAll(crashed), [0, 2]);
  }
});

Deno.test("Spool gives no message of which a bit has changed", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using spool = await Spool.open(directory, ALL);
    await spool.append([message(0), message(1)], 1);
  }
  for (const at of [1_024, 1_030, 1_033, 1_045, 2_047]) {
    const damaged = await copyOf(directory), segment = await lastSegment(damaged);
    const bytes = await Deno.readFile(segment);
    bytes[at]! ^= 0x10;
    await Deno.writeFile(segment, bytes);
    assert.deepEqual(await readAll(damaged), [0], `byte ${at}`);
  }
});

Deno.test("Spool is not misled by segments that were removed before that was noted", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using spool = await Spool.open(directory, ALL);
    await spool.append(range(0, 10).map((n) => message(n)), 1);
    const { messages, end } = await spool.read(ALL);
    await spool.begin(end, new Map());
    await spool.acknowledge(end, messages.length);
    const crashed = await copyOf(directory);
    await using again = await Spool.open(crashed, ALL);
    assert.deepEqual([again.isEmpty, again.interrupted], [true, null]);
    await again.append([message(10), message(11)], 1);
    assert.deepEqual(await readAll(await copyOf(crashed)), [10, 11]);
  }
});

Deno.test("Spool.open() refuses a folder that another collector has open, and a position that is none", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using _spool = await Spool.open(directory, ALL);
    await assert.rejects(Spool.open(directory, ALL), { name: "SpoolError", message: /another collector has it open/ });
  }
  await Deno.writeTextFile(`${directory}/position.json`, '{"format":9}');
  await assert.rejects(Spool.open(directory, ALL), SpoolError);
});
