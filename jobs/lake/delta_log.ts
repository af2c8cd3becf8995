/** The log of a Delta Lake table: which files are the table, and how far the topic is in it (github.com/delta-io/delta, PROTOCOL.md). */

import { describeDisk, removeIfPresent, syncDirectory, writeDurably } from "../../lib/durable_file.ts";
import { log } from "../../lib/log.ts";
import {
  type AddFile,
  LakeError,
  type LogAction,
  parseAction,
  parseJson,
  type RemoveFile,
  type TableMetaData,
  type TableProtocol,
} from "./actions.ts";
import { logDirectory, VERSION_DIGITS, versionFile } from "./log_folder.ts";
import { rememberCommit } from "./own_commits.ts";

export { checkpointFile, logDirectory, versionFile } from "./log_folder.ts";
export { type AddFile, LakeError, type LogAction, type RemoveFile, type TableMetaData } from "./actions.ts";

/** Versions of the Delta protocol that this program reads and writes. */
export const READER_VERSION = 1;
export const WRITER_VERSION = 2;

/** A table as of one version. */
export interface Snapshot {
  /** -1 where there is no table yet. */
  readonly version: bigint;
  readonly files: ReadonlyMap<string, AddFile>;
  /** Files that are no longer the table; readers of older versions may still hold them. */
  readonly tombstones: ReadonlyMap<string, RemoveFile>;
  /** By application id, the version that it committed last: for the ETL job, the next offset to read. */
  readonly transactions: ReadonlyMap<string, bigint>;
  /** Null where no table was made yet. */
  readonly metaData: TableMetaData | null;
  readonly protocol: TableProtocol | null;
  /** The newest checkpoint that was there when the log was read, -1 where there was none. */
  readonly checkpointVersion: bigint;
  /** Whether `files` and `tombstones` are all; else they lack what the checkpoint has, as `readTableHead()` leaves it out. */
  readonly isWhole: boolean;
}

/** Reads the actions of a checkpoint file (Parquet), each as one action of the log. */
export type CheckpointReader = (paths: readonly string[]) => Promise<unknown[]>;

const LOG_SUFFIX = ".json";
/** A checkpoint in one file, or one of several parts. */
const CheckpointFile = new RegExp(`^(\\d{${VERSION_DIGITS}})\\.checkpoint(?:\\.(\\d{10})\\.(\\d{10}))?\\.parquet$`);

/** What a table's log folder holds. */
export interface LogListing {
  /** Ascending. */
  readonly versions: readonly bigint[];
  /** Complete ones, ascending, with the files of each. */
  readonly checkpoints: readonly { readonly version: bigint; readonly paths: readonly string[] }[];
}

/**
 * Reads the table in `directory`, from the newest checkpoint that serves on.
 *
 * @param asOf The version to read; without it the newest.
 * @throws {LakeError} If the log has a hole, an entry that is no action, a protocol that is newer than this program, or no such version.
 */
export async function readSnapshot(directory: string, readCheckpoint: CheckpointReader, asOf?: bigint): Promise<Snapshot> {
  const listing = listNames(directory);
  const wanted = (version: bigint) => asOf === undefined || version <= asOf;
  const newest = listing.names.findLast((name) => wanted(versionOf(name))) ?? "";
  const checkpoints = listing.checkpoints.filter(({ version }) => wanted(version));
  const state = await startingState(directory, checkpoints, listing.names[0] === versionFile(0n), readCheckpoint);
  while (versionFile(state.version) < newest) {
    const next = state.version + 1n;
    // A name that the listing lacks may be younger than it: others write while the folder is read.
    const actions = await readVersionIfPresent(directory, next);
    if (actions === null) throw holeError(directory, next, versionOf(listing.names.find((name) => name > versionFile(next))!));
    state.apply(actions);
    state.version = next;
  }
  if (asOf !== undefined && state.version !== asOf) {
    const of = (name: string | undefined) => (name === undefined ? "none" : String(versionOf(name)));
    throw new LakeError(
      `Cannot read lake "${directory}": there is no version ${asOf}; its log has ${of(listing.names[0])} to ${of(listing.names.at(-1))}`,
    );
  }
  return state.snapshot();
}

