/** A table of the lake: its schema in the log, its folder, and the view that queries read. */

import { z } from "zod";
import type { Column, ColumnType } from "../../lib/records.ts";
import type { Database } from "../duckdb.ts";
import { sqlList } from "../sql_text.ts";
import {
  type AddFile,
  type CheckpointReader,
  LakeError,
  readSnapshot,
  refreshSnapshot,
  type Snapshot,
  type TableMetaData,
} from "./delta_log.ts";

/** What makes the folders of a table: of a row's time, in UTC. */
export type PartitionColumn = "date" | "hour";

export interface TableDefinition {
  /** Name of its folder in the lake, and of its view. */
  readonly name: string;
  readonly columns: readonly Column[];
  readonly partitionColumns: readonly PartitionColumn[];
  /** Order of the rows in a file that compaction has made. */
  readonly sortColumns: readonly string[];
  /** Version of its rows' meaning; a table of a newer one is refused. */
  readonly schemaVersion: number;
}

const DELTA_TYPES: Readonly<Record<ColumnType, unknown>> = {
  "VARCHAR": "string",
  "BLOB": "binary",
  "INTEGER": "integer",
  "BIGINT": "long",
  "TIMESTAMPTZ": "timestamp",
  "INTEGER[]": { type: "array", elementType: "integer", containsNull: false },
  "BIGINT[]": { type: "array", elementType: "long", containsNull: false },
};

const PARTITION_TYPES: Readonly<Record<PartitionColumn, { readonly delta: string; readonly sql: string }>> = {
  date: { delta: "date", sql: "DATE" },
  hour: { delta: "integer", sql: "INTEGER" },
};

/** Key of `metaData.configuration` with the version that the table's rows are of at most; absent in version 1. */
const SCHEMA_VERSION_KEY = "skyfall.schemaVersion";

/** `metaData.schemaString` (PROTOCOL.md, "Schema Serialization Format"). */
const TableSchema = z.looseObject({ fields: z.array(z.looseObject({ name: z.string() })) });

const field = (name: string, type: unknown) => ({ name, type, nullable: true, metadata: {} });

export function tableDirectory(lake: string, { name }: TableDefinition): string {
  return `${lake}/${name}`;
}

/**
 * The `metaData` that a commit must bring so that the table takes rows of this version: of a new table, or of one that an older
 * version made with the columns that it lacks, which are null in older files. Null where the table is as it must be.
 */
export function neededMetaData(definition: TableDefinition, { metaData }: Pick<Snapshot, "metaData">): object | null {
  const { name, columns, partitionColumns } = definition;
  const own = columns.map(({ name, type }) => field(name, DELTA_TYPES[type]));
  const configuration = { [SCHEMA_VERSION_KEY]: String(definition.schemaVersion) };
  if (metaData === null) {
    const fields = [...own, ...partitionColumns.map((column) => field(column, PARTITION_TYPES[column].delta))];
    return {
      id: crypto.randomUUID(),
      name,
      format: { provider: "parquet", options: {} },
      schemaString: JSON.stringify({ type: "struct", fields }),
      partitionColumns,
      configuration,
      createdTime: Date.now(),
    };
  }
  if (schemaVersion(metaData) === definition.schemaVersion) return null;
  const schema = TableSchema.parse(JSON.parse(metaData.schemaString));
  const known = new Set(schema.fields.map(({ name }) => name));
  const fields = [...schema.fields, ...own.filter(({ name }) => !known.has(name))];
  return {
    ...metaData,
    schemaString: JSON.stringify({ ...schema, fields }),
    configuration: { ...metaData.configuration, ...configuration },
  };
}

/**
 * The table in `directory`: its newest version, or the version `asOf`.
 *
 * @throws {LakeError} As `readSnapshot()`, or if a newer version of Skyfall wrote the table.
 */
export async function readTable(directory: string, definition: TableDefinition, database: Database, asOf?: bigint): Promise<Snapshot> {
  const snapshot = await readSnapshot(directory, checkpointReader(database, ""), asOf);
  assertKnownSchema(directory, definition, snapshot);
  return snapshot;
}

/** The newest version of a table without most of its files: what a writer must know that appends, however many there are. */
export async function readTableHead(directory: string, definition: TableDefinition, database: Database): Promise<Snapshot> {
  const snapshot = await readSnapshot(directory, checkpointReader(database, "where add is null and remove is null"));
  assertKnownSchema(directory, definition, snapshot);
  return { ...snapshot, isWhole: snapshot.checkpointVersion < 0n };
}

