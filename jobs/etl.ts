/**
 * Moves a topic into the lake's `flow` table, each row exactly once.
 *
 * Files are written first, under names that nothing refers to. One commit of the Delta log then names them and, in `txn`
 * actions, the offsets up to which the topic is in the lake. Whatever happens before that commit leaves files that nobody
 * sees; after it, everything is there. The next run reads its offsets back from the log, never from anywhere else.
 */

import { describeDisk, syncDirectory, writeDurably } from "../lib/durable_file.ts";
import { log } from "../lib/log.ts";
import { openConsumer } from "../lib/topic/open.ts";
import type { TopicConsumer } from "../lib/topic/topic.ts";
import { Database, type Row } from "./duckdb.ts";
import { type AddFile, commitVersion, LakeError, logDirectory, READER_VERSION, type Snapshot, WRITER_VERSION } from "./lake/delta_log.ts";
import { removeOrphans } from "./lake/orphans.ts";
import { statsOf } from "./lake/stats.ts";
import { neededMetaData, readTable, tableDirectory } from "./lake/table.ts";
import { FLOW } from "./lake/tables.ts";
import { withLock } from "./lock.ts";
import { sqlText } from "./sql_text.ts";
import { Stage, type StagedPartition } from "./stage.ts";

/** Rows and bytes of messages that one commit takes in at most. */
const COMMIT_ROWS_MAX = 1_000_000;
const COMMIT_BYTES_MAX = 128 * 1024 * 1024;
const READ_BYTES_MAX = 16 * 1024 * 1024;
const MEMORY_LIMIT = "2GB";

/** What a run did. */
export interface EtlResult {
  readonly rows: number;
  readonly commits: number;
  readonly deadLetters: number;
  /** Null where another run holds the lock. */
  readonly version: bigint | null;
}

/**
 * Runs until the end of the topic. Where another run is at work it does nothing.
 *
 * @throws {TopicError} If the topic cannot be read.
 * @throws {LakeError} If the lake cannot be read or written, or the topic no longer has an offset that is not in the lake yet.
 */
export async function runEtl(topicUrl: string, lake: string): Promise<EtlResult> {
  await using consumer = await openConsumer(topicUrl);
  const directory = tableDirectory(lake, FLOW);
  try {
    await Deno.mkdir(logDirectory(directory), { recursive: true });
    await Deno.mkdir(stagingDirectory(directory), { recursive: true });
  } catch (cause) {
    throw new LakeError(`Cannot make lake "${lake}": ${describeDisk(cause)}`, { cause });
  }
  const result = await withLock(`${directory}/.etl.lock`, () => moveAll(consumer, directory));
  return result ?? { rows: 0, commits: 0, deadLetters: 0, version: null };
}

async function moveAll(consumer: TopicConsumer, directory: string): Promise<EtlResult> {
  using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: stagingDirectory(directory) });
  let snapshot = await readTable(directory, FLOW, database);
  await removeOrphans(stagingDirectory(directory));
  let rows = 0, commits = 0, deadLetters = 0;
  for (;;) {
    const stage = new Stage(database);
    const offsets = await fill(stage, consumer, snapshot);
    // A topic without a message still makes the table, so that questions have an empty answer instead of none.
    if (offsets.size === 0 && snapshot.metaData !== null) return { rows, commits, deadLetters, version: snapshot.version };
    await stage.finish();
    await keepDeadLetters(stage, consumer.topicName, directory);
    const adds = stage.rowCount === 0 ? [] : await writeFiles(database, stage, consumer.topicName, directory);
    const committed = await commit(directory, snapshot, consumer.topicName, adds, offsets, database);
    if (committed) {
      rows += stage.rowCount;
      commits++;
      deadLetters += stage.deadLetters.length;
      log("info", "jobs", "committed", { rows: stage.rowCount, files: adds.length, dead_letters: stage.deadLetters.length });
    }
    snapshot = await readTable(directory, FLOW, database);
  }
}

/** Stages messages of every partition; returns the next offset of those that had any. */
async function fill(stage: Stage, consumer: TopicConsumer, snapshot: Snapshot): Promise<Map<number, bigint>> {
  const next = new Map<number, bigint>();
  let bytes = 0;
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    const { begin, end } = await consumer.offsets(partition);
    const landed = snapshot.transactions.get(applicationId(consumer.topicName, partition));
    if (landed === undefined && begin > 0n) {
      log("warn", "jobs", "messages were deleted before this lake began", { topic: consumer.topicName, partition, missing: String(begin) });
    }
    let offset = landed ?? begin;
    if (offset < begin || offset > end) {
      throw new LakeError(
        `Cannot go on with topic "${consumer.topicName}" partition ${partition}: the lake has it up to offset ${offset}, the topic has ${begin} to before ${end}; ` +
          `${offset < begin ? "messages were deleted before they were read" : "the topic was cut or restored from an older copy"}`,
      );
    }
    while (offset < end && stage.rowCount < COMMIT_ROWS_MAX && bytes < COMMIT_BYTES_MAX) {
      const messages = await consumer.read(partition, offset, READ_BYTES_MAX);
      if (messages.length === 0) break; // what another program's transaction left at the end is no message
      for (const message of messages) {
        stage.add(message);
        bytes += message.value.length;
        offset = message.offset + 1n;
      }
      next.set(partition, offset);
    }
  }
  return next;
}