/** The table as of the newest checkpoint that can be read; empty where there is none and the log is complete without. */
async function startingState(
  directory: string,
  checkpoints: LogListing["checkpoints"],
  isComplete: boolean,
  readCheckpoint: CheckpointReader,
): Promise<TableState> {
  let failure: unknown;
  for (const { version, paths } of checkpoints.toReversed()) {
    let actions: unknown[];
    try {
      actions = await readCheckpoint(paths);
    } catch (error) {
      failure ??= error;
      log("warn", "jobs", "checkpoint cannot be read, an older one is tried", { file: paths[0]!, error: String(error) });
      continue;
    }
    const state = new TableState(directory);
    state.apply(actions.map((action, i) => parseAction(action, paths[0]!, i + 1)));
    state.version = state.checkpointVersion = version;
    return state;
  }
  if (failure !== undefined && !isComplete) {
    const path = checkpoints.at(-1)!.paths[0]!;
    throw new LakeError(`Cannot read lake file "${path}": it is damaged, and the log before it is gone; restore it from a copy`, {
      cause: failure,
    });
  }
  return new TableState(directory);
}

/**
 * The same table as of its newest version: reads only what was committed since.
 *
 * @throws {LakeError} As `readSnapshot()`.
 */
export async function refreshSnapshot(directory: string, snapshot: Snapshot): Promise<Snapshot> {
  let state: TableState | null = null;
  for (let next = snapshot.version + 1n;; next++) {
    const actions = await readVersionIfPresent(directory, next);
    if (actions === null) {
      if (await isPresent(directory, next + 1n)) {
        if (await isPresent(directory, next)) {
          next--; // it came right now
          continue;
        }
        throw holeError(directory, next, next + 1n);
      }
      return state?.snapshot() ?? snapshot;
    }
    state ??= new TableState(directory, snapshot);
    state.apply(actions);
    state.version = next;
  }
}

/** The actions of one version. @throws {LakeError} If it is not there, or no log. */
export async function readVersion(directory: string, version: bigint): Promise<readonly LogAction[]> {
  const actions = await readVersionIfPresent(directory, version);
  if (actions !== null) return actions;
  throw new LakeError(`Cannot read lake "${directory}": "${versionFile(version)}" is missing; restore it from a copy`);
}

/**
 * Adds `version` to the log, unless somebody else already has.
 *
 * @returns False where that version exists: read the snapshot again, and decide anew.
 * @throws {LakeError} If the disk fails or is full; then nothing is added.
 */
export async function commitVersion(directory: string, version: bigint, actions: readonly object[]): Promise<boolean> {
  const log = logDirectory(directory);
  const temporary = `${log}/.${crypto.randomUUID()}.json.tmp`;
  try {
    await writeDurably(temporary, new TextEncoder().encode(actions.map((action) => JSON.stringify(action) + "\n").join("")));
    try {
      // link(2) fails where the name exists, also against a writer on another host of a shared file system.
      await Deno.link(temporary, `${log}/${versionFile(version)}`);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    }
    await syncDirectory(log);
    await rememberCommit(directory, version, temporary);
    return true;
  } catch (cause) {
    throw new LakeError(`Cannot commit version ${version} to lake "${directory}": ${describeDisk(cause)}`, { cause });
  } finally {
    await removeIfPresent(temporary);
  }
}

