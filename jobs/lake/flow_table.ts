/** The lake's `flow` table: its schema, its folder, and the view that queries read. */

import { type ColumnType, FLOW_COLUMNS } from "../../lib/records.ts";
import type { Database } from "../duckdb.ts";
import { type CheckpointReader, LakeError, readSnapshot, type Snapshot } from "./delta_log.ts";

export const PARTITION_COLUMNS = ["date", "hour"] as const;

const DELTA_TYPES: Readonly<Record<ColumnType, unknown>> = {
  "VARCHAR": "string",
  "BLOB": "binary",
  "INTEGER": "integer",
  "BIGINT": "long",
  "TIMESTAMPTZ": "timestamp",
  "INTEGER[]": { type: "array", elementType: "integer", containsNull: false },
};

/** `metaData.schemaString` of the table (PROTOCOL.md, "Schema Serialization Format"). */
export function flowSchema(): string {
  const field = (name: string, type: unknown) => ({ name, type, nullable: true, metadata: {} });
  const fields = FLOW_COLUMNS.map(({ name, type }) => field(name, DELTA_TYPES[type]));
  return JSON.stringify({ type: "struct", fields: [...fields, field("date", "date"), field("hour", "integer")] });
}

export function flowDirectory(lake: string): string {
  return `${lake}/flow`;
}

/** Reads checkpoints, which are Parquet, through DuckDB. */
export function checkpointReader(database: Database): CheckpointReader {
  return async (paths) => {
    const rows = await database.rows(`select to_json(c) as action from read_parquet(${sqlList(paths)}) c`);
    return rows.map(({ action }) => JSON.parse(String(action)));
  };
}

/**
 * Makes the view `flow` over the files that the log names, and no others.
 *
 * @returns The snapshot that it shows.
 * @throws {LakeError} If the folder is no lake, or a file of it is missing or damaged.
 */
export async function createFlowView(database: Database, lake: string): Promise<Snapshot> {
  const directory = flowDirectory(lake);
  const snapshot = await readSnapshot(directory, checkpointReader(database));
  if (snapshot.version < 0n) {
    throw new LakeError(
      `Cannot read lake "${lake}": there is no table "flow" in it; make it with "jobs run etl --topic URL --lake ${lake}"`,
    );
  }
  const paths = [...snapshot.files.keys()].map((path) => `${directory}/${decodeURIComponent(path)}`);
  await assertFiles(paths);
  const source = paths.length === 0
    ? `(select ${
      FLOW_COLUMNS.map(({ name, type }) => `null::${type} as ${name}`).join(", ")
    }, null::date as date, null::integer as hour where false)`
    : `read_parquet(${sqlList(paths)}, hive_partitioning = true, hive_types = {'date': DATE, 'hour': INTEGER}, union_by_name = true)`;
  await database.run(`create or replace view flow as select * from ${source}`);
  return snapshot;
}

async function assertFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    try {
      await Deno.stat(path);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new LakeError(`Cannot read lake: data file "${path}" is named by the log, but missing; restore it from a copy`, { cause });
    }
  }
}

/** A list of text for SQL. */
export function sqlList(texts: readonly string[]): string {
  return `[${texts.map(sqlText).join(", ")}]`;
}

/** Text as an SQL literal. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
