/** Retention drops whole hours and days that are too old, and nothing for a clock that runs ahead. */

import assert from "node:assert/strict";
import { runCompact } from "./compact.ts";
import { expiredFiles, parseKeepDays } from "./compact/retention.ts";
import { runEtl } from "./etl.ts";
import type { AddFile } from "./lake/delta_log.ts";
import { parseAsOf } from "./lake/time_travel.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows } from "./testdata/topic.ts";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch, START_US } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";

const DAY_US = 86_400_000_000;

function file(date: string, hour: number | null): AddFile {
  const partitionValues: Record<string, string> = hour === null ? { date } : { date, hour: String(hour) };
  return { path: `${date}/${hour}`, partitionValues, size: 1, modificationTime: 0, dataChange: true };
}

const expired = (files: AddFile[], keepDays: number, now: string) => expiredFiles(files, keepDays, Date.parse(now)).map(({ path }) => path);

Deno.test("expiredFiles() are of hours and days that ended before what is kept began", () => {
  const hours = [file("2026-01-01", 9), file("2026-01-01", 10), file("2026-01-02", 10)];
  assert.deepEqual(expired(hours, 1, "2026-01-02T11:00:00Z"), ["2026-01-01/9", "2026-01-01/10"]);
  assert.deepEqual(expired(hours, 1, "2026-01-02T10:59:59Z"), ["2026-01-01/9"]);
  const days = [file("2026-01-01", null), file("2026-01-02", null), file("2026-01-03", null)];
  assert.deepEqual(expired(days, 2, "2026-01-04T00:00:00Z"), ["2026-01-01/null"]);
});

Deno.test("expiredFiles() has none for a clock that runs ahead, nor for rows of the future", () => {
  const hours = [file("2026-01-01", 9), file("2026-01-02", 10)];
  assert.deepEqual(expired(hours, 2, "2027-01-01T00:00:00Z"), []);
  assert.deepEqual(expired([...hours, file("2027-01-01", 0)], 2, "2026-01-02T11:00:00Z"), []);
});

Deno.test("runCompact() drops what is older than it is told to keep, of that table alone", async () => {
  const place = await newPlace(), url = place.topic.replace(/\?.*/, "");
  await publishFlows(place.topic, 2, 1);
  {
    await using producer = await openProducer(place.topic);
    await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(7, 3, START_US + 3 * DAY_US)) }]);
  }
  await runEtl(url, place.lake);
  const count = () => ask(place.lake, "select count(*)::integer as rows from flow");
  await runCompact(place.lake, new Map([["edge_1m", 1], ["flow", 4]]));
  assert.deepEqual(await count(), [{ rows: 2 * MESSAGE_ROWS + 7 }]);
  assert.ok((await runCompact(place.lake, new Map([["flow", 2]])))!.dropped > 0);
  assert.deepEqual(await count(), [{ rows: 7 }]);
  assert.equal((await runEtl(url, place.lake)).rows, 0);
});

Deno.test("parseKeepDays() takes a table and days, and says what it needs", () => {
  assert.deepEqual(parseKeepDays("edge_1m=90"), ["edge_1m", 90]);
  for (const text of ["flow", "flow=0", "flow=-1", "flows=3", "flow=1.5"]) {
    assert.throws(() => parseKeepDays(text), { name: "SyntaxError", message: /needed a table and at least 1 day, such as "flow=30"/ });
  }
});

Deno.test("parseAsOf() takes a version or a time, in UTC unless it says otherwise", () => {
  assert.deepEqual(parseAsOf("17"), { version: 17n });
  const timeMs = Date.UTC(2026, 0, 2, 3, 4);
  for (const text of ["2026-01-02T03:04", "2026-01-02 03:04:00", "2026-01-02T03:04:00.000Z", "2026-01-02T05:04+02:00"]) {
    assert.deepEqual(parseAsOf(text), { timeMs });
  }
  assert.deepEqual(parseAsOf("2026-01-02"), { timeMs: Date.UTC(2026, 0, 2) });
  for (const text of ["-1", "yesterday", "2026-13-02", "2026-01-02T25:00", ""]) {
    assert.throws(() => parseAsOf(text), { name: "SyntaxError", message: /needed a version such as 17, or a time/ });
  }
});
