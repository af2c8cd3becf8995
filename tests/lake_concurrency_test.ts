/** Whoever asks gets the answer of the version that it says it read, while others append, compact, drop and vacuum. */

import assert from "node:assert/strict";
import { readVersion } from "../jobs/lake/delta_log.ts";
import { tableDirectory } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { newPlace, type TestPlace } from "../jobs/testdata/topic.ts";
import { decodeFlowBatch, encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch, START_US } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { runTask } from "./command.ts";

const ROUNDS = 14, READERS = 2, MESSAGES = 4, MESSAGE_ROWS = 20;
const HOUR_US = 3_600_000_000, ROUND_US = 8 * HOUR_US;

interface Sum {
  readonly rows: number;
  readonly bytes: bigint;
}

/** Each round's messages are of other hours, and one of them of an hour long ago. */
async function publish(place: TestPlace, round: number): Promise<void> {
  await using producer = await openProducer(place.topic);
  for (let i = 0; i < MESSAGES; i++) {
    const startUs = START_US + round * ROUND_US + i * HOUR_US - (i === MESSAGES - 1 ? 36 * HOUR_US : 0);
    await producer.publish([{ partition: i % 2, value: encodeFlowBatch(flowBatch(MESSAGE_ROWS, 10 * round + i, startUs)) }]);
  }
}

/** By partition and offset, what a message brings to each hour, by our own decoder. */
async function messageSums(url: string): Promise<Map<string, Map<string, Sum>>> {
  await using consumer = await openConsumer(url);
  const sums = new Map<string, Map<string, Sum>>();
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { offset, value } of await consumer.read(partition, 0n, 1 << 30)) {
      const { rowCount, columns } = decodeFlowBatch(value), hours = new Map<string, Sum>();
      for (let i = 0; i < rowCount; i++) {
        const [date, time] = new Date(Number(columns.window_start.values[i]! / 1_000n)).toISOString().split("T");
        add(hours, `${date} ${Number(time!.slice(0, 2))}`, { rows: 1, bytes: columns.bytes_sent.values[i]! });
      }
      sums.set(`${partition}:${offset}`, hours);
    }
  }
  return sums;
}

function add(sums: Map<string, Sum>, key: string, { rows, bytes }: Sum): void {
  const old = sums.get(key) ?? { rows: 0, bytes: 0n };
  sums.set(key, { rows: old.rows + rows, bytes: old.bytes + bytes });
}

/** What each version of the table holds, from its log and the topic alone. */
async function expectedByVersion({ lake }: TestPlace, url: string, newest: bigint): Promise<Map<string, Sum>> {
  const messages = await messageSums(url), files = new Map<string, Sum>(), expected = new Map<string, Sum>();
  const total = (sums: Iterable<Sum>) =>
    [...sums].reduce((a, b) => ({ rows: a.rows + b.rows, bytes: a.bytes + b.bytes }), { rows: 0, bytes: 0n });
  for (let version = 0n; version <= newest; version++) {
    const actions = await readVersion(tableDirectory(lake, FLOW), version);
    const removed = actions.flatMap(({ remove }) => remove ? [files.get(remove.path)!] : []);
    for (const { remove } of actions) if (remove) files.delete(remove.path);
    for (const { add: added } of actions) {
      if (!added) continue;
      if (!added.dataChange) {
        files.set(added.path, total(removed));
        continue;
      }
      const { date, hour } = added.partitionValues,
        ranges: [string, [string, string]][] = Object.entries(JSON.parse(added.tags!["skyfall.offsets"]!));
      const ofHour = [...messages].filter(([place]) => ranges.some(([source, range]) => isWithin(place, source, range)))
        .flatMap(([, hours]) => hours.get(`${date} ${hour}`) ?? []);
      files.set(added.path, total(ofHour));
    }
    expected.set(String(version), total(files.values()));
  }
  return expected;
}

function isWithin(place: string, source: string, [from, to]: readonly [string, string]): boolean {
  const [partition, offset] = place.split(":");
  return source.endsWith(`:${partition}`) && BigInt(offset!) >= BigInt(from) && BigInt(offset!) < BigInt(to);
}

async function job(...args: string[]): Promise<void> {
  const { code, stderr } = await runTask("jobs", args);
  assert.equal(code, 0, stderr);
}

function startReader(lake: string, stopFile: string): Promise<Deno.CommandOutput> {
  const script = new URL("lake_concurrency/reader.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), { args: ["run", "--no-check", "-A", script, lake, stopFile], stdout: "piped", stderr: "piped" })
    .output();
}

Deno.test("no reader sees a changed result while others append, compact, drop what is old and vacuum", async () => {
  const place = await newPlace(), url = place.topic.replace(/\?.*/, ""), stopFile = `${place.directory}/stop`;
  await publish(place, 0);
  await job("run", "etl", "--topic", url, "--lake", place.lake);
  const readers = Array.from({ length: READERS }, () => startReader(place.lake, stopFile));
  let isWriting = true;
  const write = async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      await publish(place, round);
      await job("run", "etl", "--topic", url, "--lake", place.lake);
    }
    isWriting = false;
  };
  const keep = async () => {
    while (isWriting) {
      await job("run", "compact", "--lake", place.lake, "--keep-days", "flow=2");
      await job("vacuum", "--lake", place.lake, "--retain-hours", "0");
    }
  };
  await Promise.all([write(), keep()]);
  await Deno.writeTextFile(stopFile, "");
  const answers: { version: string; rows: number; bytes: string; places: number }[] = [];
  for (const { success, stdout, stderr } of await Promise.all(readers)) {
    assert.ok(success, new TextDecoder().decode(stderr));
    answers.push(...new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line)));
  }
  const newest = answers.map(({ version }) => BigInt(version)).reduce((a, b) => a > b ? a : b);
  const expected = await expectedByVersion(place, url, newest);
  for (const { version, rows, bytes, places } of answers) {
    assert.deepEqual({ version, rows, bytes: BigInt(bytes), places: rows }, { version, ...expected.get(version)!, places });
  }
  const seen = new Set(answers.map(({ version }) => version));
  assert.ok(seen.size >= 4, `readers saw ${seen.size} versions`);
});
