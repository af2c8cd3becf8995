/** Drops what is older than the user keeps: whole partitions of a table, in one version. */

import type { Database } from "../duckdb.ts";
import type { AddFile, Snapshot } from "../lake/delta_log.ts";
import { replace } from "../lake/replace.ts";
import { type TableDefinition, tableDirectory } from "../lake/table.ts";
import { TABLES } from "../lake/tables.ts";

const HOUR_MS = 3_600_000, DAY_MS = 24 * HOUR_MS;

/** Days by the name of a table. */
export type KeepDays = ReadonlyMap<string, number>;

const KeepDaysText = /^(\w+)=(\d{1,6})$/;

/** @throws {SyntaxError} If the text is not a table's name, "=" and a whole number of days, at least 1. */
export function parseKeepDays(text: string): [table: string, days: number] {
  const match = KeepDaysText.exec(text), table = match?.[1] ?? "", days = Number(match?.[2] ?? 0);
  const names = TABLES.map(({ name }) => name);
  if (names.includes(table) && days >= 1) return [table, days];
  throw new SyntaxError(`Cannot keep "${text}": needed a table and at least 1 day, such as "flow=30"; tables are ${names.join(", ")}`);
}

/**
 * Drops the partitions that ended more than so many days before the newest one did, or before now if the newest is of the future:
 * a clock that runs ahead drops nothing, nor does a host whose clock does.
 *
 * @param newest Files that say when the newest partition ended, where it is not the table's own.
 * @returns How many files were dropped; none where others have meanwhile changed them, so that the next run finds them.
 */
export async function dropExpired(
  database: Database,
  lake: string,
  definition: TableDefinition,
  snapshot: Snapshot,
  keepDays: number,
  newest: Snapshot = snapshot,
): Promise<number> {
  const removes = expiredFiles([...snapshot.files.values()], keepDays, Date.now(), [...newest.files.values()]);
  if (removes.length === 0) return 0;
  const replaced = await replace(tableDirectory(lake, definition), definition, snapshot, {
    operation: "DELETE",
    parameters: { keepDays: String(keepDays), predicate: `older than ${keepDays} days` },
    removes,
    adds: [],
    dataChange: true,
    transactions: new Map(),
  }, database);
  return replaced === null ? 0 : removes.length;
}

export function expiredFiles(files: readonly AddFile[], keepDays: number, nowMs: number, newest = files): AddFile[] {
  const newestMs = newest.reduce((newest, file) => Math.max(newest, endMs(file)), -Infinity);
  const before = Math.min(newestMs, nowMs) - keepDays * DAY_MS;
  return files.filter((file) => endMs(file) <= before);
}

/** When the hour or day of the file's partition ends, as milliseconds since 1970; never where it has none. */
function endMs({ partitionValues: { date, hour } }: AddFile): number {
  const dayMs = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(dayMs)) return Infinity;
  return hour === undefined || hour === null ? dayMs + DAY_MS : dayMs + (Number(hour) + 1) * HOUR_MS;
}