async function writeFiles(database: Database, stage: Stage, topicName: string, directory: string): Promise<AddFile[]> {
  const ingestTime = new Date().toISOString();
  const adds: AddFile[] = [];
  for (const partition of await stage.partitions()) {
    adds.push(await writeFile(database, stage.selectPartition(partition, topicName, ingestTime), partition, directory));
  }
  return adds;
}

/** Writes and syncs a file under a temporary name, then gives it its own. */
async function writeFile(database: Database, select: string, { date, hour }: StagedPartition, directory: string): Promise<AddFile> {
  const name = `part-${crypto.randomUUID()}.zstd.parquet`;
  const staged = `${stagingDirectory(directory)}/${name}`;
  const folder = `date=${date}/hour=${hour}`;
  try {
    const [written] = await database.rows(
      `copy (${select}) to ${sqlText(staged)} (format parquet, parquet_version v2, compression zstd, return_stats)`,
    );
    await Deno.mkdir(`${directory}/${folder}`, { recursive: true });
    using file = await Deno.open(staged);
    await file.sync();
    await Deno.rename(staged, `${directory}/${folder}/${name}`);
    await syncDirectory(`${directory}/${folder}`);
    return addAction(`${folder}/${name}`, { date, hour: String(hour) }, written!);
  } catch (cause) {
    throw new LakeError(`Cannot write a file of lake "${directory}": ${describeDisk(cause)}`, { cause });
  }
}

function addAction(path: string, partitionValues: Readonly<Record<string, string>>, written: Row): AddFile {
  return {
    path,
    partitionValues: { ...partitionValues },
    size: Number(written["file_size_bytes"]),
    modificationTime: Date.now(),
    dataChange: true,
    stats: JSON.stringify(statsOf(FLOW.columns, written)),
  };
}

/**
 * Commits files and offsets in one version.
 *
 * @returns False where another writer has meanwhile taken in some of the same messages; then the files stay unseen.
 */
async function commit(
  directory: string,
  snapshot: Snapshot,
  topicName: string,
  adds: readonly AddFile[],
  offsets: ReadonlyMap<number, bigint>,
  database: Database,
): Promise<boolean> {
  for (let latest = snapshot;;) {
    const metaData = neededMetaData(FLOW, latest);
    const actions = [
      { commitInfo: { timestamp: Date.now(), operation: "STREAMING UPDATE", engineInfo: "Skyfall" } },
      ...(latest.metaData === null ? [{ protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } }] : []),
      ...(metaData === null ? [] : [{ metaData }]),
      ...[...offsets].map(([partition, offset]) => ({
        txn: { appId: applicationId(topicName, partition), version: Number(offset), lastUpdated: Date.now() },
      })),
      ...adds.map((add) => ({ add })),
    ];
    if (await commitVersion(directory, latest.version + 1n, actions)) return true;
    latest = await readTable(directory, FLOW, database);
    for (const partition of offsets.keys()) {
      const id = applicationId(topicName, partition);
      if (latest.transactions.get(id) !== snapshot.transactions.get(id)) return false;
    }
  }
}

/** Keeps messages that do not decode, under names that make a second attempt write the same file. */
async function keepDeadLetters(stage: Stage, topicName: string, directory: string): Promise<void> {
  const folder = `${directory}/_dead_letters`;
  for (const { message: { partition, offset, value }, reason } of stage.deadLetters) {
    log("warn", "jobs", "message set aside", { topic: topicName, partition, offset: String(offset), reason });
    await Deno.mkdir(folder, { recursive: true });
    const path = `${folder}/${topicName}-${partition}-${offset}.json`;
    const letter = JSON.stringify({ topic: topicName, partition, offset: String(offset), reason, value: value.toBase64() });
    try {
      await writeDurably(path, new TextEncoder().encode(letter));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.AlreadyExists)) {
        throw new LakeError(`Cannot set message aside in "${path}": ${describeDisk(cause)}`, { cause });
      }
    }
  }
}

function applicationId(topicName: string, partition: number): string {
  return `skyfall-etl:${topicName}:${partition}`;
}

function stagingDirectory(directory: string): string {
  return `${directory}/_staging`;
}
