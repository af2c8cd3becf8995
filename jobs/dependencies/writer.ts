/** One writer of the dependencies job: takes messages of its partitions, and commits what their minutes tell with their offsets. */

import { type EdgeBatch } from "../../lib/edge_batch.ts";
import { log } from "../../lib/log.ts";
import type { TopicConsumer, TopicMessage } from "../../lib/topic/topic.ts";
import type { Database } from "../duckdb.ts";
import { readFlowMessage } from "../flow_message.ts";
import { append } from "../lake/append.ts";
import { writeDataFile } from "../lake/data_file.ts";
import type { AddFile, Snapshot } from "../lake/delta_log.ts";
import { formatOffsets, OFFSETS_TAG } from "../lake/offsets.ts";
import { putBackOverwritten } from "../lake/put_back.ts";
import { readTable, tableDirectory } from "../lake/table.ts";
import { EDGE_1M } from "../lake/tables.ts";
import { assertSameTopic, lastMessageId, messageNumber, type OtherMessages } from "../last_message.ts";
import { type Gap, type Landed, TopicReader } from "../topic_reader.ts";
import { edgeBatches } from "./edge_rows.ts";
import { edgeFiles } from "./edge_file.ts";
import type { EdgeOutput } from "./output.ts";
import { MINUTE_US } from "./message_rows.ts";
import { firstState, Partition, type PartitionState, type Told } from "./partition.ts";
import { formatRevisions, REVISIONS_PARAMETER } from "./revisions.ts";
import { positionOf, positionTransactions, publishedId } from "./position.ts";

/** A partition that nothing came for is idle: its minutes close by our clock, less what a collector keeps rows back. */
const IDLE_MS = 120_000;
const COLLECTOR_MINUTES = 2;
/** How often one that follows looks for idle partitions. */
const LOOK_MS = 5_000;
/** Views of conversations in memory, over all partitions; beyond it the largest partition tells what it has, and forgets it. */
const VIEWS_MAX = 4_000_000;

export interface DependenciesConfig {
  readonly consumer: TopicConsumer;
  readonly lake: string;
  readonly database: Database;
  readonly partitions: readonly number[];
  readonly acceptedGaps: readonly Gap[];
  readonly acceptedOthers?: readonly OtherMessages[];
  readonly latenessMinutes: number;
  /** Topic of edges, null for none. */
  readonly output: EdgeOutput | null;
}

/** A partition at work. */
interface Place {
  readonly number: number;
  readonly reducer: Partition;
  /** As committed. */
  committed: PartitionState;
  told: Told[];
  /** The one that was taken last, and the last of those that the reducer's state has told of. */
  last: TopicMessage | null;
  lastTold: TopicMessage | null;
  /** Monotonic clock when a message came last. */
  lastMs: number;
}

/** What one step did. */
export interface Stepped {
  readonly rows: number;
  readonly edges: number;
  readonly setAside: number;
}

export class DependenciesWriter {
  readonly #config: DependenciesConfig;
  readonly #directory: string;
  readonly #reader: TopicReader;
  #snapshot: Snapshot;
  #places = new Map<number, Place>();

  private constructor(config: DependenciesConfig, snapshot: Snapshot) {
    this.#config = config;
    this.#directory = tableDirectory(config.lake, EDGE_1M);
    this.#reader = new TopicReader("dependencies", config.consumer, config.partitions, config.acceptedGaps);
    this.#snapshot = snapshot;
  }

  /** @throws {LakeError|TopicError} If the lake or the topic cannot be read. */
  static async open(config: DependenciesConfig): Promise<DependenciesWriter> {
    const directory = tableDirectory(config.lake, EDGE_1M);
    await putBackOverwritten(directory, EDGE_1M, config.database);
    const snapshot = await readTable(directory, EDGE_1M, config.database);
    const writer = new DependenciesWriter(config, snapshot);
    await writer.#begin();
    return writer;
  }

  get version(): bigint {
    return this.#snapshot.version;
  }

