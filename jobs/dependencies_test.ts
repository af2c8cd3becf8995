/** The dependencies job: what it finds as rows come equals what SQL finds in the lake afterwards, whatever happens on the way. */

import assert from "node:assert/strict";
import { EDGE_COLUMNS } from "../lib/edge_columns.ts";
import { openProducer } from "../lib/topic/open.ts";
import { DEFAULT_LATENESS_MINUTES, type DependenciesOptions, runDependencies } from "./dependencies.ts";
import { runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { conversationMessage } from "./testdata/conversations.ts";
import { ask, newPlace, type TestPlace } from "./testdata/topic.ts";

const REFERENCE = await Deno.readTextFile(new URL("dependencies.sql", import.meta.url));
const MESSAGE_ROWS = 120;

const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const OPTIONS: DependenciesOptions = {
  partitions: null,
  group: null,
  follow: false,
  acceptedGaps: [],
  latenessMinutes: DEFAULT_LATENESS_MINUTES,
  outputTopic: null,
};

/** Publishes a message a third of a minute to either partition. */
async function publish(place: TestPlace, from: number, to: number): Promise<void> {
  await using producer = await openProducer(place.topic);
  for (let i = from; i < to; i++) {
    await producer.publish([0, 1].map((partition) => ({
      partition,
      value: conversationMessage(MESSAGE_ROWS, 2 * i + partition, Math.floor(i / 3)),
    })));
  }
}

/** Moves the topic into `flow`, and compares `edge_1m` with what SQL finds there, row by row and in every column. */
async function assertEqualsBatch(place: TestPlace): Promise<number> {
  await runEtl(url(place), place.lake);
  return await withLake(place.lake, async (database) => {
    const expected = await database.rows(REFERENCE);
    const columns = Object.keys(expected[0] ?? {});
    assert.deepEqual(columns, EDGE_COLUMNS.map(({ name }) => name).filter((name) => name !== "schema_version"));
    const order = REFERENCE.slice(REFERENCE.lastIndexOf("order by"));
    const found = await database.rows(`select ${columns.join(", ")} from edge_1m ${order}`);
    assert.equal(found.length, expected.length);
    for (const [i, row] of found.entries()) assert.deepEqual(row, expected[i]);
    await assertEveryRowIsTold(place);
    return found.length;
  });
}

/** Each row of a minute that is closed is in one range of a revision, and in one alone. */
async function assertEveryRowIsTold(place: TestPlace): Promise<void> {
  const [row] = await ask(
    place.lake,
    `with ranges as (
      select src_partition, window_start, src_offset_from, max(src_offset_to) as src_offset_to from edge_1m group by all
    ),
    told as (
      select f.src_partition, f.src_offset, f.src_index, count(r.src_offset_to) as ranges
      from flow f
      left join ranges r on r.src_partition = f.src_partition and r.window_start = date_trunc('minute', f.window_start)
        and f.src_offset >= r.src_offset_from and f.src_offset < r.src_offset_to
      where f.src_offset < (select max(src_offset_to) from edge_1m e where e.src_partition = f.src_partition)
        and f.window_start < (select max(window_start) from edge_1m e where e.src_partition = f.src_partition and revision = 0)
      group by all
    )
    select count(*) as rows, count(*) filter (where ranges <> 1) as wrong from told`,
  );
  assert.equal(row!["wrong"], "0");
  assert.notEqual(row!["rows"], "0");
}

Deno.test("runDependencies() finds what SQL finds in the lake, late rows too", async () => {
  const place = await newPlace();
  await publish(place, 0, 60);
  await runDependencies(url(place), place.lake, OPTIONS);
  assert.ok(await assertEqualsBatch(place) > 1_000);
  const [row] = await ask(place.lake, "select count(*) filter (where revision > 0) as late, count(distinct hour) as hours from edge_1m");
  assert.notEqual(row!["late"], "0");
  assert.equal(row!["hours"], "2");
});