/** Whether the folder is a table's: there is a version of it. */
export function hasLog(directory: string): boolean {
  try {
    for (const { name } of Deno.readDirSync(logDirectory(directory))) if (isLogFile(name) || CheckpointFile.test(name)) return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

/** Reads the folder of a table's log; a table that is not there has an empty one. */
export function listLog(directory: string): LogListing {
  const { names, checkpoints } = listNames(directory);
  return { versions: names.map(versionOf), checkpoints };
}

/** As `listLog()`, with the names of the versions' files, ascending: to make numbers of a hundred thousand takes its time. */
function listNames(directory: string): { readonly names: readonly string[]; readonly checkpoints: LogListing["checkpoints"] } {
  const folder = logDirectory(directory);
  const names: string[] = [];
  const parts = new Map<string, string[]>();
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      if (isLogFile(name)) {
        names.push(name);
        continue;
      }
      const match = CheckpointFile.exec(name);
      if (match !== null) {
        const [, digits, , count] = match;
        const key = `${digits}.${count ?? ""}`;
        parts.set(key, [...parts.get(key) ?? [], `${folder}/${name}`]);
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const complete = [...parts].filter(([key, paths]) => paths.length === Number(key.split(".")[1] || 1));
  const checkpoints = complete.map(([key, paths]) => ({ version: BigInt(key.split(".")[0]!), paths: paths.sort() }));
  return {
    names: names.sort(), // of equal length: in order of text they are in order of number
    checkpoints: checkpoints.sort((a, b) => (a.version < b.version ? -1 : 1)),
  };
}

/** A test by hand, as a log may have a hundred thousand. */
function isLogFile(name: string): boolean {
  return name.length === VERSION_DIGITS + LOG_SUFFIX.length && name.endsWith(LOG_SUFFIX) && name >= "0" && name < ":";
}

/** @param name Of a file of the log. */
function versionOf(name: string): bigint {
  return BigInt(name.slice(0, VERSION_DIGITS));
}

/** The actions of one commit; null where there is no such version. @throws {LakeError} If one is no action. */
export async function readVersionIfPresent(directory: string, version: bigint): Promise<LogAction[] | null> {
  const path = `${logDirectory(directory)}/${versionFile(version)}`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line, i) => parseAction(parseJson(line, path, i + 1), path, i + 1));
}

async function isPresent(directory: string, version: bigint): Promise<boolean> {
  try {
    await Deno.stat(`${logDirectory(directory)}/${versionFile(version)}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function holeError(directory: string, missing: bigint, next: bigint): LakeError {
  const at = directory.lastIndexOf("/"), parent = directory.slice(0, at), table = directory.slice(at + 1);
  return new LakeError(
    `Cannot read lake "${directory}": its log goes from version ${missing - 1n} to ${next}; "${
      versionFile(missing)
    }" is missing: put it back with "jobs repair --lake ${parent}", or, where no copy of it is left, give up what it brought with "jobs repair --lake ${parent} --accept-loss ${table}/_delta_log/${
      versionFile(missing)
    }"`,
  );
}

/** A table while actions are applied to it. */
class TableState {
  version: bigint;
  checkpointVersion: bigint;
  readonly #directory: string;
  readonly #files: Map<string, AddFile>;
  readonly #tombstones: Map<string, RemoveFile>;
  readonly #transactions: Map<string, bigint>;
  #metaData: TableMetaData | null;
  #protocol: TableProtocol | null;
  readonly #isWhole: boolean;

  /** @param from What to go on from; without it an empty table. */
  constructor(directory: string, from?: Snapshot) {
    this.#directory = directory;
    this.version = from?.version ?? -1n;
    this.checkpointVersion = from?.checkpointVersion ?? -1n;
    this.#files = new Map(from?.files);
    this.#tombstones = new Map(from?.tombstones);
    this.#transactions = new Map(from?.transactions);
    this.#metaData = from?.metaData ?? null;
    this.#protocol = from?.protocol ?? null;
    this.#isWhole = from?.isWhole ?? true;
  }

  /** @throws {LakeError} If the protocol is newer than this program. */
  apply(actions: readonly LogAction[]): void {
    for (const { add, remove, txn, metaData, protocol } of actions) {
      if (protocol) this.#protocol = assertProtocol(protocol, this.#directory);
      if (metaData) this.#metaData = metaData;
      if (remove) {
        this.#files.delete(remove.path);
        this.#tombstones.set(remove.path, remove);
      }
      if (add) {
        this.#files.set(add.path, add);
        this.#tombstones.delete(add.path);
      }
      if (txn) this.#transactions.set(txn.appId, txn.version);
    }
  }

  snapshot(): Snapshot {
    return {
      version: this.version,
      files: this.#files,
      tombstones: this.#tombstones,
      transactions: this.#transactions,
      metaData: this.#metaData,
      protocol: this.#protocol,
      checkpointVersion: this.checkpointVersion,
      isWhole: this.#isWhole,
    };
  }
}

function assertProtocol(protocol: TableProtocol, directory: string): TableProtocol {
  const { minReaderVersion, minWriterVersion } = protocol;
  if (minReaderVersion <= READER_VERSION && minWriterVersion <= WRITER_VERSION) return protocol;
  throw new LakeError(
    `Cannot use lake "${directory}": it needs reader ${minReaderVersion} and writer ${minWriterVersion} of the Delta protocol, this version has ${READER_VERSION} and ${WRITER_VERSION}; use a newer Skyfall`,
  );
}
