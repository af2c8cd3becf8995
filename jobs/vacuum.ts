/**
 * Deletes files that are no longer part of the lake.
 *
 * A file stays as long as any of these has a claim on it: the newest version; a version that was current within the retention, so
 * that it can be asked for as of then and other programs may be reading it; a version that a reader's lease holds; a cut that a
 * writer may yet commit; a writer that was at work when it was written.
 */

import { removeIfPresent } from "../lib/durable_file.ts";
import { log } from "../lib/log.ts";
import { compactLock } from "./compact.ts";
import { Database } from "./duckdb.ts";
import { removeExpiredLog, tombstoneRetentionMs } from "./lake/checkpoint.ts";
import { filesOfPendingCuts } from "./lake/cut_journal.ts";
import { DATA_FILE_SUFFIX } from "./lake/data_file.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { heldBy, whileDeleting } from "./lake/lease.ts";
import { assertTables, prepareLake } from "./lake/prepare.ts";
import { putBackOverwritten } from "./lake/put_back.ts";
import { extendRetention } from "./lake/retention.ts";
import { readTable, type TableDefinition, tableDirectory } from "./lake/table.ts";
import { TABLES } from "./lake/tables.ts";
import { withLock } from "./lock.ts";

const HOUR_MS = 3_600_000;
/** A file that no version ever named stays at least so long: its writer may be on another host. */
const UNNAMED_AGE_MS = HOUR_MS;
/** How far back the log tells of versions, unless `delta.logRetentionDuration` says otherwise (Delta's default). */
const LOG_RETENTION_MS = 30 * 24 * HOUR_MS;

export interface VacuumOptions {
  /**
   * How long a file stays that is no longer part of a table; null for what the table itself says, or else 7 days. What is longer
   * is written into the table, whose log else forgets earlier which files there were.
   */
  readonly retainMs: number | null;
  /** Only find what would be deleted. */
  readonly isDryRun: boolean;
}

/** @throws {SyntaxError} If the text is no number of hours. */
export function parseHours(text: string): number {
  const hours = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && Number.isFinite(hours)) return hours;
  throw new SyntaxError(`Cannot read hours "${text}": needed a number such as 168`);
}

/** A file to delete, by its path. */
export interface DeadFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * @returns What was deleted, or would be; null where a compaction or another vacuum is at work.
 * @throws {LakeError} If the lake cannot be read.
 */
export async function runVacuum(lake: string, options: VacuumOptions): Promise<readonly DeadFile[] | null> {
  assertTables(lake);
  await prepareLake(lake);
  return await withLock(compactLock(lake), async () => {
    const temporaryDirectory = await Deno.makeTempDir({ prefix: "skyfall-" });
    try {
      using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory });
      if (options.isDryRun) return await findDead(database, lake, options);
      // The files of a commit that was overwritten are named by no version until it is put back.
      for (const table of TABLES) await putBackOverwritten(tableDirectory(lake, table), table, database);
      return await whileDeleting(lake, async () => {
        const dead = await findDead(database, lake, options);
        for (const { path } of dead) await removeIfPresent(path); // another host may be at it
        for (const table of TABLES) await removeExpiredLog(tableDirectory(lake, table), Date.now() - LOG_RETENTION_MS);
        return dead;
      });
    } finally {
      await Deno.remove(temporaryDirectory, { recursive: true });
    }
  });
}

async function findDead(database: Database, lake: string, { retainMs, isDryRun }: VacuumOptions): Promise<DeadFile[]> {
  // The journal before the log: a cut that ends in between is in one of them. The log before the leases: see heldBy().
  const pending = await filesOfPendingCuts(lake);
  const snapshots: [TableDefinition, Snapshot][] = [];
  for (const table of TABLES) {
    const directory = tableDirectory(lake, table), snapshot = await readTable(directory, table, database);
    snapshots.push([
      table,
      isDryRun || retainMs === null ? snapshot : await extendRetention(directory, table, snapshot, retainMs, database),
    ]);
  }
  const held = await heldBy(lake);
  if (held.everything) {
    log("info", "jobs", "nothing is vacuumed: a reader has just begun", { lake });
    return [];
  }
  const dead: DeadFile[] = [];
  for (const [table, snapshot] of snapshots) {
    const directory = tableDirectory(lake, table);
    const before = Date.now() - (retainMs ?? tombstoneRetentionMs(snapshot.metaData));
    const kept = new Set(snapshot.files.keys());
    for (const { path, deletionTimestamp } of snapshot.tombstones.values()) if ((deletionTimestamp ?? 0) > before) kept.add(path);
    for (const versions of held.versions) {
      const version = versions.get(table.name) ?? -1n;
      if (version < 0n || version === snapshot.version) continue;
      for (const path of (await readTable(directory, table, database, version)).files.keys()) kept.add(path);
    }
    const unnamedBefore = Math.min(before, Date.now() - UNNAMED_AGE_MS, held.writingSinceMs ?? Infinity);
    for (const found of dataFiles(directory)) {
      if (kept.has(encodePath(found.relative)) || kept.has(found.relative)) continue;
      const wasNamed = snapshot.tombstones.has(found.relative) || snapshot.tombstones.has(encodePath(found.relative));
      if (wasNamed || found.mtimeMs < unnamedBefore && !pending.has(found.name)) dead.push({ path: found.path, bytes: found.bytes });
    }
  }
  return dead;
}

/** As a Delta log writes a path. */
function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/").replaceAll("%3D", "=");
}

interface FoundFile {
  readonly path: string;
  /** Below the table's folder. */
  readonly relative: string;
  /** Without folder and suffix. */
  readonly name: string;
  readonly bytes: number;
  readonly mtimeMs: number;
}

/** Data files below the table's folder, but in folders that are hidden or begin with an underscore. */
function* dataFiles(directory: string, folder = ""): Generator<FoundFile> {
  for (const entry of listFolder(`${directory}/${folder}`)) {
    const relative = `${folder}${entry.name}`;
    if (/^[_.]/.test(entry.name)) continue;
    if (entry.isDirectory) yield* dataFiles(directory, `${relative}/`);
    if (!entry.isFile || !entry.name.endsWith(".parquet")) continue;
    const path = `${directory}/${relative}`, { size, mtime } = Deno.statSync(path);
    yield { path, relative, name: entry.name.replace(DATA_FILE_SUFFIX, ""), bytes: size, mtimeMs: mtime?.getTime() ?? Infinity };
  }
}

function listFolder(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
