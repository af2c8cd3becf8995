/** One writer of the ETL job: takes messages of its partitions, and commits them with their offsets. */

import { log } from "../lib/log.ts";
import type { TopicConsumer, TopicMessage } from "../lib/topic/topic.ts";
import { gapApplicationId } from "./coverage.ts";
import type { Database } from "./duckdb.ts";
import { append } from "./lake/append.ts";
import { type Cut, CutJournal, newCut } from "./lake/cut_journal.ts";
import { writeDataFile } from "./lake/data_file.ts";
import { type AddFile, LakeError, type Snapshot } from "./lake/delta_log.ts";
import { formatOffsets, OFFSETS_TAG } from "./lake/offsets.ts";
import { putBackOverwritten } from "./lake/put_back.ts";
import { readTableHead, tableDirectory } from "./lake/table.ts";
import { AGENT_LOSS, DEAD_LETTER, FLOW } from "./lake/tables.ts";
import { lastMessageId, messageNumber, OTHER_MESSAGES_PARAMETER, type OtherMessages } from "./last_message.ts";
import { formatPartitionSet } from "./partition_set.ts";
import { letterRow, lossRows } from "./side_rows.ts";
import { SideTable } from "./side_table.ts";
import { Stage, StageTables } from "./stage.ts";
import { type Gap, type Landed, type Reading, TopicReader } from "./topic_reader.ts";

/** Longer names of partitions are given as their hash. */
const WRITER_NAME_LENGTH_MAX = 100;

export interface EtlWriterConfig {
  readonly consumer: TopicConsumer;
  readonly lake: string;
  readonly database: Database;
  readonly partitions: readonly number[];
  readonly acceptedGaps: readonly Gap[];
  readonly acceptedOthers?: readonly OtherMessages[];
}

/** What one commit took in. */
export interface Moved {
  readonly rows: number;
  readonly deadLetters: number;
}

/** Application id under which the offsets of a partition are committed. */
export function applicationId(topicName: string, partition: number): string {
  return `skyfall-etl:${topicName}:${partition}`;
}

export class EtlWriter implements Disposable {
  readonly #config: EtlWriterConfig;
  readonly #directory: string;
  readonly #reader: TopicReader;
  readonly #journal: CutJournal;
  readonly #deadLetters: SideTable;
  readonly #losses: SideTable;
  #snapshot: Snapshot;
  /** Of a run before this one, and maybe not committed. */
  #pending: Cut | null;
  #overtaken = 0;
  readonly #tables = new StageTables();
  /** What is there when it starts is not made to wait for more. */
  #isAtEnd = false;

  private constructor(config: EtlWriterConfig, snapshot: Snapshot, journal: CutJournal, deadLetters: SideTable, losses: SideTable) {
    this.#config = config;
    this.#directory = tableDirectory(config.lake, FLOW);
    this.#reader = new TopicReader("etl", config.consumer, config.partitions, config.acceptedGaps, config.acceptedOthers);
    this.#snapshot = snapshot;
    this.#journal = journal;
    this.#pending = journal.last;
    this.#deadLetters = deadLetters;
    this.#losses = losses;
  }

  /** @throws {LakeError} If the lake cannot be read. */
  static async open(config: EtlWriterConfig): Promise<EtlWriter> {
    const { lake, database, consumer: { topicName } } = config;
    for (const table of [FLOW, DEAD_LETTER, AGENT_LOSS]) await putBackOverwritten(tableDirectory(lake, table), table, database);
    const snapshot = await readTableHead(tableDirectory(lake, FLOW), FLOW, database);
    const deadLetters = await SideTable.open(lake, DEAD_LETTER, database, topicName);
    const losses = await SideTable.open(lake, AGENT_LOSS, database, topicName);
    const journal = await CutJournal.open(lake, await writerName(topicName, config.partitions));
    return new EtlWriter(config, snapshot, journal, deadLetters, losses);
  }

  /** Version of the table as this writer knows it. */
  get version(): bigint {
    return this.#snapshot.version;
  }

