/**
 * Makes service edges of a topic, minute by minute, and keeps them in the table `edge_1m`.
 *
 * A partition's minutes are in memory until they close. What they tell then is committed to the table together with the offset up
 * to which it is complete, and the offset from which a run after this one has to read to be in the same state. Edges go on to a
 * topic of their own after that, so that nothing is in it that is not in the table.
 */

import { DependenciesWriter } from "./dependencies/writer.ts";
import { EdgeOutput } from "./dependencies/output.ts";
import { Database } from "./duckdb.ts";
import { Lease } from "./lake/lease.ts";
import { prepareLake } from "./lake/prepare.ts";
import { type PartitionOptions, type PartitionTask, runOnPartitions } from "./partition_runner.ts";
import type { OtherMessages } from "./last_message.ts";
import type { Gap } from "./topic_reader.ts";

const MEMORY_LIMIT = "1GB";

export interface DependenciesOptions extends PartitionOptions {
  /** Offsets that may be missing. */
  readonly acceptedGaps: readonly Gap[];
  /** Where a topic of other messages than the lake took in may be gone on with. */
  readonly acceptedOthers?: readonly OtherMessages[];
  /** Minutes that a minute waits for rows after the next has begun. */
  readonly latenessMinutes: number;
  /** URL of the topic of edges; null for none. */
  readonly outputTopic: string | null;
}

export const DEFAULT_LATENESS_MINUTES = 2;

/** What a run did. */
export interface DependenciesResult {
  readonly rows: number;
  readonly edges: number;
  /** Messages that gave no rows. */
  readonly setAside: number;
  /** Of `edge_1m`; null where another run holds the lock. */
  readonly version: bigint | null;
}

/**
 * Runs until the end of the topic, or until aborted where it follows. Minutes that are open at the end stay in the topic for the
 * next run.
 *
 * @throws {TopicError} If a topic cannot be read or written; one that follows tries again.
 * @throws {LakeError} If the lake cannot be read or written, or the topic no longer has an offset that is needed.
 */
export async function runDependencies(
  topicUrl: string,
  lake: string,
  options: DependenciesOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<DependenciesResult> {
  await prepareLake(lake);
  using _lease = await Lease.forWriting(lake);
  using database = Database.unopened({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: `${lake}/_staging` });
  const { acceptedGaps, acceptedOthers = [], latenessMinutes, outputTopic, follow } = options;
  await using output = outputTopic === null ? null : await EdgeOutput.open(outputTopic, database);
  let rows = 0, edges = 0, setAside = 0, version: bigint | null = null;
  async function work({ consumer, partitions, signal }: PartitionTask): Promise<void> {
    const writer = await DependenciesWriter.open({
      consumer,
      lake,
      database,
      partitions,
      acceptedGaps,
      acceptedOthers,
      latenessMinutes,
      output,
    });
    for (;;) {
      const stepped = await writer.step(follow, signal);
      version = writer.version;
      if (stepped === null) return;
      rows += stepped.rows;
      edges += stepped.edges;
      setAside += stepped.setAside;
    }
  }
  await runOnPartitions({ name: "dependencies", work }, topicUrl, lake, options, signal);
  return { rows, edges, setAside, version };
}
