/**
 * Adds up minutes of service edges to hours and days.
 *
 * Rows of edges may always be added up, those that came late too. So a run reads only what was appended since the version of
 * `edge_1m` that the last one has committed (a `txn` action of the rolled-up table), adds it to the rows of the same days, and
 * replaces those: each row counts once, also after a crash, and after the minutes themselves are gone.
 */

import { log } from "../../lib/log.ts";
import type { Database } from "../duckdb.ts";
import { stagingDirectory, writeDataFile } from "../lake/data_file.ts";
import { type AddFile, LakeError, listLog, type LogAction, readVersion, type Snapshot } from "../lake/delta_log.ts";
import { replace } from "../lake/replace.ts";
import { assertFiles, dataFilePath, isDataFile, readTable, selectFiles, type TableDefinition, tableDirectory } from "../lake/table.ts";
import { EDGE_1D, EDGE_1H, EDGE_1M } from "../lake/tables.ts";
import { Progress } from "../progress.ts";
import { DaySums, type SumUnit } from "./day_sums.ts";
import { MERGED_PREFIX } from "./merge.ts";
import { SORTED_TAG, sortedTag } from "./plan.ts";

/** Another run has added up meanwhile: what this one found is not needed. */
export class OvertakenError extends LakeError {}

/** A table of sums. */
export interface RollUp {
  readonly target: TableDefinition;
  readonly unit: SumUnit;
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
 * @param anew Days whose sums are made anew, whatever they were: with SQL that gives all rows to add up, or null for their minutes.
 * @throws {LakeError} If a table cannot be read or written, or minutes that were never added up are gone.
 * @throws {OvertakenError} If another run was first.
 */
export async function rollUp(
  database: Database,
  lake: string,
  source: Snapshot,
  { target, unit }: RollUp,
  anew: ReadonlyMap<string, string | null> = new Map(),
): Promise<RollUpResult> {
  const directory = tableDirectory(lake, target), sourceDirectory = tableDirectory(lake, EDGE_1M);
  const snapshot = await readTable(directory, target, database);
  const application = sourceApplication(source), done = snapshot.transactions.get(application);
  if (source.version < 0n || (done === source.version && anew.size === 0)) return { files: 0, days: 0 };
  const { added, isWhole } = await addedSince(sourceDirectory, source, done ?? -1n);
  const minutesOf = (date: string) => [...source.files.values()].filter(({ partitionValues }) => partitionValues["date"] === date);
  const days = new Map<string, readonly AddFile[]>(Map.groupBy(added, ({ partitionValues }) => partitionValues["date"] ?? ""));
  for (const date of anew.keys()) days.set(date, minutesOf(date));
  const adds: AddFile[] = [], removes: AddFile[] = [];
  const progress = new Progress(`roll up ${target.name}`, added.length, "files");
  for (const [date, files] of days) {
    const old = [...snapshot.files.values()].filter(({ partitionValues }) => partitionValues["date"] === date);
    await assertFiles(sourceDirectory, files);
    if (!anew.has(date)) await assertFiles(directory, old);
    const before = isWhole || old.length === 0 || anew.has(date) ? null : selectFiles(directory, target, old.map(({ path }) => path));
    await using sums = new DaySums({ database, folder: stagingDirectory(directory), unit, date, before });
    const given = anew.get(date) ?? null,
      minutesIn = (some: readonly AddFile[]) => selectFiles(sourceDirectory, EDGE_1M, some.map(({ path }) => path));
    if (given !== null) await sums.add(0, given);
    else {
      const steps = unit === "day" ? [[0, files] as const] : Map.groupBy(files, ({ partitionValues }) => Number(partitionValues["hour"]));
      for (const [hour, some] of steps) {
        await sums.add(hour, minutesIn(some));
        progress.advance(some.length);
      }
    }
    adds.push(
      await writeDataFile(database, directory, target, {
        select: `${sums.select} order by ${target.sortColumns.join(", ")}`,
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
  if (replaced === null) throw new OvertakenError(`Cannot roll up to "${directory}": another run has changed it meanwhile; run this again`);
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
    const actions = await readVersion(directory, version);
    if (actions.some(({ commitInfo }) => commitInfo?.operation === "RESTORE")) putInPlace(added, actions);
    else for (const { add } of actions) if (add?.dataChange === true) added.push(add);
  }
  for (const { path } of added) {
    if (source.files.has(path) || await isDataFile(dataFilePath(directory, path))) continue;
    throw new LakeError(
      `Cannot add up "${directory}": file "${path}" was appended after version ${done}, and is gone; restore it, or remove "${EDGE_1H.name}" and "${EDGE_1D.name}" to add up anew what is there`,
    );
  }
  return { added, isWhole: false };
}

/** A repair has made a file again: it counts where the damaged one did. */
function putInPlace(added: AddFile[], actions: readonly LogAction[]): void {
  const removed = actions.find(({ remove }) => remove)?.remove?.path, at = added.findIndex(({ path }) => path === removed);
  if (at < 0) return;
  const restored = actions.find(({ add }) => add)?.add;
  added.splice(at, 1, ...(restored ? [restored] : []));
}
