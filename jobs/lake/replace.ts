/** Replaces files of a table by others, or drops them, in one version of its log. */

import type { Database } from "../duckdb.ts";
import { ENGINE, withCheckpoint } from "./append.ts";
import { type AddFile, commitVersion, READER_VERSION, type Snapshot, WRITER_VERSION } from "./delta_log.ts";
import { putBackOverwritten } from "./put_back.ts";
import { neededMetaData, refreshTable, type TableDefinition } from "./table.ts";

export interface Replacement {
  /** Name of what was done, as others show it in the table's history. */
  readonly operation: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly removes: readonly AddFile[];
  readonly adds: readonly AddFile[];
  /** False where the rows stay the same. */
  readonly dataChange: boolean;
  /** By application id, the version that it is at afterwards. */
  readonly transactions: ReadonlyMap<string, bigint>;
}

/**
 * Commits the replacement in one version, and a checkpoint where one is due. Appends of others do not get in its way.
 *
 * @param snapshot What it was made from.
 * @returns The table with it, or null where somebody else has meanwhile removed one of the files, committed one of the
 *   transactions, or overwritten a commit of ours; then nothing is changed.
 * @throws {LakeError} If the disk fails or is full, or a newer version of Skyfall has meanwhile written the table.
 */
export async function replace(
  directory: string,
  definition: TableDefinition,
  snapshot: Snapshot,
  { operation, parameters, removes, adds, dataChange, transactions }: Replacement,
  database: Database,
): Promise<Snapshot | null> {
  for (let latest = snapshot;;) {
    if ((await putBackOverwritten(directory, definition, database, latest.version)).size > 0) return null;
    // Also before the first attempt: the snapshot may be younger than what the files were chosen from.
    if (removes.some(({ path }) => !latest.files.has(path))) return null;
    for (const id of transactions.keys()) if (latest.transactions.get(id) !== snapshot.transactions.get(id)) return null;
    const metaData = adds.length === 0 ? null : neededMetaData(definition, latest), now = Date.now();
    const committed = await commitVersion(directory, latest.version + 1n, [
      { commitInfo: { timestamp: now, operation, operationParameters: parameters, isBlindAppend: false, engineInfo: ENGINE } },
      ...(latest.metaData === null ? [{ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } }] : []),
      ...(metaData === null ? [] : [{ metaData }]),
      ...[...transactions].map(([appId, version]) => ({ txn: { appId, version: Number(version), lastUpdated: now } })),
      ...removes.map(({ path, partitionValues, size, tags, stats }) => ({
        remove: {
          path,
          deletionTimestamp: now,
          dataChange,
          extendedFileMetadata: true,
          partitionValues,
          size,
          ...(tags ? { tags } : {}),
          ...(stats ? { stats } : {}),
        },
      })),
      ...adds.map((add) => ({ add: { ...add, dataChange } })),
    ]);
    latest = await refreshTable(directory, definition, latest);
    if (committed) return await withCheckpoint(directory, definition, latest, database);
  }
}
