/**
 * What an answer rests on, in one line: the table's version, its rows and time, through when it is complete, who is silent, what was
 * given up, and what was lost before it came here.
 *
 * Rows and times come from the log's statistics. Observers are looked for in three hours of the table alone, so that a line costs
 * the same on a year as on a day: the newest two, and the one a day before the newest.
 */

import type { Database } from "./duckdb.ts";
import type { AddFile, Snapshot } from "./lake/delta_log.ts";
import { allLosses, lossText } from "./losses.ts";

/** An observer that reported nothing for so long before the newest report is silent; one without a conversation reports nothing either. */
const SILENT_AFTER_MS = 600_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Silent observers that are named; the others are counted. */
const NAMED_MAX = 5;
const GAP_APPLICATION = "skyfall-gap:";

interface Observer {
  readonly name: string;
  readonly lastMs: number;
}

/** Application id under which a table counts the messages of a partition that were given up: the log keeps it for ever. */
export function gapApplicationId(topic: string, partition: number): string {
  return `${GAP_APPLICATION}${topic}:${partition}`;
}

/** @param snapshot What the view `flow` shows. */
export async function coverage(database: Database, snapshot: Snapshot): Promise<string> {
  const files = [...snapshot.files.values()].map(statsOf);
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const givenUp = [...snapshot.transactions].filter(([id]) => id.startsWith(GAP_APPLICATION)).reduce(
    (sum, [, messages]) => sum + messages,
    0n,
  );
  const gaps = `${givenUp === 0n ? "no gaps" : `${givenUp} messages given up, as was accepted`}, ${lossText(await allLosses(database))}`;
  if (rows === 0) return `coverage: version ${snapshot.version}, no rows, ${gaps}`;
  const firstMs = Math.min(...files.map((file) => file.firstMs));
  const observers = await findObservers(database, snapshot);
  const newestMs = Math.max(...observers.map(({ lastMs }) => lastMs));
  const silent = observers.filter(({ lastMs }) => lastMs < newestMs - SILENT_AFTER_MS).toSorted((a, b) => a.lastMs - b.lastMs);
  const reporting = observers.filter((observer) => !silent.includes(observer));
  const completeMs = Math.min(...reporting.map(({ lastMs }) => lastMs));
  return `coverage: version ${snapshot.version}, ${rows} rows from ${time(firstMs)} to ${time(newestMs)} UTC, complete through ${
    time(completeMs)
  } ` +
    `for ${reporting.length} of ${observers.length} observers, ${describeSilent(silent)}, ${gaps}`;
}

function describeSilent(silent: readonly Observer[]): string {
  if (silent.length === 0) return "none silent";
  const named = silent.slice(0, NAMED_MAX).map(({ name, lastMs }) => `${name} since ${time(lastMs)}`);
  const rest = silent.length - named.length;
  return `silent: ${named.join("; ")}${rest === 0 ? "" : `; and ${rest} more`}`;
}

/** Observers of the newest two hours of the table, and of the one a day before the newest, with their last report. */
async function findObservers(database: Database, snapshot: Snapshot): Promise<Observer[]> {
  const hours = new Map<number, { readonly date: string; readonly hour: string }>();
  for (const { partitionValues: { date, hour } } of snapshot.files.values()) {
    if (date && hour) hours.set(Date.parse(`${date}T${hour.padStart(2, "0")}:00:00Z`), { date, hour });
  }
  const [newest, ...older] = [...hours.keys()].toSorted((a, b) => b - a);
  const asked = [newest, older[0], newest === undefined ? undefined : newest - DAY_MS].flatMap((ms) => hours.get(ms ?? NaN) ?? []);
  const where = asked.map(({ date, hour }) => `date = date '${date}' and hour = ${Number(hour)}`).join(" or ");
  const rows = await database.rows(`
    select coalesce(max(observer_host_name), min(observer_address)) as name, epoch_ms(max(window_end)) as last
    from flow where ${where === "" ? "true" : where} group by coalesce(observer_host_id, observer_address)`);
  return rows.map(({ name, last }) => ({ name: String(name), lastMs: Number(last) }));
}

/** Of a file that another program added without statistics, nothing is known. */
function statsOf({ stats }: AddFile): { readonly rows: number; readonly firstMs: number } {
  if (!stats) return { rows: 0, firstMs: Infinity };
  const { numRecords, minValues } = JSON.parse(stats);
  return { rows: Number(numRecords), firstMs: Date.parse(minValues?.window_start ?? "") || Infinity };
}

function time(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") : "an unknown time";
}
