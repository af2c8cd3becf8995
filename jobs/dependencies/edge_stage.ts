/** Edges on their way to Parquet: a table in which every text is a value of one enumeration, so that it takes a number's room. */

import type { EdgeBatch } from "../../lib/edge_batch.ts";
import { EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { type AppendColumn, BIGINT, BIGINT_LIST, type Database, type DuckDBType, ENUM, INTEGER, TIMESTAMPTZ } from "../duckdb.ts";
import { sqlText } from "../sql_text.ts";

type StagedColumn = typeof EDGE_COLUMNS[number];

/** Hour of the table's layout, as the texts of its folder. */
export interface EdgeHour {
  readonly date: string;
  readonly hour: string;
}

/** Makes the table of these rows. */
export async function stageEdges(database: Database, batches: readonly EdgeBatch[]): Promise<void> {
  const codes = new Map<string, number>();
  const code = (text: string) => {
    if (!codes.has(text)) codes.set(text, codes.size);
    return codes.get(text)!;
  };
  const appended = batches.map(({ rowCount, columns }) => ({
    rowCount,
    columns: EDGE_COLUMNS.map(({ name }): AppendColumn => {
      const column = columns[name];
      if (!("codes" in column)) return column;
      const numbers = column.dictionary.map(code);
      return { values: column.codes.map((i) => numbers[i]!) };
    }),
  }));
  const texts = [...codes.keys()], type = ENUM(texts);
  await database.run("drop table if exists edge_stage; drop type if exists edge_text");
  await database.run(`create type edge_text as enum (${texts.map(sqlText).join(", ")})`);
  const columns = EDGE_COLUMNS.map((column) => `${column.name} ${column.type === "VARCHAR" ? "edge_text" : column.type}`);
  await database.run(`create table edge_stage (${columns.join(", ")})`);
  const appender = await database.appender("edge_stage", EDGE_COLUMNS.map((column) => stagedType(column, type)));
  for (const { rowCount, columns } of appended) {
    appender.append(rowCount, columns.map((column, i) => EDGE_COLUMNS[i]!.type === "VARCHAR" ? inWidthOf(column, texts.length) : column));
  }
  appender.close();
}

/** The hours that staged rows are of. */
export async function stagedHours(database: Database): Promise<EdgeHour[]> {
  const rows = await database.rows(`
    select distinct strftime(window_start, '%Y-%m-%d') as date, extract(hour from window_start)::integer as hour
    from edge_stage
    order by all`);
  return rows.map(({ date, hour }) => ({ date: String(date), hour: String(hour) }));
}

/** SQL that selects an hour's rows, those of a service together. */
export function selectStagedHour({ date, hour }: EdgeHour): string {
  const columns = EDGE_COLUMNS.map(({ name, type }) => type === "VARCHAR" ? `${name}::varchar as ${name}` : name);
  return `select ${columns.join(", ")}
    from edge_stage
    where window_start >= timestamptz '${date} ${hour}:00:00+00' and window_start < timestamptz '${date} ${hour}:00:00+00' + interval 1 hour
    order by edge_stage.server_service_name::varchar, edge_stage.client_service_name::varchar, server_port, window_start`;
}

function stagedType({ type }: StagedColumn, texts: DuckDBType): DuckDBType {
  switch (type) {
    case "VARCHAR":
      return texts;
    case "INTEGER":
      return INTEGER;
    case "BIGINT":
      return BIGINT;
    case "TIMESTAMPTZ":
      return TIMESTAMPTZ;
    case "BIGINT[]":
      return BIGINT_LIST;
  }
}

/** Codes in the width that DuckDB gives an enumeration of so many values. */
function inWidthOf({ values }: AppendColumn, valueCount: number): AppendColumn {
  if (!(values instanceof Int32Array)) throw new TypeError("Cannot stage texts: needed codes");
  if (valueCount < 2 ** 8) return { values: new Uint8Array(values) };
  return { values: valueCount < 2 ** 16 ? new Uint16Array(values) : new Uint32Array(values) };
}
