/** The coverage line: through when an answer is complete, who is silent, and what was given up. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { coverage } from "./coverage.ts";
import { ALL_ONCE, runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { newPlace, publishFlows } from "./testdata/topic.ts";

const NOON_MS = Date.parse("2026-01-02T12:00:00Z");
const MINUTE_MS = 60_000;

/** The line of a lake to which hosts reported last at these minutes after noon. */
async function coverageOf(reports: readonly (readonly [host: string, minute: number])[]): Promise<string> {
  const place = await newPlace(), topic = place.topic.replace(/\?.*/, "");
  {
    await using producer = await openProducer(place.topic);
    for (const [host, minute] of reports) {
      const batch = flowBatch(1, 1), end = BigInt(NOON_MS + minute * MINUTE_MS) * 1_000n;
      const text = { codes: new Int32Array(1), dictionary: [host] };
      const columns = {
        ...batch.columns,
        observer_host_id: text,
        observer_host_name: text,
        window_start: { values: BigInt64Array.of(end - 60_000_000n) },
        window_end: { values: BigInt64Array.of(end) },
      };
      await producer.publish([{ partition: 0, value: encodeFlowBatch({ rowCount: 1, columns }) }]);
    }
  }
  await runEtl(topic, place.lake);
  return await withLake(place.lake, coverage);
}

Deno.test("a table is complete through the time that the last of its observers reported", async () => {
  assert.equal(
    await coverageOf([["a", 30], ["b", 27], ["b", 10], ["c", 31]]),
    "coverage: version 0, 4 rows from 2026-01-02 12:09:00 to 2026-01-02 12:31:00 UTC, complete through 2026-01-02 12:27:00 for 3 of 3 observers, none silent, no gaps, no loss told",
  );
});

Deno.test("an observer that has reported in the hour before, and is silent now, is named", async () => {
  assert.match(
    await coverageOf([["a", 90], ["web", 20]]),
    /complete through 2026-01-02 13:30:00 for 1 of 2 observers, silent: web since 2026-01-02 12:20:00, no gaps/,
  );
});

Deno.test("an observer that has reported in the same hour a day before, and is silent now, is named", async () => {
  assert.match(await coverageOf([["a", 90], ["a", 30], ["db", 80 - 24 * 60]]), /silent: db since 2026-01-01 13:20:00/);
});

Deno.test("a lake without a row says so", async () => {
  assert.equal(await coverageOf([]), "coverage: version 0, no rows, no gaps, no loss told");
});

Deno.test("messages that were given up are counted, for ever", async () => {
  const place = await newPlace(), topic = place.topic.replace(/\?.*/, "");
  await publishFlows(place.topic, 2, 1);
  await runEtl(topic, place.lake);
  await publishFlows(place.topic, 6, 10);
  {
    using database = new DatabaseSync(`${place.directory}/topic.db`);
    database.exec("delete from message where partition = 1 and offset < 3");
  }
  await runEtl(topic, place.lake, { ...ALL_ONCE, acceptedGaps: [{ partition: 1, from: 1n, to: 3n }] });
  assert.match(await withLake(place.lake, coverage), /, 2 messages given up, as was accepted, no loss told$/);
});