/** The same table as of its newest version; reads what was committed since. @throws {LakeError} As `readTable()`. */
export async function refreshTable(directory: string, definition: TableDefinition, snapshot: Snapshot): Promise<Snapshot> {
  const latest = await refreshSnapshot(directory, snapshot);
  assertKnownSchema(directory, definition, latest);
  return latest;
}

function assertKnownSchema(directory: string, { schemaVersion: own }: TableDefinition, { metaData }: Snapshot): void {
  const version = metaData === null ? own : schemaVersion(metaData);
  if (version <= own) return;
  throw new LakeError(
    `Cannot use lake "${directory}": its rows are of schema version ${version}, this version has ${own}; use a newer Skyfall`,
  );
}

function schemaVersion({ configuration }: TableMetaData): number {
  return Number(configuration?.[SCHEMA_VERSION_KEY] ?? 1);
}

/** Reads checkpoints, which are Parquet, through DuckDB. */
function checkpointReader(database: Database, where: string): CheckpointReader {
  return async (paths) => {
    const rows = await database.rows(`select to_json(c) as action from read_parquet(${sqlList(paths)}) c ${where}`);
    return rows.map(({ action }) => JSON.parse(String(action)));
  };
}

/**
 * Makes the table's view over the files that the log names, and no others. It has all columns, also where every file is older
 * or there is no table yet.
 *
 * @returns The snapshot that it shows; of version -1 where there is no table.
 * @throws {LakeError} As `readTable()`, or if a file of the table is missing or damaged.
 */
export async function createTableView(
  database: Database,
  lake: string,
  definition: TableDefinition,
  asOf?: bigint,
): Promise<Snapshot> {
  const directory = tableDirectory(lake, definition);
  const snapshot = await readTable(directory, definition, database, asOf);
  await assertFiles(directory, snapshot.files.values());
  await createFilesView(database, definition, [...snapshot.files.keys()].map((path) => dataFilePath(directory, path)));
  return snapshot;
}

/** Makes the table's view over these data files. It has all columns, whatever the files have. */
export async function createFilesView(database: Database, definition: TableDefinition, paths: readonly string[]): Promise<void> {
  const partitions = definition.partitionColumns.map((name) => ({ name, type: PARTITION_TYPES[name].sql }));
  const columns = [...definition.columns, ...partitions].map(({ name, type }) => `null::${type} as ${name}`).join(", ");
  const types = partitions.map(({ name, type }) => `'${name}': ${type}`).join(", ");
  const files = paths.length === 0 ? "" : `union all by name select * from
    read_parquet(${sqlList(paths)}, hive_partitioning = true, hive_types = {${types}}, union_by_name = true)`;
  await database.run(`create or replace view ${definition.name} as select ${columns} where false ${files}`);
}

/**
 * SQL that selects the rows of some of the table's files, at least one, with all its columns but those of its partitions, and any
 * others that the files have.
 *
 * @param paths As `add` actions have them.
 */
export function selectFiles(directory: string, definition: TableDefinition, paths: readonly string[]): string {
  return selectPaths(definition, paths.map((path) => dataFilePath(directory, path)));
}

/** The same of files by their path on disk, wherever they are. */
export function selectPaths({ columns }: TableDefinition, paths: readonly string[]): string {
  return `select ${columns.map(({ name, type }) => `null::${type} as ${name}`).join(", ")} where false
    union all by name select * from read_parquet(${sqlList(paths)}, hive_partitioning = false, union_by_name = true)`;
}

/** @param path As an `add` action has it: relative and URL-encoded. */
export function dataFilePath(directory: string, path: string): string {
  return `${directory}/${decodeURIComponent(path)}`;
}

/** @throws {LakeError} If a file is missing, or has another size than when it was committed. */
export async function assertFiles(directory: string, files: Iterable<AddFile>): Promise<void> {
  for (const { path, size } of files) {
    const name = dataFilePath(directory, path), found = await sizeOf(name);
    if (found !== size) throw damagedFileError("read", directory, name, found, size);
  }
}

/** @param found Bytes of the file, null where it is missing. */
export function damagedFileError(action: string, directory: string, name: string, found: number | null, size: number): LakeError {
  const what = found === null
    ? "is named by the log, but missing"
    : found === size
    ? "has other bytes than when it was committed"
    : `has ${found} bytes, and ${size} when it was committed`;
  return new LakeError(
    `Cannot ${action} lake: data file "${name}" ${what}; restore it from a copy, or make it again with "jobs repair --lake ${
      lakeOf(directory)
    } --topic URL"`,
  );
}

export async function isDataFile(path: string): Promise<boolean> {
  return await sizeOf(path) !== null;
}

function lakeOf(directory: string): string {
  return directory.slice(0, directory.lastIndexOf("/"));
}

/** Bytes of a file; null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return null;
  }
}