  /**
   * Takes in some messages, and commits what they complete; where it follows, it waits for them.
   *
   * @returns Null at the end of the topic, or when aborted.
   * @throws {LakeError|TopicError} As `runDependencies()`.
   */
  async step(follows: boolean, signal: AbortSignal): Promise<Stepped | null> {
    let rows = 0, setAside = 0;
    const sink = (message: TopicMessage) => {
      const taken = this.#take(message);
      if (taken === null) setAside++;
      return rows += taken ?? 0;
    };
    const hasTable = this.#snapshot.metaData !== null;
    const stop = follows && hasTable ? AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]) : signal;
    const { ranges, gaps } = await this.#reader.read((number) => this.#landed(number), sink, follows && hasTable, stop);
    for (const { partition } of gaps) this.#skipGap(this.#places.get(partition)!);
    if (follows && !signal.aborted) await this.#closeIdle();
    const edges = await this.#commit(gaps, !hasTable);
    const isDone = signal.aborted || !follows && hasTable && ranges.size === 0 && gaps.length === 0 && edges === 0;
    return isDone ? null : { rows, edges: Math.max(0, edges), setAside };
  }

  /** The topic's identity is looked at when the partitions are made. */
  #landed(partition: number): Landed | undefined {
    const place = this.#places.get(partition);
    return place === undefined ? undefined : { offset: place.reducer.next, last: undefined };
  }

  /** Makes the partitions anew from the table, and publishes what a run before this one did not get to. */
  async #begin(): Promise<void> {
    const { consumer, partitions, latenessMinutes, output, acceptedOthers = [] } = this.#config;
    this.#places = new Map();
    for (const number of partitions) {
      const range = await consumer.offsets(number), { begin } = range;
      let state = positionOf(this.#snapshot.transactions, consumer.topicName, number);
      if (state === null) {
        if (begin > 0n) {
          log("warn", "jobs", "messages were deleted before edge_1m began", {
            topic: consumer.topicName,
            partition: number,
            missing: String(begin),
          });
        }
        state = firstState(begin);
      }
      const reducer = new Partition(latenessMinutes, state);
      this.#places.set(number, { number, reducer, committed: state, told: [], last: null, lastTold: null, lastMs: performance.now() });
      const noted = this.#snapshot.transactions.get(lastMessageId("dependencies", consumer.topicName, number));
      await assertSameTopic("dependencies", consumer, { partition: number, offset: state.offset }, range, noted, acceptedOthers);
      if (output === null) continue;
      const published = this.#snapshot.transactions.get(publishedId(consumer.topicName, number, output.name)) ?? 0n;
      await output.publishAgain(this.#config.lake, consumer.topicName, number, published);
    }
  }

  /** Rows of a message, or null where it gives none. */
  #take(message: TopicMessage): number | null {
    const place = this.#places.get(message.partition)!, { reducer } = place;
    this.#skipGap(place);
    const batch = readFlowMessage(message.value);
    place.lastMs = performance.now();
    place.told.push(...reducer.take(message.offset, typeof batch === "string" ? null : batch, nowMinute()));
    place.last = message;
    if (reducer.state.offset === message.offset + 1n) place.lastTold = message;
    if (typeof batch === "string") {
      log("warn", "jobs", "message set aside", {
        topic: this.#config.consumer.topicName,
        partition: message.partition,
        offset: String(message.offset),
        reason: batch,
      });
      return null;
    }
    this.#limitViews();
    return batch.rowCount;
  }

  /** The reader has gone on behind a gap that is accepted. */
  #skipGap({ number, reducer }: Place): void {
    const gap = this.#config.acceptedGaps.find(({ partition, from }) => partition === number && from === reducer.next);
    if (gap !== undefined) reducer.skip(gap.to);
  }

  #limitViews(): void {
    const places = [...this.#places.values()], views = places.map(({ reducer }) => reducer.viewCount);
    if (views.reduce((sum, count) => sum + count, 0) <= VIEWS_MAX) return;
    const largest = places[views.indexOf(Math.max(...views))]!;
    log("warn", "jobs", "too many conversations, open minutes told early", { partition: largest.number, views: Math.max(...views) });
    largest.told.push(...largest.reducer.letGo());
  }

  async #closeIdle(): Promise<void> {
    for (const { number, reducer, told, lastMs } of this.#places.values()) {
      if (performance.now() - lastMs < IDLE_MS) continue;
      const { end } = await this.#config.consumer.offsets(number);
      if (reducer.next >= end) told.push(...reducer.closeIdle(nowMinute() - COLLECTOR_MINUTES));
    }
  }

  /**
   * Commits what was told, with the offsets that it rests on.
   *
   * @param evenIfNothing Makes the table where nothing was told yet.
   * @returns Rows committed, or -1 where another writer was first.
   */
  async #commit(gaps: readonly Gap[], evenIfNothing: boolean): Promise<number> {
    const { consumer: { topicName }, output, database } = this.#config;
    const isDue = ({ number, told }: Place) => told.length > 0 || gaps.some(({ partition }) => partition === number);
    const places = [...this.#places.values()].filter(isDue);
    // Also where all was told at once, of an idle partition or for want of memory.
    for (const place of places) {
      if (place.last !== null && place.reducer.state.offset === place.last.offset + 1n) place.lastTold = place.last;
    }
    if (places.length === 0 && !evenIfNothing) return 0;
    const batches = new Map(places.map((place) => [place, edgeBatches(place.told, topicName, place.number)]));
    const rows = [...batches.values()].flat();
    const spans = places.map(({ number, committed, reducer }) => ({
      topicName,
      partition: number,
      from: committed.offset,
      to: reducer.state.offset,
    }));
    const offsets = formatOffsets(spans), rowCount = rows.reduce((sum, batch) => sum + batch.rowCount, 0);
    const transactions = new Map(places.flatMap(({ number, reducer }) => positionTransactions(topicName, number, reducer.state)));
    for (const { number, lastTold } of places) {
      if (lastTold !== null) transactions.set(lastMessageId("dependencies", topicName, number), await messageNumber(lastTold.value));
    }
    if (output !== null) {
      for (const { number, committed } of places) transactions.set(publishedId(topicName, number, output.name), committed.offset);
    }
    const parameters = {
      offsets,
      rows: String(rowCount),
      [REVISIONS_PARAMETER]: formatRevisions(places.map(({ number, told }) => [`${topicName}:${number}`, told])),
      ...(gaps.length === 0 ? {} : { gaps: formatOffsets(gaps.map((gap) => ({ topicName, ...gap }))) }),
    };
    const adds = rowCount === 0 ? [] : await this.#writeFiles(rows, offsets);
    const change = { operation: "STREAMING UPDATE", parameters, adds, transactions };
    const committed = await append(this.#directory, EDGE_1M, this.#snapshot, change, database);
    if (committed === null) {
      log("warn", "jobs", "another writer was first, edges discarded", { edges: rowCount });
      // From the log alone: a version of ours that was overwritten is still in what this writer knew.
      this.#snapshot = await readTable(this.#directory, EDGE_1M, database);
      await this.#begin();
      return -1;
    }
    this.#snapshot = committed;
    for (const place of places) {
      place.told = [];
      place.committed = place.reducer.state;
    }
    log("info", "jobs", "committed", { version: String(committed.version), edges: rowCount, files: adds.length });
    for (const [{ number }, published] of batches) await output?.publish(number, published);
    return rowCount;
  }

  async #writeFiles(batches: readonly EdgeBatch[], offsets: string): Promise<AddFile[]> {
    const { database } = this.#config, name = `part-${crypto.randomUUID()}`;
    const adds: AddFile[] = [];
    for (const { partition, parts, stats } of edgeFiles(batches)) {
      const tags = { [OFFSETS_TAG]: offsets };
      adds.push(
        await writeDataFile(database, this.#directory, EDGE_1M, { name, partition: { ...partition }, tags, parts, stats }),
      );
    }
    return adds;
  }
}

function nowMinute(): number {
  return Math.floor(Date.now() * 1_000 / MINUTE_US);
}
