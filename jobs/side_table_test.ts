/** What is kept beside `flow` is kept once, whoever crashed before. */

import assert from "node:assert/strict";
import { Database } from "./duckdb.ts";
import { applicationId } from "./etl_writer.ts";
import type { Cut } from "./lake/cut_journal.ts";
import { versionFile } from "./lake/delta_log.ts";
import { prepareLake } from "./lake/prepare.ts";
import { tableDirectory } from "./lake/table.ts";
import { DEAD_LETTER } from "./lake/tables.ts";
import { type DeadLetter, letterRow } from "./side_rows.ts";
import { SideTable } from "./side_table.ts";
import { ask } from "./testdata/topic.ts";

const TOPIC = "flows", INGEST_TIME = "2026-01-02T03:04:05.000Z";

function cut(file: string, from: bigint, to: bigint): Cut {
  return { file, topic: TOPIC, ranges: new Map([[0, [from, to]]]), ingestTime: INGEST_TIME, reason: "end" };
}

async function keep(table: SideTable, made: Cut, ...offsets: readonly bigint[]): Promise<boolean> {
  const rows = offsets.map((offset) => {
    const letter: DeadLetter = { message: { partition: 0, offset, value: new Uint8Array([1]) }, reason: "no Arrow stream" };
    return letterRow(letter, { topicName: TOPIC, ingestTime: INGEST_TIME });
  });
  const [, to] = made.ranges.get(0)!;
  return await table.keep(rows, made, new Map([[applicationId(TOPIC, 0), to]]));
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

Deno.test("a cut that is taken up again keeps what another writer has not kept since, whatever a crash left under its name", async () => {
  const lake = `${await Deno.makeTempDir()}/lake`;
  await prepareLake(lake);
  using database = await Database.open({ memoryLimit: "64MB", temporaryDirectory: lake });
  const directory = tableDirectory(lake, DEAD_LETTER), made = cut("part-a", 0n, 2n);
  assert.ok(await keep(await SideTable.open(lake, DEAD_LETTER, database, TOPIC), made, 0n, 1n));
  for (const folder of ["_delta_log", "_commits"]) await Deno.remove(`${directory}/${folder}/${versionFile(0n)}`); // a crash before the commit
  const table = await SideTable.open(lake, DEAD_LETTER, database, TOPIC);
  assert.ok(await keep(table, cut("part-b", 0n, 1n), 0n));
  await table.begin(() => undefined);
  assert.deepEqual([0n, 1n].map((offset) => table.has({ partition: 0, offset })), [true, false]);
  assert.ok(await keep(table, made, 1n));
  assert.deepEqual(await ask(lake, "select src_offset::integer as place from dead_letter order by 1"), [{ place: 0 }, { place: 1 }]);
});
