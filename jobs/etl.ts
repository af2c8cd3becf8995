/**
 * Moves a topic into the lake's `flow` table, each row exactly once.
 *
 * Which messages a commit takes in is written to the journal of cuts first. Then files are written, under names that nothing
 * refers to. One commit of the Delta log names them and, in `txn` actions, the offsets up to which the topic is in the lake.
 * Whatever happens before that commit leaves files that nobody sees; after it, everything is there. The next run reads its
 * offsets back from the log, never from anywhere else.
 */

import { describeError, log } from "../lib/log.ts";
import { joinGroup, openConsumer } from "../lib/topic/open.ts";
import { type TopicConsumer, TopicError } from "../lib/topic/topic.ts";
import { Database } from "./duckdb.ts";
import { EtlWriter } from "./etl_writer.ts";
import { prepareLake } from "./lake/prepare.ts";
import { Locks } from "./lock.ts";
import { formatPartitionSet } from "./partition_set.ts";
import { pause } from "./pause.ts";
import type { Gap } from "./topic_reader.ts";

const MEMORY_LIMIT = "2GB";
/** How often one that follows looks whether partitions or locks have changed hands, and tries a topic that failed again. */
const RETRY_MS = 1_000;

export interface EtlOptions {
  /** The writer's own; null for all, or those that the group gives it. */
  readonly partitions: readonly number[] | null;
  /** Consumer group of a Kafka topic whose members share the partitions; null for none. */
  readonly group: string | null;
  /** Offsets that may be missing. */
  readonly acceptedGaps: readonly Gap[];
  /** Whether it goes on when it is at the end of the topic. */
  readonly follow: boolean;
}

export const ALL_ONCE: EtlOptions = { partitions: null, group: null, acceptedGaps: [], follow: false };

/** What a run did. */
export interface EtlResult {
  readonly rows: number;
  readonly commits: number;
  readonly deadLetters: number;
  /** Null where another run holds the lock. */
  readonly version: bigint | null;
}

const NOTHING: EtlResult = { rows: 0, commits: 0, deadLetters: 0, version: null };

/**
 * Runs until the end of the topic, or until aborted where it follows. Where another run is at work on one of the partitions it
 * does nothing; where it follows it waits.
 *
 * @throws {TopicError} If the topic cannot be read; one that follows tries again.
 * @throws {LakeError} If the lake cannot be read or written, or the topic no longer has an offset that is not in the lake yet.
 */
export async function runEtl(
  topicUrl: string,
  lake: string,
  options: EtlOptions = ALL_ONCE,
  signal: AbortSignal = new AbortController().signal,
): Promise<EtlResult> {
  await prepareLake(lake);
  using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: `${lake}/_staging` });
  let total = NOTHING, isWaiting = false;
  for (;;) {
    try {
      const result = options.group === null
        ? await runAlone(topicUrl, lake, options, database, signal)
        : await runInGroup(topicUrl, lake, options, options.group, database, signal);
      if (result === NOTHING && options.follow && !isWaiting) log("info", "jobs", "waiting for another writer", { lake });
      isWaiting = result === NOTHING;
      total = sum(total, result);
      if (!options.follow || signal.aborted) return total;
    } catch (error) {
      if (!(options.follow && error instanceof TopicError)) throw error;
      log("warn", "jobs", "topic failed, trying again", { error: describeError(error) });
    }
    await pause(RETRY_MS, signal);
    if (signal.aborted) return total;
  }
}

function sum(a: EtlResult, b: EtlResult): EtlResult {
  return {
    rows: a.rows + b.rows,
    commits: a.commits + b.commits,
    deadLetters: a.deadLetters + b.deadLetters,
    version: b.version ?? a.version,
  };
}

/** Moves fixed partitions, each of which it locks. */
async function runAlone(
  topicUrl: string,
  lake: string,
  options: EtlOptions,
  database: Database,
  signal: AbortSignal,
): Promise<EtlResult> {
  await using consumer = await openConsumer(topicUrl);
  const partitions = options.partitions ?? allPartitions(consumer);
  const beyond = partitions.find((partition) => partition >= consumer.partitionCount);
  if (beyond !== undefined) {
    throw new TopicError(`Cannot move partition ${beyond} of topic "${consumer.topicName}": needed 0 to ${consumer.partitionCount - 1}`);
  }
  using locks = await Locks.take(
    partitions.map((partition) => `${lake}/_locks/etl-${encodeURIComponent(consumer.topicName)}-${partition}`),
  );
  if (locks === null) return NOTHING;
  return await move({ consumer, lake, database, partitions, options, signal });
}

/** Moves the partitions that the group gives this member, for as long as they are the same. */
async function runInGroup(
  topicUrl: string,
  lake: string,
  options: EtlOptions,
  group: string,
  database: Database,
  signal: AbortSignal,
): Promise<EtlResult> {
  await using membership = await joinGroup(topicUrl, group);
  await using consumer = await openConsumer(topicUrl);
  let total = NOTHING;
  for (;;) {
    const { partitions, changed } = membership.assignment();
    if (partitions.length > 0) {
      log("info", "jobs", "partitions taken", { group, partitions: formatPartitionSet(partitions) });
      const stop = AbortSignal.any([signal, changed]);
      total = sum(total, await move({ consumer, lake, database, partitions, options, signal: stop }));
    }
    if (!options.follow || signal.aborted) return total;
    if (!changed.aborted) await pause(RETRY_MS, signal);
  }
}

interface Task {
  readonly consumer: TopicConsumer;
  readonly lake: string;
  readonly database: Database;
  readonly partitions: readonly number[];
  readonly options: EtlOptions;
  readonly signal: AbortSignal;
}

async function move({ consumer, lake, database, partitions, options, signal }: Task): Promise<EtlResult> {
  using writer = await EtlWriter.open({ consumer, lake, database, partitions, acceptedGaps: options.acceptedGaps });
  let rows = 0, commits = 0, deadLetters = 0;
  for (;;) {
    const moved = await writer.moveOnce(options.follow, signal);
    if (moved === null && options.follow && !signal.aborted) continue;
    if (moved === null) return { rows, commits, deadLetters, version: writer.version };
    if (moved === "overtaken") continue;
    rows += moved.rows;
    deadLetters += moved.deadLetters;
    commits++;
  }
}

function allPartitions({ partitionCount }: TopicConsumer): readonly number[] {
  return Array.from({ length: partitionCount }, (_, partition) => partition);
}
