/**
 * Adds up minutes of service edges to hours and days.
 *
 * Rows of edges may always be added up, those that came late too. So a run reads only what was appended since the version of
 * `edge_1m` that the last one has committed (a `txn` action of the rolled-up table), adds it to the rows of the same days, and
 * replaces those: each row counts once, also after a crash, and after the minutes themselves are gone.
 */

import { type EdgeColumn, HISTOGRAM_BUCKETS, ROLLED_EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { log } from "../../lib/log.ts";
import type { Database } from "../duckdb.ts";
import { writeDataFile } from "../lake/data_file.ts";
import { type AddFile, LakeError, listLog, readVersion, type Snapshot } from "../lake/delta_log.ts";
import { replace } from "../lake/replace.ts";
import { dataFilePath, isDataFile, readTable, selectFiles, type TableDefinition, tableDirectory } from "../lake/table.ts";
import { EDGE_1D, EDGE_1H, EDGE_1M } from "../lake/tables.ts";
import { Progress } from "../progress.ts";
import { MERGED_PREFIX } from "./merge.ts";
import { SORTED_TAG, sortedTag } from "./plan.ts";

/** A table of sums, and the time that a row of it is of. */
export interface RollUp {
  readonly target: TableDefinition;
  readonly unit: "hour" | "day";
}

export const ROLL_UPS: readonly RollUp[] = [{ target: EDGE_1H, unit: "hour" }, { target: EDGE_1D, unit: "day" }];

/** Application id of the `txn` action whose version is that of `edge_1m` up to which it is added up: of one that was made anew, another. */
export function sourceApplication({ metaData }: Snapshot): string {
  return `skyfall-rollup:edge_1m:${metaData?.id}`;
}

/** What a run did. */
export interface RollUpResult {
  /** Files of `edge_1m` that it read. */
  readonly files: number;
  /** Days whose rows it replaced. */
  readonly days: number;
}

/**
 * Adds up what is in the snapshot of `edge_1m` and not yet in the target.
 *
 * @throws {LakeError} If a table cannot be read or written, minutes that were never added up are gone, or another run is at it.
 */
export async function rollUp(database: Database, lake: string, source: Snapshot, { target, unit }: RollUp): Promise<RollUpResult> {
  const directory = tableDirectory(lake, target), sourceDirectory = tableDirectory(lake, EDGE_1M);
  const snapshot = await readTable(directory, target, database);
  const application = sourceApplication(source), done = snapshot.transactions.get(application);
  if (source.version < 0n || done === source.version) return { files: 0, days: 0 };
  const { added, isWhole } = await addedSince(sourceDirectory, source, done ?? -1n);
  const days = Map.groupBy(added, ({ partitionValues }) => partitionValues["date"] ?? "");
  const adds: AddFile[] = [], removes: AddFile[] = [];
  const progress = new Progress(`roll up ${target.name}`, added.length, "files");
  for (const [date, files] of days) {
    const old = [...snapshot.files.values()].filter(({ partitionValues }) => partitionValues["date"] === date);
    const sums = isWhole || old.length === 0 ? null : selectFiles(directory, target, old.map(({ path }) => path));
    await database.run(`create or replace table rolled as ${sums ?? selectNone(target)}`);
    for (const hour of Map.groupBy(files, ({ partitionValues }) => partitionValues["hour"]).values()) {
      await addHour(database, unit, selectFiles(sourceDirectory, EDGE_1M, hour.map(({ path }) => path)));
      progress.advance(hour.length);
    }
    adds.push(
      await writeDataFile(database, directory, target, {
        select: `select * from rolled order by ${target.sortColumns.join(", ")}`,
        name: `${MERGED_PREFIX}-${crypto.randomUUID()}`,
        partition: { date },
        tags: { [SORTED_TAG]: sortedTag(target) },
      }),
    );
    removes.push(...old);
  }
  progress.end();
  const replaced = await replace(directory, target, snapshot, {
    operation: "MERGE",
    parameters: { source: EDGE_1M.name, sourceVersion: String(source.version) },
    removes,
    adds,
    dataChange: true,
    transactions: new Map([[application, source.version]]),
  }, database);
  if (replaced === null) throw new LakeError(`Cannot roll up to "${directory}": another run has changed it meanwhile; run this again`);
  return { files: added.length, days: days.size };
}

/** Files that hold what was appended after the version `done`; all there are, to begin anew, where its log is no longer whole. */
async function addedSince(
  directory: string,
  source: Snapshot,
  done: bigint,
): Promise<{ readonly added: readonly AddFile[]; readonly isWhole: boolean }> {
  const whole = { added: [...source.files.values()], isWhole: true };
  if (done < 0n || done > source.version) return whole; // the first time, or a table that was restored from an older copy
  if (listLog(directory).versions[0]! > done + 1n) {
    log("warn", "jobs", "the log of edge_1m since the last roll-up is gone: the days that it has are added up anew", {
      done: String(done),
    });
    return whole;
  }
  const added: AddFile[] = [];
  for (let version = done + 1n; version <= source.version; version++) {
    for (const { add } of await readVersion(directory, version)) if (add?.dataChange === true) added.push(add);
  }
  for (const { path } of added) {
    if (source.files.has(path) || await isDataFile(dataFilePath(directory, path))) continue;
    throw new LakeError(
      `Cannot add up "${directory}": file "${path}" was appended after version ${done}, and is gone; restore it, or remove "${EDGE_1H.name}" and "${EDGE_1D.name}" to add up anew what is there`,
    );
  }
  return { added, isWhole: false };
}

/** Adds an hour's minutes to the table `rolled`: one hour at a time, as a day's sums may be more than fit in memory. */
async function addHour(database: Database, unit: RollUp["unit"], minutes: string): Promise<void> {
  const columns = ROLLED_EDGE_COLUMNS.map(({ name, merge }) => merge === "minute" ? `date_trunc('${unit}', ${name}) as ${name}` : name);
  const keys = ROLLED_EDGE_COLUMNS.filter(({ merge }) => merge === "minute" || merge === "key").map(({ name }) => name).join(", ");
  const sums = ROLLED_EDGE_COLUMNS.map((column) => `${mergeSql(column)} as ${column.name}`).join(", ");
  const add = (rows: string) => `select ${sums} from (${rows}) group by ${keys}`;
  await database.run(`create or replace table hour as ${add(`select ${columns.join(", ")} from (${minutes})`)}`);
  const isOfHour = "window_start in (select window_start from hour)";
  await database.run(`create or replace table both_sums as ${add(`from hour union all by name from rolled where ${isOfHour}`)}`);
  await database.run(`delete from rolled where ${isOfHour}`);
  await database.run("insert into rolled by name from both_sums");
}

function selectNone({ columns }: TableDefinition): string {
  return `select ${columns.map(({ name, type }) => `null::${type} as ${name}`).join(", ")} where false`;
}

function mergeSql({ name, type, merge }: EdgeColumn): string {
  switch (merge) {
    case "minute":
    case "key":
    case "source":
      return name;
    case "sum":
      return `sum(${name})::${type}`;
    case "min":
    case "max":
      return `${merge}(${name})`;
    case "sum of each":
      return `[${Array.from({ length: HISTOGRAM_BUCKETS }, (_, i) => `sum(${name}[${i + 1}])::bigint`).join(", ")}]`;
  }
}
