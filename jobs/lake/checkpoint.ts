/** Checkpoints of a table's log: its whole state in one Parquet file, so that opening stays fast (PROTOCOL.md, "Checkpoints"). */

import { describeDisk, removeIfPresent, syncDirectory, writeDurably } from "../../lib/durable_file.ts";
import type { Database } from "../duckdb.ts";
import { sqlText } from "../sql_text.ts";
import { checkpointFile, LakeError, listLog, logDirectory, type Snapshot, type TableMetaData, versionFile } from "./delta_log.ts";

/** Versions between two checkpoints. */
export const CHECKPOINT_VERSIONS = 100n;

/** Kept for programs that look for what they may delete (Delta's default of `delta.deletedFileRetentionDuration`). */
const TOMBSTONE_RETENTION_MS = 7 * 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 };

/** Columns of a checkpoint, each an action; a row has one of them. */
const COLUMNS = `{
  txn: 'STRUCT(appId VARCHAR, version BIGINT, lastUpdated BIGINT)',
  add: 'STRUCT(path VARCHAR, partitionValues MAP(VARCHAR, VARCHAR), size BIGINT, modificationTime BIGINT, dataChange BOOLEAN,
    stats VARCHAR, tags MAP(VARCHAR, VARCHAR))',
  remove: 'STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, extendedFileMetadata BOOLEAN,
    partitionValues MAP(VARCHAR, VARCHAR), size BIGINT)',
  metaData: 'STRUCT(id VARCHAR, name VARCHAR, description VARCHAR, format STRUCT(provider VARCHAR, options MAP(VARCHAR, VARCHAR)),
    schemaString VARCHAR, partitionColumns VARCHAR[], configuration MAP(VARCHAR, VARCHAR), createdTime BIGINT)',
  protocol: 'STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER)'
}`;

/**
 * Writes a checkpoint of the snapshot, and makes it the one that readers begin with.
 *
 * @throws {LakeError} If the disk fails or is full; the table is as it was.
 */
export async function writeCheckpoint(directory: string, snapshot: Snapshot, database: Database): Promise<void> {
  if (!snapshot.isWhole) throw new RangeError("Cannot write checkpoint: the snapshot lacks files, needed all");
  const folder = logDirectory(directory), name = checkpointFile(snapshot.version);
  const temporary = `${folder}/.${crypto.randomUUID()}.tmp`;
  try {
    const lines = checkpointLines(snapshot);
    await Deno.writeTextFile(`${temporary}.json`, lines.join(""));
    await database.run(`copy (from read_json(${sqlText(`${temporary}.json`)}, format = 'newline_delimited', columns = ${COLUMNS}))
      to ${sqlText(`${temporary}.parquet`)} (format parquet, compression zstd)`);
    const size = (await Deno.stat(`${temporary}.parquet`)).size;
    await putInPlace(folder, `${temporary}.parquet`, name);
    const last = { version: Number(snapshot.version), size: lines.length, sizeInBytes: size, numOfAddFiles: snapshot.files.size };
    await writeDurably(`${temporary}.last`, new TextEncoder().encode(JSON.stringify(last)));
    await putInPlace(folder, `${temporary}.last`, "_last_checkpoint");
  } catch (cause) {
    throw new LakeError(`Cannot write checkpoint "${folder}/${name}": ${describeDisk(cause)}`, { cause });
  } finally {
    for (const suffix of ["json", "parquet", "last"]) await removeIfPresent(`${temporary}.${suffix}`);
  }
}

/** Syncs the file and gives it its name; what another program noted of a former file of the name (".NAME.crc") goes. */
async function putInPlace(folder: string, from: string, name: string): Promise<void> {
  {
    using file = await Deno.open(from);
    await file.sync();
  }
  await removeIfPresent(`${folder}/.${name}.crc`);
  await Deno.rename(from, `${folder}/${name}`);
  await syncDirectory(folder);
}

function checkpointLines({ files, tombstones, transactions, metaData, protocol }: Snapshot): string[] {
  const kept = Date.now() - tombstoneRetentionMs(metaData);
  const actions = [
    { protocol },
    { metaData },
    ...[...transactions].map(([appId, version]) => ({ txn: { appId, version: Number(version) } })),
    ...[...tombstones.values()].filter(({ deletionTimestamp }) => (deletionTimestamp ?? 0) > kept).map((remove) => ({ remove })),
    ...[...files.values()].map((add) => ({ add: { ...add, dataChange: false } })),
  ];
  return actions.map((action) => JSON.stringify(action) + "\n");
}

/** How long a file stays that is no longer part of the table, as the table itself says it, in Delta's "interval 7 days". */
export function tombstoneRetentionMs(metaData: TableMetaData | null): number {
  const text = metaData?.configuration?.["delta.deletedFileRetentionDuration"];
  const match = /^(?:interval )?(\d+) (second|minute|hour|day|week)s?$/.exec(text ?? "");
  return match === null ? TOMBSTONE_RETENTION_MS : Number(match[1]) * UNIT_MS[match[2]!]!;
}

/**
 * Removes versions and checkpoints that are older than the newest checkpoint of before that time; nothing can be asked as of
 * them any more.
 *
 * @returns How many files it removed.
 */
export async function removeExpiredLog(directory: string, beforeMs: number): Promise<number> {
  const folder = logDirectory(directory), { versions, checkpoints } = listLog(directory);
  const isBefore = async (path: string) => ((await Deno.stat(path)).mtime?.getTime() ?? Infinity) < beforeMs;
  let first: bigint | null = null;
  for (const { version, paths } of checkpoints) if (await isBefore(paths[0]!)) first = version;
  if (first === null) return 0;
  const oldest = first;
  const expired = [
    ...versions.filter((version) => version < oldest).map((version) => `${folder}/${versionFile(version)}`),
    ...checkpoints.filter(({ version }) => version < oldest).flatMap(({ paths }) => paths),
  ];
  for (const path of expired) await removeIfPresent(path);
  return expired.length;
}
