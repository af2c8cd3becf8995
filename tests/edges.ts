/** What must hold of the edges that the dependencies job has found, for the tests of it. */

import assert from "node:assert/strict";
import { tableFromIPC } from "apache-arrow";
import { EDGE_COLUMNS } from "../lib/edge_columns.ts";
import { openConsumer } from "../lib/topic/open.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import { runEtl } from "../jobs/etl.ts";
import { withLake } from "../jobs/query.ts";
import { ask } from "../jobs/testdata/topic.ts";

const REFERENCE = await Deno.readTextFile(new URL("../jobs/dependencies.sql", import.meta.url));
const READ_BYTES_MAX = 1 << 26;
const KEY = EDGE_COLUMNS.filter(({ name, merge }) =>
  merge === "minute" || merge === "key" || name === "revision" || name === "src_partition"
)
  .map(({ name }) => name);

/**
 * Moves the topic into `flow`, and compares `edge_1m` with what SQL finds there, row by row and in every column.
 *
 * @returns How many rows there are.
 */
export async function assertEqualsBatch(topic: string, lake: string): Promise<number> {
  await runEtl(topic, lake);
  return await withLake(lake, async (database) => {
    const expected = await database.rows(REFERENCE);
    const columns = Object.keys(expected[0] ?? {});
    assert.deepEqual(columns, EDGE_COLUMNS.map(({ name }) => name).filter((name) => name !== "schema_version"));
    const order = REFERENCE.slice(REFERENCE.lastIndexOf("order by"));
    const found = await database.rows(`select ${columns.join(", ")} from edge_1m ${order}`);
    assert.equal(found.length, expected.length);
    for (const [i, row] of found.entries()) assert.deepEqual(row, expected[i]);
    await assertEveryRowIsTold(lake);
    return found.length;
  });
}

/** Each row of a minute that is closed is in one range of a revision, and in one alone. */
async function assertEveryRowIsTold(lake: string): Promise<void> {
  const [row] = await ask(
    lake,
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

/** Rows of the topic of edges by all of their key, and how many came again; what comes again is the same. */
async function publishedEdges(topic: string): Promise<{ readonly rows: Map<string, string>; readonly repeated: number }> {
  await using consumer = await openConsumer(topic);
  const rows = new Map<string, string>();
  let repeated = 0;
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    const { end } = await consumer.offsets(partition), messages: TopicMessage[] = [];
    for (let next = 0n; next < end; next = messages.at(-1)!.offset + 1n) {
      messages.push(...await consumer.read(partition, next, READ_BYTES_MAX));
    }
    for (const { value } of messages) {
      for (const row of tableFromIPC(value)) {
        const { srtt_us_histogram, ...plain } = row.toJSON();
        const texts = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, value === null ? null : String(value)]));
        const text = JSON.stringify({ ...texts, srtt_us_histogram: [...srtt_us_histogram].map(String) });
        const key = KEY.map((name) => texts[name]).join("\u0000");
        if (rows.has(key)) repeated++;
        assert.equal(rows.get(key) ?? text, text);
        rows.set(key, text);
      }
    }
  }
  return { rows, repeated };
}

/** Compares the topic of edges with the table. */
export async function assertPublished(lake: string, topic: string): Promise<void> {
  const { rows } = await publishedEdges(topic);
  const columns = EDGE_COLUMNS.map(({ name }) => name === "window_start" ? "epoch_ms(window_start) as window_start" : name);
  const table = await ask(lake, `select ${columns.join(", ")} from edge_1m`);
  assert.equal(rows.size, table.length);
  for (const row of table) {
    const { srtt_us_histogram, ...plain } = row;
    const texts = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, value === null ? null : String(value)]));
    assert.ok(Array.isArray(srtt_us_histogram));
    const text = rows.get(KEY.map((name) => texts[name]).join("\u0000"));
    assert.deepEqual(JSON.parse(text ?? "null"), { ...texts, srtt_us_histogram });
  }
}
