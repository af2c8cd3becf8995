/** Appends to a table: files and the offsets that they bring, in one version of its log. */

import { log } from "../../lib/log.ts";
import type { Database } from "../duckdb.ts";
import { CHECKPOINT_VERSIONS, writeCheckpoint } from "./checkpoint.ts";
import { type AddFile, commitVersion, READER_VERSION, refreshSnapshot, type Snapshot, WRITER_VERSION } from "./delta_log.ts";
import { putBackOverwritten } from "./put_back.ts";
import { neededMetaData, readTable, readTableHead, type TableDefinition } from "./table.ts";

/** What `commitInfo.engineInfo` says of our commits. */
export const ENGINE = "Skyfall";

export interface Append {
  /** Name of what was done, as others show it in the table's history. */
  readonly operation: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly adds: readonly AddFile[];
  /** By application id, the offset to read next. */
  readonly transactions: ReadonlyMap<string, bigint>;
}

/**
 * Commits files and offsets in one version, and a checkpoint where one is due.
 *
 * @param snapshot What the files were made from: of every application of the append, its offset must still be the same.
 * @returns The table with them, or null where another writer has meanwhile taken in some of the same; then the files stay unseen.
 * @throws {LakeError} If the disk fails or is full.
 */
export async function append(
  directory: string,
  definition: TableDefinition,
  snapshot: Snapshot,
  { operation, parameters, adds, transactions }: Append,
  database: Database,
): Promise<Snapshot | null> {
  for (let latest = snapshot;;) {
    if ((await putBackOverwritten(directory, definition, database, latest.version)).size > 0) {
      latest = await readTableHead(directory, definition, database);
      if (isOvertaken(snapshot, latest, transactions)) return null;
    }
    const metaData = neededMetaData(definition, latest), now = Date.now();
    const committed = await commitVersion(directory, latest.version + 1n, [
      { commitInfo: { timestamp: now, operation, operationParameters: parameters, isBlindAppend: true, engineInfo: ENGINE } },
      ...(latest.metaData === null ? [{ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } }] : []),
      ...(metaData === null ? [] : [{ metaData }]),
      ...[...transactions].map(([appId, version]) => ({ txn: { appId, version: Number(version), lastUpdated: now } })),
      ...adds.map((add) => ({ add })),
    ]);
    latest = await refreshSnapshot(directory, latest);
    if (committed) return await withCheckpoint(directory, definition, latest, database);
    if (isOvertaken(snapshot, latest, transactions)) return null;
  }
}

/** Whether another writer has taken in messages of the same applications. */
function isOvertaken(before: Snapshot, latest: Snapshot, transactions: Append["transactions"]): boolean {
  return transactions.keys().some((id) => latest.transactions.get(id) !== before.transactions.get(id));
}

/** A checkpoint only makes opening fast: where it cannot be written the commit stands all the same. */
export async function withCheckpoint(
  directory: string,
  definition: TableDefinition,
  snapshot: Snapshot,
  database: Database,
): Promise<Snapshot> {
  if (snapshot.version - snapshot.checkpointVersion < CHECKPOINT_VERSIONS) return snapshot;
  try {
    // Of the log as it is now: a version that this process remembers may have been overwritten since.
    await writeCheckpoint(directory, await readTable(directory, definition, database, snapshot.version), database);
  } catch (error) {
    log("warn", "jobs", "checkpoint not written", { error: String(error) });
  }
  return { ...snapshot, checkpointVersion: snapshot.version };
}
