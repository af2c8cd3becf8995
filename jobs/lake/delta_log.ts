/** The log of a Delta Lake table: which files are the table, and how far the topic is in it (github.com/delta-io/delta, PROTOCOL.md). */

import { z } from "zod";
import { describeDisk, syncDirectory, writeDurably } from "../../lib/durable_file.ts";

/** A lake that cannot be read or written; the message names the file and what to do. */
export class LakeError extends Error {
  override readonly name = "LakeError";
}

const Add = z.looseObject({
  /** Relative to the table's folder, URL-encoded. */
  path: z.string(),
  partitionValues: z.record(z.string(), z.string().nullable()),
  size: z.coerce.number(),
  modificationTime: z.coerce.number(),
  dataChange: z.boolean(),
  stats: z.string().nullish(),
});
const Remove = z.looseObject({ path: z.string(), dataChange: z.boolean() });
const Txn = z.looseObject({ appId: z.string(), version: z.coerce.bigint() });
const MetaData = z.looseObject({
  id: z.string(),
  schemaString: z.string(),
  partitionColumns: z.array(z.string()),
  configuration: z.record(z.string(), z.string()).nullish(),
});
const Protocol = z.looseObject({ minReaderVersion: z.coerce.number(), minWriterVersion: z.coerce.number() });

const Action = z.looseObject({
  add: Add.nullish(),
  remove: Remove.nullish(),
  txn: Txn.nullish(),
  metaData: MetaData.nullish(),
  protocol: Protocol.nullish(),
});

export type AddFile = z.infer<typeof Add>;
export type TableMetaData = z.infer<typeof MetaData>;
export type LogAction = z.infer<typeof Action>;

/** Versions of the Delta protocol that this program reads and writes. */
export const READER_VERSION = 1;
export const WRITER_VERSION = 2;

/** A table as of one version. */
export interface Snapshot {
  /** -1 where there is no table yet. */
  readonly version: bigint;
  readonly files: ReadonlyMap<string, AddFile>;
  /** By application id, the version that it committed last: for the ETL job, the next offset to read. */
  readonly transactions: ReadonlyMap<string, bigint>;
  /** Null where no table was made yet. */
  readonly metaData: TableMetaData | null;
}

/** Reads the actions of a checkpoint file (Parquet), each as one action of the log. */
export type CheckpointReader = (paths: readonly string[]) => Promise<unknown[]>;

const VERSION_DIGITS = 20;
const LogFile = new RegExp(`^(\\d{${VERSION_DIGITS}})\\.json$`);
const LastCheckpoint = z.looseObject({ version: z.coerce.bigint(), parts: z.coerce.number().nullish() });

/**
 * Reads the table in `directory`, from the last checkpoint that serves on.
 *
 * @param asOf The version to read; without it the newest.
 * @throws {LakeError} If the log has a hole, an entry that is no action, a protocol that is newer than this program, or no such version.
 */
export async function readSnapshot(directory: string, readCheckpoint: CheckpointReader, asOf?: bigint): Promise<Snapshot> {
  const versions = (await listVersions(directory)).filter((version) => asOf === undefined || version <= asOf);
  const files = new Map<string, AddFile>();
  const transactions = new Map<string, bigint>();
  const state: TableState = { metaData: null };
  const apply = (action: LogAction) => applyAction(action, directory, files, transactions, state);

  const checkpoint = await readLastCheckpoint(directory);
  let version = -1n;
  if (checkpoint !== null && (asOf === undefined || checkpoint.version <= asOf)) {
    const actions = await readCheckpoint(checkpoint.paths);
    actions.forEach((action, i) => apply(parseAction(action, checkpoint.paths[0]!, i + 1)));
    version = checkpoint.version;
  }
  for (const next of versions) {
    if (next <= version) continue;
    if (next !== version + 1n) {
      throw new LakeError(
        `Cannot read lake "${directory}": its log goes from version ${version} to ${next}; "${
          versionFile(version + 1n)
        }" is missing: restore it from a copy`,
      );
    }
    for (const action of await readVersion(directory, next)) apply(action);
    version = next;
  }
  if (asOf !== undefined && version !== asOf) {
    throw new LakeError(`Cannot read lake "${directory}": there is no version ${asOf}, the newest is ${version}`);
  }
  return { version, files, transactions, metaData: state.metaData };
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
    return true;
  } catch (cause) {
    throw new LakeError(`Cannot commit version ${version} to lake "${directory}": ${describeDisk(cause)}`, { cause });
  } finally {
    await removeIfPresent(temporary);
  }
}

export function logDirectory(directory: string): string {
  return `${directory}/_delta_log`;
}

function versionFile(version: bigint): string {
  return `${String(version).padStart(VERSION_DIGITS, "0")}.json`;
}

async function listVersions(directory: string): Promise<bigint[]> {
  const versions: bigint[] = [];
  try {
    for await (const { name } of Deno.readDir(logDirectory(directory))) {
      const match = LogFile.exec(name);
      if (match !== null) versions.push(BigInt(match[1]!));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return versions.sort((a, b) => (a < b ? -1 : 1));
}

async function readLastCheckpoint(directory: string): Promise<{ readonly version: bigint; readonly paths: readonly string[] } | null> {
  const path = `${logDirectory(directory)}/_last_checkpoint`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const parsed = LastCheckpoint.safeParse(parseJson(text, path, 1));
  if (!parsed.success) {
    throw new LakeError(`Cannot read lake file "${path}": it names no checkpoint; remove it, the log itself is complete without`);
  }
  const { version, parts } = parsed.data;
  const base = `${logDirectory(directory)}/${String(version).padStart(VERSION_DIGITS, "0")}.checkpoint`;
  const part = (number: number) => String(number).padStart(10, "0");
  const paths = parts ? Array.from({ length: parts }, (_, i) => `${base}.${part(i + 1)}.${part(parts)}.parquet`) : [`${base}.parquet`];
  return { version, paths };
}

async function readVersion(directory: string, version: bigint): Promise<LogAction[]> {
  const path = `${logDirectory(directory)}/${versionFile(version)}`;
  const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  return lines.map((line, i) => parseAction(parseJson(line, path, i + 1), path, i + 1));
}

function parseJson(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LakeError(`Cannot read lake file "${path}": line ${line} is no JSON; restore the file from a copy`, { cause });
  }
}

function parseAction(value: unknown, path: string, line: number): LogAction {
  const parsed = Action.safeParse(value);
  if (!parsed.success) {
    throw new LakeError(`Cannot read lake file "${path}": line ${line} is no action of a Delta log: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

interface TableState {
  metaData: TableMetaData | null;
}

function applyAction(
  action: LogAction,
  directory: string,
  files: Map<string, AddFile>,
  transactions: Map<string, bigint>,
  state: TableState,
): void {
  if (action.protocol) assertProtocol(action.protocol, directory);
  if (action.metaData) state.metaData = action.metaData;
  if (action.add) files.set(action.add.path, action.add);
  if (action.remove) files.delete(action.remove.path);
  if (action.txn) transactions.set(action.txn.appId, action.txn.version);
}

function assertProtocol({ minReaderVersion, minWriterVersion }: z.infer<typeof Protocol>, directory: string): void {
  if (minReaderVersion <= READER_VERSION && minWriterVersion <= WRITER_VERSION) return;
  throw new LakeError(
    `Cannot use lake "${directory}": it needs reader ${minReaderVersion} and writer ${minWriterVersion} of the Delta protocol, this version has ${READER_VERSION} and ${WRITER_VERSION}; use a newer Skyfall`,
  );
}

async function removeIfPresent(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
