/** Names in the folder of a table's log (github.com/delta-io/delta, PROTOCOL.md, "Delta Log Entries"). */

export const VERSION_DIGITS = 20;

export function logDirectory(directory: string): string {
  return `${directory}/_delta_log`;
}

export function versionFile(version: bigint): string {
  return `${versionDigits(version)}.json`;
}

export function checkpointFile(version: bigint): string {
  return `${versionDigits(version)}.checkpoint.parquet`;
}

function versionDigits(version: bigint): string {
  return String(version).padStart(VERSION_DIGITS, "0");
}
