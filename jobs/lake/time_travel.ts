/** The lake as of an earlier time: which version of each table that was, and whether its files are still there. */

import type { Database } from "../duckdb.ts";
import { LakeError, listLog, logDirectory, readVersion, type Snapshot, versionFile } from "./delta_log.ts";
import { dataFilePath, isDataFile, readTable, type TableDefinition, tableDirectory } from "./table.ts";
import { FLOW, TABLES } from "./tables.ts";

/** A version of `flow`, or a time, as milliseconds since 1970. */
export type AsOf = { readonly version: bigint } | { readonly timeMs: number };

const Version = /^\d{1,18}$/;
/** RFC 3339, or the same with a space, without seconds or without a time; in UTC unless it says otherwise. */
const Time = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** @throws {SyntaxError} If the text is neither a version nor a time. */
export function parseAsOf(text: string): AsOf {
  if (Version.test(text)) return { version: BigInt(text) };
  const match = Time.exec(text);
  const timeMs = match === null
    ? NaN
    : Date.parse(match[1] === undefined ? text : text.replace(" ", "T") + (match[4] === undefined ? "Z" : ""));
  if (Number.isNaN(timeMs)) {
    throw new SyntaxError(`Cannot read as of "${text}": needed a version such as 17, or a time such as 2026-01-02T03:04:05Z`);
  }
  return { timeMs };
}

/**
 * The version of each table at that time: of a version of `flow`, the time of its commit. -1 of a table that came later.
 *
 * @throws {LakeError} If the log does not reach back so far, or `flow` has no such version.
 */
export async function versionsAsOf(lake: string, asOf: AsOf): Promise<Map<string, bigint>> {
  const flow = tableDirectory(lake, FLOW);
  const timeMs = "timeMs" in asOf ? asOf.timeMs : await commitTimeMs(flow, known(flow, asOf.version));
  const versions = new Map<string, bigint>();
  for (const definition of TABLES) versions.set(definition.name, await versionAt(tableDirectory(lake, definition), timeMs));
  if ("version" in asOf) versions.set(FLOW.name, asOf.version);
  else if (versions.get(FLOW.name) === -1n) {
    const [first] = listLog(flow).versions, oldest = first;
    const began = oldest === undefined ? "" : `; its oldest version is ${oldest}, of ${timeText(await commitTimeMs(flow, oldest))}`;
    throw new LakeError(`Cannot read lake "${lake}" as of ${timeText(timeMs)}: it is not known as of then${began}`);
  }
  return versions;
}

/**
 * Makes sure that every file of the version is there.
 *
 * @throws {LakeError} If some were vacuumed; the message has the oldest version that is whole.
 */
export async function assertWhole(database: Database, lake: string, definition: TableDefinition, version: bigint): Promise<void> {
  if (version < 0n) return;
  const directory = tableDirectory(lake, definition);
  const gone = await missingFiles(directory, await readTable(directory, definition, database, version));
  if (gone.size === 0) return;
  const newest = listLog(directory).versions.at(-1)!;
  let oldest = version;
  for (let next = version + 1n; next <= newest && gone.size > 0; next++) {
    for (const { remove } of await readVersion(directory, next)) if (remove && gone.delete(remove.path)) oldest = next;
  }
  if (gone.size > 0) return; // they are part of the table still: whoever opens it says so
  throw new LakeError(
    `Cannot read table "${definition.name}" as of version ${version}: its files were vacuumed; the oldest version that is there is ${oldest}, of ${
      timeText(await commitTimeMs(directory, oldest))
    }`,
  );
}

async function missingFiles(directory: string, { files }: Snapshot): Promise<Set<string>> {
  const missing = new Set<string>();
  for (const path of files.keys()) if (!await isDataFile(dataFilePath(directory, path))) missing.add(path);
  return missing;
}

function known(directory: string, version: bigint): bigint {
  const { versions, checkpoints } = listLog(directory);
  if (versions.includes(version)) return version;
  const oldest = checkpoints[0]?.version ?? versions[0], newest = versions.at(-1);
  throw new LakeError(
    `Cannot read lake as of version ${version}: "${logDirectory(directory)}" has ${oldest ?? "no version"} to ${newest ?? "none"}`,
  );
}

/** The newest version that was committed at that time or before; -1 where there was none, or its log is gone. */
async function versionAt(directory: string, timeMs: number): Promise<bigint> {
  const { versions } = listLog(directory);
  let low = 0, high = versions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await commitTimeMs(directory, versions[middle]!) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? -1n : versions[low - 1]!;
}

/** As the commit itself says it; of one that does not, the time of its file. */
async function commitTimeMs(directory: string, version: bigint): Promise<number> {
  for (const { commitInfo } of await readVersion(directory, version)) if (commitInfo?.timestamp) return commitInfo.timestamp;
  return (await Deno.stat(`${logDirectory(directory)}/${versionFile(version)}`)).mtime?.getTime() ?? 0;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
