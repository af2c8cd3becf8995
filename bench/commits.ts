/** Long logs of a table: commits of one file each, as the ETL job makes them, with a checkpoint where the last was due. */

import type { Database } from "../jobs/duckdb.ts";
import { CHECKPOINT_VERSIONS, writeCheckpoint } from "../jobs/lake/checkpoint.ts";
import { logDirectory, versionFile } from "../jobs/lake/delta_log.ts";
import { neededMetaData, readTable } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";

const STATS = JSON.stringify({
  numRecords: 1_000,
  minValues: { window_start: "2026-01-02T03:04:05.000Z", window_end: "2026-01-02T03:04:15.000Z", server_port: 80, bytes_sent: 0 },
  maxValues: {
    window_start: "2026-01-02T03:09:05.000Z",
    window_end: "2026-01-02T03:10:05.000Z",
    server_port: 9_999,
    bytes_sent: 1_000_000,
  },
  nullCount: { window_start: 0, window_end: 0, server_port: 0, bytes_sent: 0 },
});

/** Makes a table `flow` of so many commits; its data files are named, and not there. */
export async function makeCommits(directory: string, commits: number, database: Database): Promise<void> {
  const folder = logDirectory(directory);
  await Deno.mkdir(folder, { recursive: true });
  const last = BigInt(commits) - 1n, checkpoint = last - last % CHECKPOINT_VERSIONS;
  for (let version = 0n; version <= last; version++) {
    await Deno.writeTextFile(`${folder}/${versionFile(version)}`, commitText(version));
    if (version === checkpoint && version > 0n) await checkpointNow(directory, database);
  }
}

/** The log is read once to its end; a checkpoint before spares the reading of it all. */
async function checkpointNow(directory: string, database: Database): Promise<void> {
  await writeCheckpoint(directory, await readTable(directory, FLOW, database), database);
}

function commitText(version: bigint): string {
  const nowMs = Date.now(), offsets = JSON.stringify({ "flows-0:0": [String(version), String(version + 1n)] });
  const actions = [
    {
      commitInfo: {
        timestamp: nowMs,
        operation: "STREAMING UPDATE",
        operationParameters: { offsets, rows: "1000", reason: "age" },
        isBlindAppend: true,
        engineInfo: "Skyfall",
      },
    },
    ...(version === 0n
      ? [{ protocol: { minReaderVersion: 1, minWriterVersion: 2 } }, { metaData: neededMetaData(FLOW, { metaData: null }) }]
      : []),
    { txn: { appId: "skyfall-etl:flows-0:0", version: Number(version) + 1, lastUpdated: nowMs } },
    {
      add: {
        path: `date=2026-01-${String(1 + Number(version) % 28).padStart(2, "0")}/hour=${
          Number(version) % 24
        }/part-0-${version}-0123456789abcdef.zstd.parquet`,
        partitionValues: { date: `2026-01-${String(1 + Number(version) % 28).padStart(2, "0")}`, hour: String(Number(version) % 24) },
        size: 40_000,
        modificationTime: nowMs,
        dataChange: true,
        stats: STATS,
        tags: { "skyfall.offsets": offsets, "skyfall.rows": "1000" },
      },
    },
  ];
  return actions.map((action) => JSON.stringify(action) + "\n").join("");
}
