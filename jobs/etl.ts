/**
 * Moves a topic into the lake's `flow` table, each row exactly once.
 *
 * Which messages a commit takes in is written to the journal of cuts first. Then files are written, under names that nothing
 * refers to. One commit of the Delta log names them and, in `txn` actions, the offsets up to which the topic is in the lake.
 * Whatever happens before that commit leaves files that nobody sees; after it, everything is there. The next run reads its
 * offsets back from the log, never from anywhere else.
 */

import { Database } from "./duckdb.ts";
import { EtlWriter } from "./etl_writer.ts";
import { Lease } from "./lake/lease.ts";
import { prepareLake } from "./lake/prepare.ts";
import { type PartitionOptions, type PartitionTask, runOnPartitions } from "./partition_runner.ts";
import type { OtherMessages } from "./last_message.ts";
import type { Gap } from "./topic_reader.ts";

const MEMORY_LIMIT = "2GB";

export interface EtlOptions extends PartitionOptions {
  /** Offsets that may be missing. */
  readonly acceptedGaps: readonly Gap[];
  /** Where a topic of other messages than the lake took in may be gone on with. */
  readonly acceptedOthers?: readonly OtherMessages[];
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
  using _lease = await Lease.forWriting(lake);
  // Most runs ask it nothing: only checkpoints, and messages that give no rows, need it.
  using database = Database.unopened({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: `${lake}/_staging` });
  let rows = 0, commits = 0, deadLetters = 0, version: bigint | null = null;
  async function work({ consumer, partitions, signal }: PartitionTask): Promise<void> {
    const { acceptedGaps, acceptedOthers = [] } = options;
    using writer = await EtlWriter.open({ consumer, lake, database, partitions, acceptedGaps, acceptedOthers });
    for (;;) {
      const moved = await writer.moveOnce(options.follow, signal);
      version = writer.version;
      if (moved === null && options.follow && !signal.aborted) continue;
      if (moved === null) return;
      if (moved === "overtaken") continue;
      rows += moved.rows;
      deadLetters += moved.deadLetters;
      commits++;
    }
  }
  await runOnPartitions({ name: "etl", work }, topicUrl, lake, options, signal);
  return { rows, commits, deadLetters, version };
}
