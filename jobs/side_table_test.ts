/** What is kept beside `flow` is kept once, whoever crashed before. */

import assert from "node:assert/strict";
import { Database } from "./duckdb.ts";
import { applicationId } from "./etl_writer.ts";
import type { Cut } from "./lake/cut_journal.ts";
import { prepareLake } from "./lake/prepare.ts";
import { DEAD_LETTER } from "./lake/tables.ts";
import { type DeadLetter, letterRow } from "./side_rows.ts";
import { SideTable } from "./side_table.ts";

const TOPIC = "flows", INGEST_TIME = "2026-01-02T03:04:05.000Z";

function cut(file: string, from: bigint, to: bigint): Cut {
  return { file, topic: TOPIC, ranges: new Map([[0, [from, to]]]), ingestTime: INGEST_TIME, reason: "end" };
}

async function keep(table: SideTable, made: Cut, offset: bigint): Promise<boolean> {
  const letter: DeadLetter = { message: { partition: 0, offset, value: new Uint8Array([1]) }, reason: "no Arrow stream" };
  const [, to] = made.ranges.get(0)!;
  return await table.keep(
    [letterRow(letter, { topicName: TOPIC, ingestTime: INGEST_TIME })],
    made,
    new Map([[applicationId(TOPIC, 0), to]]),
  );
}

Deno.test("what a writer kept before it crashed is found also after another, of an older cut, has kept something", async () => {
  const lake = `${await Deno.makeTempDir()}/lake`;
  await prepareLake(lake);
  using database = await Database.open({ memoryLimit: "64MB", temporaryDirectory: lake });
  const table = await SideTable.open(lake, DEAD_LETTER, database, TOPIC);
  assert.ok(await keep(table, cut("part-a", 5n, 10n), 9n));
  assert.ok(await keep(table, cut("part-b", 0n, 5n), 3n));
  await table.begin(() => 5n);
  assert.deepEqual([4n, 9n].map((offset) => table.has({ partition: 0, offset })), [false, true]);
});
