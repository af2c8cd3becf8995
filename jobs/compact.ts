/**
 * Keeps the lake in order: adds up minutes to hours and days, drops what is too old, makes few sorted files of many small ones, and finds
 * the conversations of whole hours.
 *
 * Each step is one commit of the table's log, so readers see the table as before or after, and a run that is stopped leaves only
 * files that nobody sees. Appends of others go on meanwhile.
 */

import { removeIfPresent } from "../lib/durable_file.ts";
import { log } from "../lib/log.ts";
import { keepConversations } from "./compact/conversations.ts";
import { writeMerged } from "./compact/merge.ts";
import { planMerges } from "./compact/plan.ts";
import { dropExpired, type KeepDays } from "./compact/retention.ts";
import { OvertakenError, ROLL_UPS, rollUp } from "./compact/roll_up.ts";
import { Database } from "./duckdb.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { Lease } from "./lake/lease.ts";
import { assertTables, prepareLake } from "./lake/prepare.ts";
import { putBackOverwritten } from "./lake/put_back.ts";
import { replace } from "./lake/replace.ts";
import { dataFilePath, readTable, refreshTable, tableDirectory } from "./lake/table.ts";
import { AGENT_LOSS, EDGE_1M, FLOW, TABLES } from "./lake/tables.ts";
import { withLock } from "./lock.ts";
import { Progress } from "./progress.ts";

/** A sort of more goes on in files of the staging folder. */
const MEMORY_LIMIT = "512MB";
/** It has time: two threads take a quarter more of the processors for the same rows, and more memory. */
const THREADS = 1;

/** What a run did. */
export interface CompactResult {
  /** Files that became others, and those that they became. */
  readonly filesBefore: number;
  readonly filesAfter: number;
  readonly rows: number;
  /** Files of days and hours that are no longer kept. */
  readonly dropped: number;
  /** Days of edges that were added up anew. */
  readonly rolledDays: number;
  /** Hours whose conversations were found. */
  readonly conversationHours: number;
}

/**
 * @param keepDays Tables that are not named are kept for ever.
 * @returns Null where another run is at work: it holds the lock, or, on a host that the lock does not reach, was first.
 * @throws {LakeError} If there is no lake, or it cannot be read or written.
 */
export async function runCompact(lake: string, keepDays: KeepDays): Promise<CompactResult | null> {
  assertTables(lake);
  await prepareLake(lake);
  return await withLock(compactLock(lake), async () => {
    using _lease = await Lease.forWriting(lake);
    using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: `${lake}/_staging`, threads: THREADS });
    for (const table of TABLES) await putBackOverwritten(tableDirectory(lake, table), table, database);
    // What cannot be read is told before anything is changed.
    for (const table of TABLES) await readTable(tableDirectory(lake, table), table, database);
    const minutes = await readTable(tableDirectory(lake, EDGE_1M), EDGE_1M, database);
    const rolledDays = await rollUpAll(database, lake, minutes);
    // What the other run added up may be of fewer minutes than are known here: nothing may be dropped for it.
    if (rolledDays === null) return null;
    const dropped = await dropAll(database, lake, keepDays, minutes);
    const merged = await mergeAll(database, lake), conversations = await keepConversations(database, lake);
    if (conversations.hours > 0) log("info", "jobs", "found conversations", { hours: conversations.hours });
    return { rolledDays, dropped, ...merged, conversationHours: conversations.hours };
  });
}

/** Held by whoever rewrites or deletes files. */
export function compactLock(lake: string): string {
  return `${lake}/_locks/compact`;
}

/** Null where another run was first. */
async function rollUpAll(database: Database, lake: string, minutes: Snapshot): Promise<number | null> {
  if (minutes.version < 0n) return 0;
  let rolled = 0;
  try {
    for (const step of ROLL_UPS) {
      const { files, days } = await rollUp(database, lake, minutes, step);
      if (files > 0) log("info", "jobs", "rolled up", { table: step.target.name, files, days });
      rolled += days;
    }
  } catch (error) {
    if (!(error instanceof OvertakenError)) throw error;
    log("warn", "jobs", "another compaction was first", { error: error.message });
    return null;
  }
  return rolled;
}

/** @param minutes What was added up: of `edge_1m` nothing else may go. */
async function dropAll(database: Database, lake: string, keepDays: KeepDays, minutes: Snapshot): Promise<number> {
  let all = 0;
  for (const definition of TABLES) {
    // What was lost is of use as long as what was not.
    const days = keepDays.get(definition.name) ?? (definition === AGENT_LOSS ? keepDays.get(FLOW.name) : undefined);
    if (days === undefined) continue;
    const snapshot = definition === EDGE_1M ? minutes : await readTable(tableDirectory(lake, definition), definition, database);
    const newest = definition === AGENT_LOSS ? await readTable(tableDirectory(lake, FLOW), FLOW, database) : snapshot;
    const dropped = await dropExpired(database, lake, definition, snapshot, days, newest);
    if (dropped > 0) log("info", "jobs", "dropped what is too old", { table: definition.name, keep_days: days, files: dropped });
    all += dropped;
  }
  return all;
}

async function mergeAll(database: Database, lake: string): Promise<Pick<CompactResult, "filesBefore" | "filesAfter" | "rows">> {
  let filesBefore = 0, filesAfter = 0, rows = 0;
  for (const definition of TABLES) {
    const directory = tableDirectory(lake, definition);
    let snapshot: Snapshot = await readTable(directory, definition, database);
    const merges = planMerges(definition, snapshot);
    if (merges.length === 0) continue;
    const progress = new Progress(`compact ${definition.name}`, merges.reduce((sum, { inputs }) => sum + inputs.length, 0), "files");
    let own = 0, made = 0;
    for (const merge of merges) {
      const add = await writeMerged(database, directory, definition, merge);
      const replaced = await replace(directory, definition, snapshot, {
        operation: "OPTIMIZE",
        parameters: { partition: JSON.stringify(merge.partition), files: String(merge.inputs.length), rows: add.tags!["skyfall.rows"]! },
        removes: merge.inputs,
        adds: [add],
        dataChange: false,
        transactions: new Map(),
      }, database);
      if (replaced === null) { // somebody else has taken these files
        await removeIfPresent(dataFilePath(directory, add.path));
        snapshot = await refreshTable(directory, definition, snapshot);
      } else {
        snapshot = replaced;
        own += merge.inputs.length;
        made++;
        rows += Number(add.tags!["skyfall.rows"]);
      }
      progress.advance(merge.inputs.length);
    }
    progress.end();
    log("info", "jobs", "compacted", { table: definition.name, files_before: own, files_after: made });
    filesBefore += own;
    filesAfter += made;
  }
  return { filesBefore, filesAfter, rows };
}
