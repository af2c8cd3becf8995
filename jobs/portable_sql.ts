/** SQL that DuckDB and Spark read alike. */

/** Runs SQL: DuckDB here, or Spark over the same lake. */
export interface Engine {
  /** Statements that give it the functions of the other's that our SQL calls. */
  readonly macros: readonly string[];
  run(sql: string): Promise<void>;
  table(sql: string): Promise<Answer>;
  /** Finds the rows of a view once, for all that read it. */
  keep(view: string): Promise<void>;
  /** As `table()`, of SQL that somebody else wrote a part of: it may only read, and only so long. */
  ask(sql: string, timeoutMs: number): Promise<Answer>;
}

/** A table as a query gave it. */
export interface Answer {
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** `binary` is given as hexadecimal digits, `time` in milliseconds since 1970 UTC. */
export type ValueType = "binary" | "text" | "time" | "whole" | "double";

const SQL_TYPES: Readonly<Record<ValueType, string>> = {
  binary: "binary",
  text: "string",
  time: "timestamp",
  whole: "bigint",
  double: "double",
};

/** Text as a literal; quotes and backslashes are escaped differently by the engines, so they go by their number. */
export function textLiteral(text: string): string {
  const parts = text.split(/(['\\])/).filter((part) => part !== "");
  if (parts.length === 0) return "''";
  const literals = parts.map((part) => part === "'" ? "chr(39)" : part === "\\" ? "chr(92)" : `'${part}'`);
  return literals.length === 1 ? literals[0]! : `concat(${literals.join(", ")})`;
}

/** A moment as people write it, UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").replace(/\.?0*Z$/, "");
}

export function timeLiteral(ms: number): string {
  return `timestamp '${timeText(ms)}'`;
}

/** A statement that makes a view of these rows. */
export function valuesView(
  view: string,
  columns: readonly (readonly [name: string, type: ValueType])[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const names = columns.map(([name]) => name).join(", ");
  const none = columns.map(([name, type]) => `cast(null as ${SQL_TYPES[type]}) as ${name}`).join(", ");
  const tuples = rows.map((row) => `(${row.map((value, i) => literal(value, columns[i]![1])).join(", ")})`);
  const given = tuples.length === 0 ? "" : ` union all select * from (values ${tuples.join(", ")}) as given(${names})`;
  return `create or replace temporary view ${view} as select ${none} where false${given}`;
}

function literal(value: string | number | null, type: ValueType): string {
  if (value === null) return "null";
  switch (type) {
    case "binary":
      return `unhex('${value}')`;
    case "text":
      return textLiteral(String(value));
    case "time":
      return timeLiteral(Number(value));
    case "whole":
    case "double":
      return `cast(${value} as ${SQL_TYPES[type]})`;
  }
}

/** What Spark has, for DuckDB. */
export const DUCKDB_MACROS: readonly string[] = [
  "create or replace temporary macro unix_date(day) as date_diff('day', date '1970-01-01', day)",
  "create or replace temporary macro unix_micros(moment) as epoch_us(moment)",
  "create or replace temporary macro timestamp_micros(us) as make_timestamptz(us)",
  "create or replace temporary macro explode(list) as unnest(list)",
  "create or replace temporary macro cardinality(list) as coalesce(len(list), 0)",
  "create or replace temporary macro conv(digits, from_base, to_base) as cast(concat('0x', digits) as bigint)",
  "create or replace temporary macro date_from_unix_date(days) as date '1970-01-01' + days",
];
