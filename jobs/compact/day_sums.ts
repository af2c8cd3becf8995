/** Adds up the edges of a day, hour by hour; the sums are in files until they are whole, so that a day may be more than fits in memory. */

import { type EdgeColumn, HISTOGRAM_BUCKETS, ROLLED_EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { removeIfPresent } from "../../lib/durable_file.ts";
import type { Database } from "../duckdb.ts";
import { sqlList, sqlText } from "../sql_text.ts";

/** The time that a row of sums is of. */
export type SumUnit = "hour" | "day";

export interface DaySumsConfig {
  readonly database: Database;
  /** Where the files are meanwhile. */
  readonly folder: string;
  readonly unit: SumUnit;
  readonly date: string;
  /** SQL that gives the day's sums as they were, null where there were none. */
  readonly before: string | null;
}

export class DaySums implements AsyncDisposable {
  readonly #config: DaySumsConfig;
  /** By the beginning of their time, the files of sums that have changed. */
  readonly #files = new Map<string, string>();

  constructor(config: DaySumsConfig) {
    this.#config = config;
  }

  /** @param minutes SQL that gives rows of minutes of that hour. */
  async add(hour: number, minutes: string): Promise<void> {
    const { database, folder, unit, date, before } = this.#config;
    const start = `${date} ${unit === "hour" ? String(hour).padStart(2, "0") : "00"}:00:00+00`;
    const rows = [`select * replace (timestamptz '${start}' as window_start) from (${minutes})`], old = this.#files.get(start);
    if (old !== undefined) rows.push(`from read_parquet(${sqlText(old)})`);
    else if (before !== null) rows.push(`from (${before}) where window_start = timestamptz '${start}'`);
    const file = `${folder}/${crypto.randomUUID()}.sums`;
    await database.run(`copy (${sumSql(rows)}) to ${sqlText(file)} (format parquet)`);
    this.#files.set(start, file);
    if (old !== undefined) await removeIfPresent(old);
  }

  /** SQL that gives all sums of the day. */
  get select(): string {
    const { before } = this.#config, changed = [...this.#files.keys()].map((start) => `timestamptz '${start}'`).join(", ");
    const rows = [`from read_parquet(${sqlList([...this.#files.values()])})`];
    if (before !== null) rows.push(`from (${before}) where window_start not in (${changed})`);
    return `select * from (${rows.join(" union all by name ")})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.values()) await removeIfPresent(file);
  }
}

/** SQL that adds up the rows of several queries; a row for each time and key. */
function sumSql(selects: readonly string[]): string {
  const keys = ROLLED_EDGE_COLUMNS.filter(({ merge }) => merge === "minute" || merge === "key").map(({ name }) => name);
  return `select ${ROLLED_EDGE_COLUMNS.map((column) => `${mergeSql(column)} as ${column.name}`).join(", ")}
    from (${selects.join(" union all by name ")}) group by ${keys.join(", ")}`;
}

function mergeSql({ name, merge }: EdgeColumn): string {
  switch (merge) {
    case "minute":
    case "key":
    case "source":
      return name;
    case "sum":
      return totalSql(name);
    case "min":
    case "max":
      return `${merge}(${name})`;
    case "sum of each":
      return `[${Array.from({ length: HISTOGRAM_BUCKETS }, (_, i) => totalSql(`${name}[${i + 1}]`)).join(", ")}]`;
  }
}

/** What no host can have counted must not keep all others from being added up: such a sum stays at the greatest number there is. */
function totalSql(value: string): string {
  return `greatest(least(sum(${value}), 9223372036854775807), -9223372036854775807)::bigint`;
}
