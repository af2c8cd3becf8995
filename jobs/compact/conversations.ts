/**
 * Finds the conversations of whole hours of flows once, for all questions: `conversation_1m` has what
 * `analytics/views/flow_conversation.sql` finds.
 */

import { createView } from "../analytics/analysis.ts";
import { CONVERSATION_VIEWS } from "../conversations.ts";
import type { Database } from "../duckdb.ts";
import { writeDataFile } from "../lake/data_file.ts";
import type { AddFile, Snapshot } from "../lake/delta_log.ts";
import { filesByHour, type Hour, keptHours, keyOf, SOURCE_TAG, sourceOf } from "../lake/kept_hours.ts";
import { replace } from "../lake/replace.ts";
import { readTable, selectFiles, tableDirectory } from "../lake/table.ts";
import { CONVERSATION_1M, FLOW } from "../lake/tables.ts";
import { timeLiteral } from "../portable_sql.ts";
import { Progress } from "../progress.ts";
import { MERGED_PREFIX } from "./merge.ts";
import { SORTED_TAG, sortedTag } from "./plan.ts";

const HOUR_MS = 3_600_000, MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
/** Rows that are looked at together, whole minutes of them: what is found of so many fits in memory. */
const PART_ROWS = 700_000;
/** Flows of an hour may come so long after it; until then its conversations are found with each question. */
const OPEN_MS = 600_000;

/** What a run did. */
export interface ConversationsResult {
  /** Hours whose conversations were found. */
  readonly hours: number;
  /** Hours that the flows no longer have. */
  readonly dropped: number;
}

/**
 * Finds the conversations of every hour that is over and whose flows are not those that its conversations were found from.
 *
 * @throws {LakeError} If a table cannot be read or written.
 */
export async function keepConversations(database: Database, lake: string): Promise<ConversationsResult> {
  const directory = tableDirectory(lake, CONVERSATION_1M);
  const flow = await readTable(tableDirectory(lake, FLOW), FLOW, database);
  let snapshot = await readTable(directory, CONVERSATION_1M, database), hours = 0;
  const kept = new Set(keptHours(flow, snapshot).map(keyOf)), all = filesByHour(flow);
  const open = all.filter(({ hour }) => Date.now() >= startMs(hour) + HOUR_MS + OPEN_MS && !kept.has(keyOf(hour)));
  const progress = new Progress(`find ${CONVERSATION_1M.name}`, open.length, "hours");
  for (const { hour, files } of open) {
    const add = await writeConversations(database, lake, hour, files);
    const replaced = await commit(directory, snapshot, hour, [add], database);
    if (replaced !== null) hours++;
    snapshot = replaced ?? await readTable(directory, CONVERSATION_1M, database);
    progress.advance(1);
  }
  progress.end();
  const present = new Set(all.map(({ hour }) => keyOf(hour)));
  const gone = filesByHour(snapshot).filter(({ hour }) => !present.has(keyOf(hour)));
  for (const { hour } of gone) snapshot = await commit(directory, snapshot, hour, [], database) ?? snapshot;
  return { hours, dropped: gone.length };
}

/** Replaces what the hour has; null where somebody else did. */
async function commit(
  directory: string,
  snapshot: Snapshot,
  hour: Hour,
  adds: readonly AddFile[],
  database: Database,
): Promise<Snapshot | null> {
  const removes = filesByHour(snapshot).find((other) => keyOf(other.hour) === keyOf(hour))?.files ?? [];
  return await replace(directory, CONVERSATION_1M, snapshot, {
    operation: adds.length === 0 ? "DELETE" : "MERGE",
    parameters: { partition: JSON.stringify(hour) },
    removes,
    adds,
    dataChange: true,
    transactions: new Map(),
  }, database);
}

async function writeConversations(database: Database, lake: string, hour: Hour, files: readonly AddFile[]): Promise<AddFile> {
  await database.run(
    `create or replace temporary view hour_flow as ${selectFiles(tableDirectory(lake, FLOW), FLOW, files.map(({ path }) => path))}`,
  );
  const [{ rows } = {}] = await database.rows("select count(*)::integer as rows from hour_flow");
  const partMinutes = Math.max(1, Math.floor(HOUR_MINUTES * PART_ROWS / Math.max(PART_ROWS, Number(rows))));
  for (const macro of database.macros) await database.run(macro);
  for (let first = 0; first < HOUR_MINUTES; first += partMinutes) {
    const time = (minute: number) => timeLiteral(startMs(hour) + Math.min(minute, HOUR_MINUTES) * MINUTE_MS);
    const within = `window_start >= ${time(first)} and window_start < ${time(first + partMinutes)}`;
    await database.run(`create or replace temporary view remaining_flow as select * from hour_flow where ${within}`);
    for (const view of CONVERSATION_VIEWS) await createView(database, view);
    await database.run(
      first === 0
        ? "create or replace temporary table hour_conversation as select * from flow_conversation"
        : "insert into hour_conversation select * from flow_conversation",
    );
  }
  await database.run("create or replace temporary view found_conversation as select * from hour_conversation");
  await createView(database, "conversation_row");
  const add = await writeDataFile(database, tableDirectory(lake, CONVERSATION_1M), CONVERSATION_1M, {
    select: `select * from conversation_row order by ${CONVERSATION_1M.sortColumns.join(", ")}`,
    name: `${MERGED_PREFIX}-${crypto.randomUUID()}`,
    partition: { ...hour },
    tags: { [SORTED_TAG]: sortedTag(CONVERSATION_1M), [SOURCE_TAG]: sourceOf(files) },
  });
  await database.run("drop table hour_conversation");
  return add;
}

function startMs({ date, hour }: Hour): number {
  return Date.parse(`${date}T00:00:00Z`) + Number(hour) * HOUR_MS;
}
