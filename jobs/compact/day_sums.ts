/**
 * Adds up the edges of a day: all of it, or hour by hour, and some edges after the others where there are very many; the sums are in
 * files until they are whole, so that a day may be more than fits in memory.
 */

import { type EdgeColumn, HISTOGRAM_BUCKETS, ROLLED_EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { removeIfPresent } from "../../lib/durable_file.ts";
import type { Database } from "../duckdb.ts";
import { sqlList, sqlText } from "../sql_text.ts";

/** The time that a row of sums is of. */
export type SumUnit = "hour" | "day";

/** Edges whose sums are in memory at once, of some 2 kB each. */
const EDGES_AT_ONCE = 50_000;

const KEYS = ROLLED_EDGE_COLUMNS.filter(({ merge }) => merge === "key").map(({ name }) => name).join(", ");

export interface DaySumsConfig {
  readonly database: Database;
  /** Where the files are meanwhile. */
  readonly folder: string;
  readonly unit: SumUnit;
  readonly date: string;
  /** SQL that gives the day's sums as they were, null where there were none. */
  readonly before: string | null;
}

/** The sums of some edges at some time. */
interface Part {
  readonly start: string;
  readonly file: string;
}

export class DaySums implements AsyncDisposable {
  readonly #config: DaySumsConfig;
  /** Those that have changed. */
  readonly #parts: Part[] = [];

  constructor(config: DaySumsConfig) {
    this.#config = config;
  }

  /**
   * Adds all that is new of an hour, or of the day where it is added up as one.
   *
   * @param minutes SQL that gives the rows to add.
   */
  async add(hour: number, minutes: string): Promise<void> {
    const { database, folder, date, unit, before } = this.#config;
    const start = `${date} ${unit === "hour" ? String(hour).padStart(2, "0") : "00"}:00:00+00`;
    const rows = [`select * replace (timestamptz '${start}' as window_start) from (${minutes})`];
    if (before !== null) rows.push(`from (${before}) where window_start = timestamptz '${start}'`);
    const partCount = Math.max(1, Math.ceil(await edgeCount(database, rows) / EDGES_AT_ONCE));
    for (let part = 0; part < partCount; part++) {
      const file = `${folder}/${crypto.randomUUID()}.sums`;
      const ofPart = partCount === 1 ? rows : rows.map((select) => `from (${select}) where hash(${KEYS}) % ${partCount} = ${part}`);
      await database.run(`copy (${sumSql(ofPart)}) to ${sqlText(file)} (format parquet)`);
      this.#parts.push({ start, file });
    }
  }

  /** SQL that gives all sums of the day. */
  get select(): string {
    const { before } = this.#config, parts = this.#parts;
    const changed = [...new Set(parts.map(({ start }) => `timestamptz '${start}'`))].join(", ");
    const rows = [`from read_parquet(${sqlList(parts.map(({ file }) => file))})`];
    if (before !== null) rows.push(`from (${before}) where window_start not in (${changed})`);
    return `select * from (${rows.join(" union all by name ")})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.#parts) await removeIfPresent(file);
  }
}

/** About how many edges are in the rows of several queries. */
async function edgeCount(database: Database, selects: readonly string[]): Promise<number> {
  const [row] = await database.rows(
    `select approx_count_distinct(hash(${KEYS}))::integer as edges from (${selects.join(" union all by name ")})`,
  );
  return Number(row!["edges"]);
}

/** SQL that adds up the rows of several queries; a row for each time and key. */
function sumSql(selects: readonly string[]): string {
  return `select ${ROLLED_EDGE_COLUMNS.map((column) => `${mergeSql(column)} as ${column.name}`).join(", ")}
    from (${selects.join(" union all by name ")}) group by window_start, ${KEYS}`;
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
