/**
 * Makes files of `edge_1m` again: the rows of each lost revision's offsets, from the topic or else from `flow`, added up by the
 * reference (`dependencies.sql`), which finds every edge of the job again in every column.
 */

import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION } from "../../lib/edge_columns.ts";
import { parseRevisions, type Revision, REVISIONS_PARAMETER } from "../dependencies/revisions.ts";
import type { AddFile } from "../lake/delta_log.ts";
import type { OffsetSpan } from "../lake/offsets.ts";
import { dataFilePath, isDataFile, readTable, selectPaths, tableDirectory } from "../lake/table.ts";
import { FLOW } from "../lake/tables.ts";
import { sqlList, sqlText } from "../sql_text.ts";
import { Origins } from "./origins.ts";
import { type Restored, type RestoreTask, writeRestored } from "./restored.ts";
import { hasAll, type Hour, writeTopicRows } from "./topic_rows.ts";

const REFERENCE = new URL("../dependencies.sql", import.meta.url);
const HOUR_US = 3_600_000_000;
const RANGE = "src_topic, src_partition, window_start, src_offset_from, src_offset_to";

export async function restoreEdges(task: RestoreTask): Promise<Restored> {
  const { database, damaged, file } = task, hour = hourOf(file);
  const lost = revisionsOf(task, file);
  if (lost === null) return { add: null, why: "whose commits do not tell which revisions it held" };
  const spans = spansOf(lost), paths = await rowsOf(task, spans, hour);
  if (paths === null) return { add: null, why: "whose rows neither the topic nor flow has as a whole" };
  await database.run(`create or replace temp view flow as ${selectPaths(FLOW, paths)}`);
  const others = damaged.filter((other) => isSameHour(hourOf(other), hour)).flatMap((other) => revisionsOf(task, other) ?? []);
  await createRanges(task, [...lost, ...others], hour);
  await database.run("create or replace temp table lost_range as from told_range limit 0");
  await insertRanges(task, "lost_range", lost);
  await database.run(`create or replace temp table expected as ${await Deno.readTextFile(REFERENCE)}`);
  const columns = EDGE_COLUMNS.map(({ name, type }) =>
    name === "schema_version" ? `${EDGE_SCHEMA_VERSION}::${type} as ${name}` : `${name}::${type} as ${name}`
  );
  return await writeRestored(task, `select ${columns.join(", ")} from expected semi join lost_range using (${RANGE})`);
}

function hourOf({ partitionValues }: AddFile): Hour {
  return { date: partitionValues["date"] ?? "", hour: partitionValues["hour"] ?? "" };
}

function isSameHour(a: Hour, b: Hour): boolean {
  return a.date === b.date && a.hour === b.hour;
}

/** Revisions that the file held; null where the log does not tell. */
function revisionsOf({ origins }: RestoreTask, file: AddFile): Revision[] | null {
  const { date, hour } = hourOf(file), startUs = Date.parse(`${date}T${hour.padStart(2, "0")}:00:00Z`) * 1_000;
  const all: Revision[] = [];
  const known = origins.of(file.path);
  if (known === null) return null;
  for (const { parameters } of known) {
    const revisions = parseRevisions(parameters[REVISIONS_PARAMETER]);
    if (revisions === null) return null;
    all.push(...revisions.filter((revision) => revision.startUs >= startUs && revision.startUs < startUs + HOUR_US));
  }
  return all;
}

/** Of each partition, the span that holds all of its revisions. */
function spansOf(revisions: readonly Revision[]): OffsetSpan[] {
  const places = Map.groupBy(revisions, ({ topicName, partition }) => `${topicName}:${partition}`);
  return [...places.values()].map((some) => ({
    topicName: some[0]!.topicName,
    partition: some[0]!.partition,
    from: BigInt(some.reduce((least, { offsetFrom }) => Math.min(least, offsetFrom), Infinity)),
    to: BigInt(some.reduce((greatest, { offsetTo }) => Math.max(greatest, offsetTo), 0)),
  }));
}

/** Files with all of the hour's rows of these offsets; null where nobody has them. */
async function rowsOf(
  { lake, database, consumer, folder }: RestoreTask,
  spans: readonly OffsetSpan[],
  hour: Hour,
): Promise<string[] | null> {
  if (consumer !== null && await hasAll(consumer, spans)) {
    return await writeTopicRows(consumer, folder, { spans, hour, ingestTime: new Date().toISOString() });
  }
  const directory = tableDirectory(lake, FLOW), { files, transactions } = await readTable(directory, FLOW, database);
  for (const { topicName, partition, to } of spans) {
    if ((transactions.get(`skyfall-etl:${topicName}:${partition}`) ?? 0n) < to) return null;
  }
  const ofHour = [...files.values()].filter((file) => isSameHour(hourOf(file), hour)).map(({ path }) => dataFilePath(directory, path));
  for (const path of ofHour) if (!await isDataFile(path)) return null;
  const { dropped } = await Origins.read(directory);
  return dropped.some((values) => values["date"] === hour.date && values["hour"] === hour.hour) ? null : ofHour;
}

/** The view `edge_1m` of the hour's revisions, those of files that can be read among them: a revision is what changes from the one before. */
async function createRanges(task: RestoreTask, revisions: readonly Revision[], hour: Hour): Promise<void> {
  const { database, readable } = task;
  await database.run(`create or replace temp table told_range (src_topic varchar, src_partition integer, window_start timestamptz,
    src_offset_from bigint, src_offset_to bigint, revision bigint)`);
  await insertRanges(task, "told_range", revisions);
  const intact = [...readable].filter(([, file]) => isSameHour(hourOf(file), hour)).map(([path]) => path);
  if (intact.length > 0) {
    await database.run(
      `insert into told_range select distinct ${RANGE}, revision from read_parquet(${sqlList(intact)}, union_by_name = true)`,
    );
  }
  await database.run("create or replace temp view edge_1m as select distinct * from told_range");
}

async function insertRanges({ database }: RestoreTask, table: string, revisions: readonly Revision[]): Promise<void> {
  if (revisions.length === 0) return;
  const values = revisions.map(({ topicName, partition, startUs, offsetFrom, offsetTo, revision }) =>
    `(${sqlText(topicName)}, ${partition}, make_timestamptz(${startUs}), ${offsetFrom}, ${offsetTo}, ${revision})`
  );
  await database.run(`insert into ${table} values ${values.join(", ")}`);
}
