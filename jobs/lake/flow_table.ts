/** The lake's `flow` table: its schema, its folder, and the view that queries read. */

import { z } from "zod";
import { type ColumnType, FLOW_COLUMNS, FLOW_SCHEMA_VERSION } from "../../lib/records.ts";
import type { Database } from "../duckdb.ts";
import { type CheckpointReader, LakeError, readSnapshot, type Snapshot, type TableMetaData } from "./delta_log.ts";

export const PARTITION_COLUMNS = ["date", "hour"] as const;

const DELTA_TYPES: Readonly<Record<ColumnType, unknown>> = {
  "VARCHAR": "string",
  "BLOB": "binary",
  "INTEGER": "integer",
  "BIGINT": "long",
  "TIMESTAMPTZ": "timestamp",
  "INTEGER[]": { type: "array", elementType: "integer", containsNull: false },
};

/** Key of `metaData.configuration` with the version that the table's rows are of at most; absent in version 1. */
const SCHEMA_VERSION_KEY = "skyfall.schemaVersion";

/** `metaData.schemaString` (PROTOCOL.md, "Schema Serialization Format"). */
const TableSchema = z.looseObject({ fields: z.array(z.looseObject({ name: z.string() })) });

const field = (name: string, type: unknown) => ({ name, type, nullable: true, metadata: {} });
const FLOW_FIELDS = FLOW_COLUMNS.map(({ name, type }) => field(name, DELTA_TYPES[type]));

/**
 * The `metaData` that a commit must bring so that the table takes rows of this version: of a new table, or of one that an older
 * version made with the columns that it lacks, which are null in older files. Null where the table is as it must be.
 */
export function neededMetaData({ metaData }: Snapshot): object | null {
  if (metaData === null) {
    return {
      id: crypto.randomUUID(),
      name: "flow",
      format: { provider: "parquet", options: {} },
      schemaString: JSON.stringify({ type: "struct", fields: [...FLOW_FIELDS, field("date", "date"), field("hour", "integer")] }),
      partitionColumns: PARTITION_COLUMNS,
      configuration: { [SCHEMA_VERSION_KEY]: String(FLOW_SCHEMA_VERSION) },
      createdTime: Date.now(),
    };
  }
  if (schemaVersion(metaData) === FLOW_SCHEMA_VERSION) return null;
  const schema = TableSchema.parse(JSON.parse(metaData.schemaString));
  const known = new Set(schema.fields.map(({ name }) => name));
  const fields = [...schema.fields, ...FLOW_FIELDS.filter(({ name }) => !known.has(name))];
  return {
    ...metaData,
    schemaString: JSON.stringify({ ...schema, fields }),
    configuration: { ...metaData.configuration, [SCHEMA_VERSION_KEY]: String(FLOW_SCHEMA_VERSION) },
  };
}

/**
 * The newest version of the table `flow` in `directory`.
 *
 * @throws {LakeError} As `readSnapshot()`, or if a newer version of Skyfall wrote the table.
 */
export async function readFlowTable(directory: string, database: Database): Promise<Snapshot> {
  const snapshot = await readSnapshot(directory, checkpointReader(database));
  const version = snapshot.metaData === null ? FLOW_SCHEMA_VERSION : schemaVersion(snapshot.metaData);
  if (version <= FLOW_SCHEMA_VERSION) return snapshot;
  throw new LakeError(
    `Cannot use lake "${directory}": its rows are of schema version ${version}, this version has ${FLOW_SCHEMA_VERSION}; use a newer Skyfall`,
  );
}

function schemaVersion({ configuration }: TableMetaData): number {
  return Number(configuration?.[SCHEMA_VERSION_KEY] ?? 1);
}

export function flowDirectory(lake: string): string {
  return `${lake}/flow`;
}

/** Reads checkpoints, which are Parquet, through DuckDB. */
function checkpointReader(database: Database): CheckpointReader {
  return async (paths) => {
    const rows = await database.rows(`select to_json(c) as action from read_parquet(${sqlList(paths)}) c`);
    return rows.map(({ action }) => JSON.parse(String(action)));
  };
}

/**
 * Makes the view `flow` over the files that the log names, and no others. It has all columns, also where every file is older.
 *
 * @returns The snapshot that it shows.
 * @throws {LakeError} If the folder is no lake, or a file of it is missing or damaged.
 */
export async function createFlowView(database: Database, lake: string): Promise<Snapshot> {
  const directory = flowDirectory(lake);
  const snapshot = await readFlowTable(directory, database);
  if (snapshot.version < 0n) {
    throw new LakeError(
      `Cannot read lake "${lake}": there is no table "flow" in it; make it with "jobs run etl --topic URL --lake ${lake}"`,
    );
  }
  const paths = [...snapshot.files.keys()].map((path) => `${directory}/${decodeURIComponent(path)}`);
  await assertFiles(paths);
  const columns = FLOW_COLUMNS.map(({ name, type }) => `null::${type} as ${name}`).join(", ");
  const files = paths.length === 0 ? "" : `union all by name select * from
    read_parquet(${sqlList(paths)}, hive_partitioning = true, hive_types = {'date': DATE, 'hour': INTEGER}, union_by_name = true)`;
  await database.run(
    `create or replace view flow as select ${columns}, null::date as date, null::integer as hour where false ${files}`,
  );
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
