/** Data files of a table: written beside it, checked, and only then given the name under which a commit may refer to them. */

import { describeDisk, removeIfPresent, syncDirectory } from "../../lib/durable_file.ts";
import type { Database } from "../duckdb.ts";
import { footerRows } from "../parquet/footer.ts";
import { sqlText } from "../sql_text.ts";
import { type AddFile, LakeError } from "./delta_log.ts";
import { type FileStats, statsOf } from "./stats.ts";
import type { TableDefinition } from "./table.ts";

/** A file's bytes, and what they hold. */
export interface EncodedRows {
  readonly parts: readonly Uint8Array[];
  readonly stats: FileStats;
}

/** SQL that gives a file's rows, with the table's columns. */
export interface SelectedRows {
  readonly select: string;
}

/** A file to write. */
export type DataFile = DataFilePlace & (EncodedRows | SelectedRows);

interface DataFilePlace {
  /** Without folder and suffix; within a partition no other file may ever have it. */
  readonly name: string;
  /** By partition column, its value. */
  readonly partition: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export const DATA_FILE_SUFFIX = ".zstd.parquet";

export function stagingDirectory(directory: string): string {
  return `${directory}/_staging`;
}

/**
 * Writes and syncs a file under a temporary name, reads its footer back, and links it under its own. Where there is such a
 * file already it stays: the same name means the same rows, and others may be reading it.
 *
 * @returns The action that makes it part of the table; its tags have `skyfall.rows` too.
 * @throws {LakeError} If the disk fails or is full, or the file is not what was written; then no commit may name it.
 */
export async function writeDataFile(
  database: Database,
  directory: string,
  definition: TableDefinition,
  file: DataFile,
): Promise<AddFile> {
  const { name, partition, tags } = file;
  const staged = `${stagingDirectory(directory)}/${crypto.randomUUID()}${DATA_FILE_SUFFIX}`;
  const folder = definition.partitionColumns.map((column) => `${column}=${partition[column]}`).join("/");
  const path = `${folder}/${name}${DATA_FILE_SUFFIX}`, final = `${directory}/${path}`;
  try {
    const stats = "select" in file ? await copyRows(database, staged, file, definition) : await writeRows(staged, file);
    await makeFolders(directory, folder);
    await linkOnce(staged, final);
    await syncDirectory(`${directory}/${folder}`);
    await assertRows(final, stats.numRecords);
    return {
      path,
      partitionValues: { ...partition },
      size: (await Deno.stat(final)).size,
      modificationTime: Date.now(),
      dataChange: true,
      stats: JSON.stringify(stats),
      tags: { ...tags, "skyfall.rows": String(stats.numRecords) },
    };
  } catch (cause) {
    if (cause instanceof LakeError) throw cause;
    throw new LakeError(`Cannot write a file of lake "${directory}": ${describeDisk(cause)}`, { cause });
  } finally {
    await removeIfPresent(staged);
  }
}

async function copyRows(database: Database, path: string, { select }: SelectedRows, { columns }: TableDefinition): Promise<FileStats> {
  const [written] = await database.rows(
    `copy (${select}) to ${sqlText(path)} (format parquet, parquet_version v2, compression zstd, return_stats)`,
  );
  using file = await Deno.open(path);
  await file.sync();
  return statsOf(columns, written!);
}

async function writeRows(path: string, { parts, stats }: EncodedRows): Promise<FileStats> {
  using file = await Deno.open(path, { write: true, createNew: true });
  for (const part of parts) for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
  await file.sync();
  return stats;
}

/** Folders whose names this process has seen on stable storage. */
const syncedFolders = new Set<string>();

/** Makes a folder below another; when it returns its name is on stable storage. */
export async function makeFolders(directory: string, folder: string): Promise<void> {
  let path = directory;
  for (const part of folder.split("/")) {
    try {
      await Deno.mkdir(`${path}/${part}`);
      syncedFolders.delete(`${path}/${part}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    // Another process may have made it, and not have synced it yet.
    if (!syncedFolders.has(`${path}/${part}`)) await syncDirectory(path);
    path += `/${part}`;
    syncedFolders.add(path);
  }
}

async function linkOnce(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** A file that is there has a footer, which is written last. */
async function assertRows(path: string, rows: number): Promise<void> {
  let found: number;
  try {
    found = await footerRows(path);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new LakeError(`Cannot commit file "${path}": it is no Parquet file, needed ${rows} rows; the disk failed`, { cause });
  }
  if (found !== rows) throw new LakeError(`Cannot commit file "${path}": its footer tells ${found} rows, needed ${rows}; the disk failed`);
}
