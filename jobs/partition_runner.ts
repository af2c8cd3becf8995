/** Runs a job on a topic's partitions: all of them, some, or those that a consumer group gives it, each locked while it is at work. */

import { describeError, log } from "../lib/log.ts";
import { joinGroup, openConsumer } from "../lib/topic/open.ts";
import { type TopicConsumer, TopicError } from "../lib/topic/topic.ts";
import { Locks } from "./lock.ts";
import { formatPartitionSet } from "./partition_set.ts";
import { pause } from "./pause.ts";

/** How often one that follows looks whether partitions or locks have changed hands, and tries a topic that failed again. */
const RETRY_MS = 1_000;

export interface PartitionOptions {
  /** The run's own; null for all, or those that the group gives it. */
  readonly partitions: readonly number[] | null;
  /** Consumer group of a Kafka topic whose members share the partitions; null for none. */
  readonly group: string | null;
  /** Whether it goes on when it is at the end of the topic. */
  readonly follow: boolean;
}

/** What to work on, until aborted. */
export interface PartitionTask {
  readonly consumer: TopicConsumer;
  readonly partitions: readonly number[];
  readonly signal: AbortSignal;
}

export interface PartitionJob {
  /** As locks are named. */
  readonly name: string;
  /** Returns at the end of the topic, or when aborted; it may be called again, with other partitions. */
  readonly work: (task: PartitionTask) => Promise<void>;
}

/**
 * Works until the end of the topic, or until aborted where it follows.
 *
 * @returns False where another run is at work on one of the partitions: then nothing was done. One that follows waits instead.
 * @throws {TopicError} If the topic cannot be read; one that follows tries again.
 */
export async function runOnPartitions(
  job: PartitionJob,
  topicUrl: string,
  lake: string,
  options: PartitionOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { group } = options;
  let hasWorked = false, isWaiting = false;
  for (;;) {
    try {
      const works = group === null
        ? await runAlone(job, topicUrl, lake, options, signal)
        : await runInGroup(job, topicUrl, options, group, signal);
      if (!works && options.follow && !isWaiting) log("info", "jobs", "waiting for another writer", { lake });
      isWaiting = !works;
      hasWorked ||= works;
      if (!options.follow || signal.aborted) return hasWorked;
    } catch (error) {
      if (!(options.follow && error instanceof TopicError)) throw error;
      log("warn", "jobs", "topic failed, trying again", { error: describeError(error) });
    }
    await pause(RETRY_MS, signal);
    if (signal.aborted) return hasWorked;
  }
}

/** Works on fixed partitions, each of which it locks. */
async function runAlone(
  job: PartitionJob,
  topicUrl: string,
  lake: string,
  options: PartitionOptions,
  signal: AbortSignal,
): Promise<boolean> {
  await using consumer = await openConsumer(topicUrl);
  const partitions = options.partitions ?? allPartitions(consumer);
  const beyond = partitions.find((partition) => partition >= consumer.partitionCount);
  if (beyond !== undefined) {
    throw new TopicError(`Cannot move partition ${beyond} of topic "${consumer.topicName}": needed 0 to ${consumer.partitionCount - 1}`);
  }
  using locks = await Locks.take(
    partitions.map((partition) => `${lake}/_locks/${job.name}-${encodeURIComponent(consumer.topicName)}-${partition}`),
  );
  if (locks === null) return false;
  await job.work({ consumer, partitions, signal });
  return true;
}

/** Works on the partitions that the group gives this member, for as long as they are the same. */
async function runInGroup(
  job: PartitionJob,
  topicUrl: string,
  options: PartitionOptions,
  group: string,
  signal: AbortSignal,
): Promise<boolean> {
  await using membership = await joinGroup(topicUrl, group);
  await using consumer = await openConsumer(topicUrl);
  let hasWorked = false;
  for (;;) {
    const { partitions, changed } = membership.assignment();
    if (partitions.length > 0) {
      log("info", "jobs", "partitions taken", { group, partitions: formatPartitionSet(partitions) });
      await job.work({ consumer, partitions, signal: AbortSignal.any([signal, changed]) });
      hasWorked = true;
    }
    if (!options.follow || signal.aborted) return hasWorked;
    if (!changed.aborted) await pause(RETRY_MS, signal);
  }
}

function allPartitions({ partitionCount }: TopicConsumer): readonly number[] {
  return Array.from({ length: partitionCount }, (_, partition) => partition);
}
