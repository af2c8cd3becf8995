/**
 * Puts back what another program has taken out of a table by writing its own version over one of ours: the same files, in a new
 * version, unless their messages are in the table by now, or will be read again.
 */

import { z } from "zod";
import { removeIfPresent } from "../../lib/durable_file.ts";
import { log } from "../../lib/log.ts";
import type { Database } from "../duckdb.ts";
import { type LogAction, parseAction, parseJson } from "./actions.ts";
import {
  checkpointFile,
  commitVersion,
  LakeError,
  listLog,
  logDirectory,
  READER_VERSION,
  readVersion,
  type Snapshot,
  WRITER_VERSION,
} from "./delta_log.ts";
import { commitPath, forgetCommit, overwrittenCommits } from "./own_commits.ts";
import { dataFilePath, neededMetaData, readTableHead, type TableDefinition } from "./table.ts";

/** Versions before the newest that are looked at with every commit: a program that overwrites one does so soon after it. */
const RECENT_VERSIONS = 128n;

/** Messages of a commit: by "TOPIC:PARTITION", the first offset and the one after the last. */
type Ranges = ReadonlyMap<string, readonly [from: bigint, to: bigint]>;

const Offset = z.string().regex(/^\d{1,19}$/).transform(BigInt);
const Offsets = z.record(z.string(), z.tuple([Offset, Offset]));

/** What became of a commit that was overwritten. */
export type Outcome = "put back" | "in the table again" | "to be read again" | "to be made again";

/**
 * Puts back every commit of ours that was overwritten.
 *
 * @param newest Only versions shortly before this one are looked at; without it all that are remembered.
 * @returns What became of each; empty where none was overwritten, else the table must be read anew from its log.
 * @throws {LakeError} If a commit cannot be put back; the message says which messages are missing.
 */
export async function putBackOverwritten(
  directory: string,
  definition: TableDefinition,
  database: Database,
  newest?: bigint,
): Promise<ReadonlyMap<bigint, Outcome>> {
  const outcomes = new Map<bigint, Outcome>();
  const versions = newest === undefined
    ? overwrittenCommits(directory)
    : overwrittenCommits(directory, newest - RECENT_VERSIONS, newest + 1n);
  for (const version of versions) {
    await removeCheckpointsFrom(directory, version);
    const outcome = await putBack(directory, definition, database, version);
    await forgetCommit(directory, version);
    log("warn", "jobs", "commit was overwritten by another program", { table: definition.name, version: String(version), outcome });
    outcomes.set(version, outcome);
  }
  return outcomes;
}

async function putBack(directory: string, definition: TableDefinition, database: Database, version: bigint): Promise<Outcome> {
  const path = commitPath(directory, version);
  const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  const all = lines.map((line, i) => parseAction(parseJson(line, path, i + 1), path, i + 1));
  // What replaces files, as compaction does, leaves the replaced ones in the table where it is overwritten.
  if (all.some(({ remove }) => remove) || !all.some(({ add, txn }) => add || txn)) return "to be made again";
  const ranges = rangesOf(all);
  for (;;) {
    const latest = await readTableHead(directory, definition, database);
    const own = await withoutKnownFiles(directory, latest, version, all);
    if (own.length < all.length && own.every(({ add }) => !add)) return "in the table again";
    const decision = ranges.size === 0
      ? await decideByFiles(directory, version, own)
      : await decideByOffsets(directory, latest, version, own, ranges);
    if (decision !== "put back") return decision;
    if (await commitVersion(directory, latest.version + 1n, newActions(definition, latest, version, own))) return decision;
  }
}

/** Without the files that a later version names: they are in the table, or what replaced them is. */
async function withoutKnownFiles(
  directory: string,
  latest: Snapshot,
  version: bigint,
  own: readonly LogAction[],
): Promise<readonly LogAction[]> {
  const since = (await actionsSince(directory, version, latest.version)).flat();
  const known = new Set(since.flatMap(({ add, remove }) => [add?.path, remove?.path]));
  return own.filter(({ add }) => !add || !known.has(add.path));
}

/** A commit that names no offsets is in the table again where one of its files is, whose names are its own. */
async function decideByFiles(directory: string, version: bigint, own: readonly LogAction[]): Promise<Outcome> {
  if (await hasAllFiles(directory, own)) return "put back";
  throw new LakeError(
    `Cannot put back version ${version} of lake "${directory}", which another program has overwritten: a file of it is gone; restore "${directory}" from a copy`,
  );
}

