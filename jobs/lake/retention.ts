/** How long files stay that are no longer part of a table, as the table itself says it, for every program that deletes files. */

import type { Database } from "../duckdb.ts";
import { ENGINE, withCheckpoint } from "./append.ts";
import { tombstoneRetentionMs } from "./checkpoint.ts";
import { commitVersion, type Snapshot } from "./delta_log.ts";
import { refreshTable, type TableDefinition } from "./table.ts";

const HOUR_MS = 3_600_000;

/** Writes into the table that files stay for at least so long. A table that says more, or is not there, is left as it is. */
export async function extendRetention(
  directory: string,
  definition: TableDefinition,
  snapshot: Snapshot,
  retainMs: number,
  database: Database,
): Promise<Snapshot> {
  for (let latest = snapshot;;) {
    const { metaData } = latest;
    if (metaData === null || tombstoneRetentionMs(metaData) >= retainMs) return latest;
    const retention = { "delta.deletedFileRetentionDuration": `interval ${Math.ceil(retainMs / HOUR_MS)} hours` };
    const committed = await commitVersion(directory, latest.version + 1n, [
      {
        commitInfo: {
          timestamp: Date.now(),
          operation: "SET TBLPROPERTIES",
          operationParameters: { properties: JSON.stringify(retention) },
          engineInfo: ENGINE,
        },
      },
      { metaData: { ...metaData, configuration: { ...metaData.configuration, ...retention } } },
    ]);
    latest = await refreshTable(directory, definition, latest);
    if (committed) return await withCheckpoint(directory, definition, latest, database);
  }
}