  /**
   * Takes in what makes one commit; where it follows, it waits for it.
   *
   * @returns What it took in, null where there is nothing more, or "overtaken" where another writer was first: what was taken in
   *   is then left to that one.
   * @throws {LakeError|TopicError} As `runEtl()`.
   */
  async moveOnce(follows: boolean, signal: AbortSignal): Promise<Moved | "overtaken" | null> {
    const stage = new Stage(this.#tables);
    // A topic without a message still makes the table, so that questions have an empty answer instead of none.
    const hasTable = this.#snapshot.metaData !== null;
    for (const table of [this.#deadLetters, this.#losses]) await table.begin((partition) => this.#landed(partition));
    const last = new Map<number, TopicMessage>();
    const sink = (message: TopicMessage) => {
      last.set(message.partition, message);
      if (!this.#deadLetters.has(message)) stage.add(message);
      return stage.rowCount;
    };
    const again = await this.#readPending(sink);
    const reading = again ?? await this.#reader.read((partition) => this.#place(partition), sink, follows && this.#isAtEnd, signal);
    this.#isAtEnd ||= reading.reason === "end";
    if (reading.ranges.size === 0 && reading.gaps.length === 0 && hasTable) return null;
    const cut = again === null ? await newCut(this.#config.consumer.topicName, reading.ranges, reading.reason) : this.#pending!;
    if (again === null) await this.#journal.write(cut);
    this.#pending = null;
    return await this.#commit(stage, cut, reading.gaps, await this.#numbersOf(last));
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
  }

  #place(partition: number): Landed | undefined {
    const offset = this.#landed(partition), id = lastMessageId("etl", this.#config.consumer.topicName, partition);
    return offset === undefined ? undefined : { offset, last: this.#snapshot.transactions.get(id) };
  }

  /** What is noted of the last messages of partitions, by application id. */
  async #numbersOf(messages: ReadonlyMap<number, TopicMessage>): Promise<[string, bigint][]> {
    const { topicName } = this.#config.consumer;
    return await Promise.all(
      [...messages].map(async ([partition, { value }]): Promise<[string, bigint]> => [
        lastMessageId("etl", topicName, partition),
        await messageNumber(value),
      ]),
    );
  }

  #landed(partition: number): bigint | undefined {
    return this.#snapshot.transactions.get(applicationId(this.#config.consumer.topicName, partition));
  }

  /** The messages of the cut that a run before this one did not get to commit; null where there is none. */
  async #readPending(sink: (message: TopicMessage) => number): Promise<Reading | null> {
    const cut = this.#pending;
    if (cut === null || cut.ranges.size === 0 || cut.topic !== this.#config.consumer.topicName) return null;
    for (const [partition, [from, to]] of cut.ranges) {
      const { begin, end } = await this.#config.consumer.offsets(partition);
      const isOwn = this.#config.partitions.includes(partition);
      if (!isOwn || (this.#landed(partition) ?? begin) !== from || from < begin || to > end) return null;
    }
    if (!await this.#reader.readAgain(cut.ranges, sink)) {
      throw new LakeError(
        `Cannot read the messages of cut "${cut.file}" again: topic "${cut.topic}" was cut while they were read; start again`,
      );
    }
    log("info", "jobs", "cut of an earlier run taken up", { file: cut.file });
    return { ranges: new Map([...cut.ranges].map(([partition, [from, to]]) => [partition, [from, to]])), gaps: [], reason: cut.reason };
  }

  async #commit(stage: Stage, cut: Cut, gaps: readonly Gap[], last: readonly [string, bigint][]): Promise<Moved | "overtaken"> {
    const { database, consumer: { topicName } } = this.#config;
    const offsets = formatOffsets([...cut.ranges].map(([partition, [from, to]]) => ({ topicName, partition, from, to })));
    const transactions = new Map([
      ...gaps.map(({ partition, to }) => [applicationId(topicName, partition), to] as const),
      ...gaps.map(({ partition, from, to }) => this.#givenUp(partition, to - from)),
      ...[...cut.ranges].map(([partition, [, to]]) => [applicationId(topicName, partition), to] as const),
      ...last,
    ]);
    if (!await this.#keepAside(stage, cut, transactions)) return await this.#giveWay(cut);
    const adds = stage.rowCount === 0 ? [] : await this.#writeFiles(stage, cut, offsets);
    const parameters = {
      offsets,
      rows: String(stage.rowCount),
      reason: cut.reason,
      ...(gaps.length === 0 ? {} : { gaps: formatOffsets(gaps.map((gap) => ({ topicName, ...gap }))) }),
      ...this.#othersTaken(cut),
    };
    const committed = await append(
      this.#directory,
      FLOW,
      this.#snapshot,
      { operation: "STREAMING UPDATE", parameters, adds, transactions },
      database,
    );
    if (committed === null) return await this.#giveWay(cut);
    this.#snapshot = committed;
    const moved = { rows: stage.rowCount, deadLetters: stage.deadLetters.length };
    log("info", "jobs", "committed", {
      version: String(committed.version),
      rows: moved.rows,
      files: adds.length,
      dead_letters: moved.deadLetters,
      reason: cut.reason,
    });
    for (const { partition, from, to } of gaps) {
      log("warn", "jobs", "gap accepted", { topic: topicName, partition, from: String(from), to: String(to) });
    }
    return moved;
  }

  /** What is not rows of `flow`, before the rows; false where another writer has taken it in. */
  async #keepAside(stage: Stage, cut: Cut, transactions: ReadonlyMap<string, bigint>): Promise<boolean> {
    const source = { topicName: this.#config.consumer.topicName, ingestTime: cut.ingestTime };
    const losses = stage.losses.filter((told) => !this.#losses.has(told));
    if (!await this.#losses.keep(losses.flatMap((told) => lossRows(told, source)), cut, transactions)) return false;
    if (!await this.#deadLetters.keep(stage.deadLetters.map((letter) => letterRow(letter, source)), cut, transactions)) return false;
    for (const { message: { partition, offset }, reason } of stage.deadLetters) {
      log("warn", "jobs", "message set aside", { topic: source.topicName, partition, offset: String(offset), reason });
    }
    return true;
  }

  /** What the history tells where the commit goes on with a topic of other messages. */
  #othersTaken({ ranges }: Cut): Record<string, string> {
    const { acceptedOthers = [], consumer: { topicName } } = this.#config;
    const taken = acceptedOthers.filter(({ partition, offset }) => ranges.get(partition)?.[0] === offset);
    if (taken.length === 0) return {};
    const offsets = taken.map(({ partition, offset }) => [`${topicName}:${partition}`, String(offset)]);
    return { [OTHER_MESSAGES_PARAMETER]: JSON.stringify(Object.fromEntries(offsets)) };
  }

  /** The count of messages given up, as it is after so many more. */
  #givenUp(partition: number, messages: bigint): readonly [string, bigint] {
    const id = gapApplicationId(this.#config.consumer.topicName, partition);
    return [id, (this.#snapshot.transactions.get(id) ?? 0n) + messages];
  }

  async #writeFiles(stage: Stage, { file, ingestTime }: Cut, offsets: string): Promise<AddFile[]> {
    const { database, consumer: { topicName } } = this.#config;
    const adds: AddFile[] = [];
    for (const { partition: { date, hour }, parts, stats } of stage.files({ topicName, ingestTime })) {
      const place = { name: file, partition: { date, hour: String(hour) }, tags: { [OFFSETS_TAG]: offsets } };
      adds.push(await writeDataFile(database, this.#directory, FLOW, { ...place, parts, stats }));
    }
    const rows = adds.reduce((sum, { tags }) => sum + Number(tags?.["skyfall.rows"]), 0);
    if (rows !== stage.rowCount) {
      throw new LakeError(`Cannot commit ${adds.length} files of cut "${file}": they hold ${rows} rows, the messages ${stage.rowCount}`);
    }
    return adds;
  }

  /** Another writer has committed some of the same messages: what was written of the cut stays unseen, and is vacuumed some day. */
  async #giveWay({ file }: Cut): Promise<"overtaken"> {
    this.#overtaken++;
    // From the log alone: a version of ours that was overwritten is still in what this writer knew.
    this.#snapshot = await readTableHead(this.#directory, FLOW, this.#config.database);
    log("warn", "jobs", "another writer was first, cut discarded", { file, discarded: this.#overtaken });
    return "overtaken";
  }
}

async function writerName(topicName: string, partitions: readonly number[]): Promise<string> {
  const name = `etl-${encodeURIComponent(topicName)}-${formatPartitionSet(partitions)}`;
  if (name.length <= WRITER_NAME_LENGTH_MAX) return name;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name)));
  return `etl-${hash.toHex().slice(0, 16)}`;
}
