/** The journal of cuts: the last decision is read back, and half a decision is none. */

import assert from "node:assert/strict";
import { type Cut, CutJournal, filesOfPendingCuts, newCut } from "./cut_journal.ts";

async function newLake(): Promise<string> {
  const lake = await Deno.makeTempDir();
  await Deno.mkdir(`${lake}/_cuts`);
  return lake;
}

function cut(from: bigint): Promise<Cut> {
  return newCut("flows", new Map([[3, [from, from + 5n]], [11, [7n, 8n]]]), "age");
}

async function write(lake: string, ...cuts: Cut[]): Promise<void> {
  using journal = await CutJournal.open(lake, "etl");
  for (const cut of cuts) await journal.write(cut);
}

async function lastOf(lake: string): Promise<Cut | null> {
  using journal = await CutJournal.open(lake, "etl");
  return journal.last;
}

const path = (lake: string) => `${lake}/_cuts/etl.jsonl`;

Deno.test("CutJournal gives the next run the cut that was written last, with every offset and the name of its files", async () => {
  const lake = await newLake(), last = await cut(20n);
  await write(lake, await cut(10n), last);
  assert.deepEqual(await lastOf(lake), last);
});

Deno.test("CutJournal has no cut where a line was not written to its end, and goes on behind it", async () => {
  const lake = await newLake(), text = async () => await Deno.readTextFile(path(lake));
  await write(lake, await cut(10n), await cut(20n));
  const whole = await text();
  for (const length of [whole.length - 1, whole.length - 30, whole.length / 2 + 3]) {
    await Deno.writeTextFile(path(lake), whole.slice(0, Math.floor(length)));
    assert.equal(await lastOf(lake), null);
    const next = await cut(30n);
    await write(lake, next);
    assert.deepEqual(await lastOf(lake), next);
  }
});

Deno.test("CutJournal has no cut where a page of it was lost", async () => {
  const lake = await newLake();
  await write(lake, await cut(10n));
  const bytes = await Deno.readFile(path(lake));
  await Deno.writeFile(path(lake), bytes.fill(0, 40, 80));
  assert.equal(await lastOf(lake), null);
});

Deno.test("CutJournal stays small", async () => {
  const lake = await newLake();
  using journal = await CutJournal.open(lake, "etl");
  const ranges = new Map(Array.from({ length: 1_000 }, (_, partition) => [partition, [0n, 1n]] as const));
  for (let i = 0; i < 80; i++) await journal.write({ ...await cut(1n), ranges });
  const { size } = await Deno.stat(path(lake));
  assert.ok(size < 2 << 20, String(size));
  assert.equal((await lastOf(lake))!.ranges.size, 1_000);
});

Deno.test("filesOfPendingCuts() names the files that a writer may be about to commit", async () => {
  const lake = await newLake(), last = await cut(20n);
  assert.deepEqual(await filesOfPendingCuts(lake), new Set());
  await write(lake, await cut(10n), last);
  assert.deepEqual(await filesOfPendingCuts(lake), new Set([last.file]));
  assert.deepEqual(await filesOfPendingCuts("/nowhere"), new Set());
});