async function decideByOffsets(
  directory: string,
  latest: Snapshot,
  version: bigint,
  own: readonly LogAction[],
  ranges: Ranges,
): Promise<Outcome> {
  const covered = (await actionsSince(directory, version, latest.version)).map(rangesOf);
  const isCovered = ([partition, [from, to]]: [string, readonly [bigint, bigint]]) =>
    covered.some((ranges) => overlaps(ranges.get(partition), from, to));
  const landed = landedOffsets(latest, own);
  const isPassed = ([partition, [, to]]: [string, readonly [bigint, bigint]]) => (landed.get(partition) ?? 0n) >= to;
  const open = [...ranges].filter((range) => !isCovered(range));
  if (open.length === 0) return "in the table again";
  const isWhole = await hasAllFiles(directory, own);
  const isNext = open.every(([partition, [from]]) => (landed.get(partition) ?? from) >= from);
  if (open.length === ranges.size && isNext && isWhole) return "put back";
  if (!open.some(isPassed)) return "to be read again";
  const lost = open.filter(isPassed).map(([partition, [from, to]]) => `${partition} offsets ${from} to before ${to}`).join(", ");
  throw new LakeError(
    `Cannot put back version ${version} of lake "${directory}", which another program has overwritten: ${lost} are missing, and ` +
      `${isWhole ? "some of its other messages are in the table again" : "a file of it is gone"}; restore "${directory}" from a copy`,
  );
}

function overlaps(range: readonly [bigint, bigint] | undefined, from: bigint, to: bigint): boolean {
  return range !== undefined && range[0] < to && range[1] > from;
}

/** By version, what was committed since, the version included that stands where ours did. */
async function actionsSince(directory: string, version: bigint, newest: bigint): Promise<(readonly LogAction[])[]> {
  const all: (readonly LogAction[])[] = [];
  for (let next = version; next <= newest; next++) all.push(await readVersion(directory, next));
  return all;
}

/** Another program's commit has none. */
function rangesOf(actions: readonly LogAction[]): Ranges {
  const text = actions.find(({ commitInfo }) => commitInfo)?.commitInfo?.operationParameters?.["offsets"];
  if (typeof text !== "string") return new Map();
  const parsed = Offsets.safeParse(JSON.parse(text));
  return new Map(parsed.success ? Object.entries(parsed.data) : []);
}

/** Application ids whose versions are offsets to read next, by "TOPIC:PARTITION". */
const OFFSET_ID = /^skyfall-(?:etl|dependencies):(.*:\d+)$/;
/** Those that note the last message that was taken in. */
const LAST_ID = /^skyfall-(?:etl|dependencies)-last:(.*:\d+)$/;

/** By "TOPIC:PARTITION", the offset to read next, of the applications of our commit. */
function landedOffsets(latest: Snapshot, own: readonly LogAction[]): ReadonlyMap<string, bigint> {
  const landed = new Map<string, bigint>();
  for (const { txn } of own) {
    const place = txn && OFFSET_ID.exec(txn.appId)?.[1];
    if (!place) continue;
    const offset = latest.transactions.get(txn.appId);
    if (offset !== undefined) landed.set(place, offset);
  }
  return landed;
}

/** Partitions of our commit of which the table has more by now. */
function passedPlaces(latest: Snapshot, own: readonly LogAction[]): ReadonlySet<string> {
  const passed = own.filter(({ txn }) => txn && (latest.transactions.get(txn.appId) ?? -1n) > txn.version);
  return new Set(passed.flatMap(({ txn }) => OFFSET_ID.exec(txn!.appId)?.[1] ?? []));
}

async function hasAllFiles(directory: string, own: readonly LogAction[]): Promise<boolean> {
  for (const { add } of own) {
    if (!add) continue;
    try {
      if ((await Deno.stat(dataFilePath(directory, add.path))).size !== add.size) return false;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
  return true;
}

/** The commit's files, and of its offsets those that are not passed already. */
function newActions(definition: TableDefinition, latest: Snapshot, version: bigint, own: readonly LogAction[]): object[] {
  const metaData = neededMetaData(definition, latest), passed = passedPlaces(latest, own);
  return own.flatMap((action): object[] => {
    const { commitInfo, txn, add } = action;
    if (commitInfo) {
      const operationParameters = { ...commitInfo.operationParameters, putBack: String(version) };
      return [
        { commitInfo: { ...commitInfo, timestamp: Date.now(), operationParameters } },
        ...latest.metaData === null ? [{ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } }] : [],
        ...metaData === null ? [] : [{ metaData }],
      ];
    }
    if (txn) {
      const last = LAST_ID.exec(txn.appId)?.[1];
      const isPassed = last === undefined ? (latest.transactions.get(txn.appId) ?? -1n) >= txn.version : passed.has(last);
      return isPassed ? [] : [{ txn: { ...txn, version: Number(txn.version) } }];
    }
    return add ? [{ add }] : [];
  });
}

/** They may hold what ours was, and lack what stands there now. The log can be read without, unless it was cleaned up. */
async function removeCheckpointsFrom(directory: string, version: bigint): Promise<void> {
  const { versions, checkpoints } = listLog(directory);
  const isReadableWithout = versions[0] === 0n || checkpoints.some((checkpoint) => checkpoint.version < version);
  if (!isReadableWithout) return;
  for (const checkpoint of checkpoints) {
    if (checkpoint.version < version) continue;
    for (const path of checkpoint.paths) await removeIfPresent(path);
    const own = checkpointFile(checkpoint.version);
    log("warn", "jobs", "checkpoint removed, as it may differ from the log", { file: `${logDirectory(directory)}/${own}` });
  }
}
