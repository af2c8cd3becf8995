/** Reads a topic's partitions on from the offsets that the lake has, and never jumps over one that nobody has accepted. */

import { log } from "../lib/log.ts";
import { MissingMessagesError, type TopicConsumer, TopicError, type TopicMessage } from "../lib/topic/topic.ts";
import type { CutReason } from "./lake/cut_journal.ts";
import { LakeError } from "./lake/delta_log.ts";
import { assertSameTopic, type OtherMessages } from "./last_message.ts";
import { pause } from "./pause.ts";

/** Rows and bytes of messages that one commit takes in at most, and how old its first message gets where it follows. */
const COMMIT_ROWS_MAX = 1_000_000;
const COMMIT_BYTES_MAX = 128 * 1024 * 1024;
const COMMIT_AGE_MS = 5_000;
const READ_BYTES_MAX = 16 * 1024 * 1024;
const POLL_MS = 500;

/** Offsets of a partition, from the first to before the second, that are given up. */
export interface Gap {
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/** @throws {SyntaxError} If the text is not "PARTITION:FROM-TO". */
export function parseGap(text: string): Gap {
  const match = /^(\d{1,4}):(\d{1,18})-(\d{1,18})$/.exec(text);
  if (match === null || BigInt(match[2]!) >= BigInt(match[3]!)) {
    throw new SyntaxError(`Cannot read gap "${text}": needed PARTITION:FROM-TO, offsets from the first to before the second`);
  }
  return { partition: Number(match[1]), from: BigInt(match[2]!), to: BigInt(match[3]!) };
}

/** How far a partition is in the lake. */
export interface Landed {
  /** To read next. */
  readonly offset: bigint;
  /** Number of the message before it; undefined where nobody noted it. */
  readonly last: bigint | undefined;
}

export function acceptGapCommand(job: string, partition: number, from: bigint, to: bigint): string {
  return `jobs run ${job} --accept-gap ${partition}:${from}-${to}`;
}

/** Takes messages in; tells how many rows it then has. */
export type MessageSink = (message: TopicMessage) => number;

/** What was read for one commit. */
export interface Reading {
  /** By partition with messages, the first offset, and the one after the last. */
  readonly ranges: Map<number, [from: bigint, to: bigint]>;
  /** What was given up before them. */
  readonly gaps: readonly Gap[];
  readonly reason: CutReason;
}

export class TopicReader {
  readonly #consumer: TopicConsumer;
  readonly #partitions: readonly number[];
  readonly #acceptedGaps: readonly Gap[];
  readonly #acceptedOthers: readonly OtherMessages[];
  readonly #job: string;
  /** Place in `#partitions` that the next reading begins with, so that none waits for the others for ever. */
  #first = 0;

  /** @param job As a person calls it. */
  constructor(
    job: string,
    consumer: TopicConsumer,
    partitions: readonly number[],
    acceptedGaps: readonly Gap[],
    acceptedOthers: readonly OtherMessages[] = [],
  ) {
    this.#job = job;
    this.#consumer = consumer;
    this.#partitions = partitions;
    this.#acceptedGaps = acceptedGaps;
    this.#acceptedOthers = acceptedOthers;
  }

  /**
   * Reads until there is enough for a commit, or the end of the topic; where it follows, it waits there for more.
   *
   * @param landed By partition, how far it is in the lake; undefined where it has none of it.
   * @throws {LakeError} If messages are gone that the lake does not have, or the topic is not the one that it took in.
   * @throws {TopicError} If the topic cannot be read.
   */
  async read(
    landed: (partition: number) => Landed | undefined,
    sink: MessageSink,
    follows: boolean,
    signal: AbortSignal,
  ): Promise<Reading> {
    const places: Place[] = [];
    const gaps: Gap[] = [];
    for (const partition of this.#partitions) {
      const place = await this.#begin(partition, landed(partition));
      if (place.gap !== null) gaps.push(place.gap);
      places.push(place);
    }
    const ranges = new Map<number, [bigint, bigint]>();
    const amount = { rows: 0, bytes: 0 };
    let sinceMs: number | null = null;
    for (;;) {
      const found = await this.#readRound(places, ranges, sink, amount, follows);
      if (found && sinceMs === null) sinceMs = performance.now();
      if (amount.rows >= COMMIT_ROWS_MAX) return { ranges, gaps, reason: "rows" };
      if (amount.bytes >= COMMIT_BYTES_MAX) return { ranges, gaps, reason: "bytes" };
      if (!found && !follows) return { ranges, gaps, reason: "end" };
      if (signal.aborted) return { ranges, gaps, reason: "stop" };
      if (sinceMs !== null && performance.now() - sinceMs >= COMMIT_AGE_MS) return { ranges, gaps, reason: "age" };
      if (gaps.length > 0 && !found) return { ranges, gaps, reason: "age" };
      if (!found) await pause(POLL_MS, signal);
    }
  }

  /**
   * Reads the messages of a cut again.
   *
   * @returns False where the topic no longer has them all.
   */
  async readAgain(ranges: ReadonlyMap<number, readonly [bigint, bigint]>, sink: MessageSink): Promise<boolean> {
    for (const [partition, [from, to]] of ranges) {
      for (let offset = from; offset < to;) {
        const messages = (await this.#consumer.read(partition, offset, READ_BYTES_MAX)).filter((message) => message.offset < to);
        if (messages.length === 0) return false;
        for (const message of messages) sink(message);
        offset = messages.at(-1)!.offset + 1n;
      }
    }
    return true;
  }

  /** Where to read on. */
  async #begin(partition: number, at: Landed | undefined): Promise<Place> {
    const { begin, end } = await this.#consumer.offsets(partition), name = this.#consumer.topicName;
    if (at === undefined) {
      if (begin > 0n) {
        log("warn", "jobs", "messages were deleted before this lake began", { topic: name, partition, missing: String(begin) });
      }
      return { partition, offset: begin, end, gap: null };
    }
    const landed = at.offset, gap = this.#acceptedGaps.find((gap) => gap.partition === partition && gap.from === landed) ?? null;
    if (gap !== null) await this.#assertGone(gap, begin, end);
    const offset = gap?.to ?? landed, place = { partition, offset, end, gap };
    const has = `the lake has it up to offset ${offset}, the topic has ${begin} to before ${end}`;
    if (offset < begin) {
      throw new LakeError(
        `Cannot go on with topic "${name}" partition ${partition}: ${has}; messages were deleted before they were read: give them up with "${
          acceptGapCommand(this.#job, partition, landed, begin)
        }", and the gap is kept in the table's history`,
      );
    }
    if (offset > end) {
      throw new LakeError(
        `Cannot go on with topic "${name}" partition ${partition}: ${has}; the topic was cut or restored from an older copy: restore it whole, or have a new topic made, which the lake takes in from its beginning`,
      );
    }
    await assertSameTopic(this.#job, this.#consumer, { partition, offset: landed }, { begin, end }, at.last, this.#acceptedOthers);
    return place;
  }

  /** @throws {LakeError} If a message of the gap can be read. */
  async #assertGone({ partition, from, to }: Gap, begin: bigint, end: bigint): Promise<void> {
    const first = from < begin ? begin : from;
    if (first >= to) return;
    const name = `${partition}:${from}-${to} of topic "${this.#consumer.topicName}"`;
    if (to > end) throw new LakeError(`Cannot accept gap ${name}: the topic ends before offset ${end}`);
    let messages: readonly TopicMessage[] = [];
    try {
      messages = await this.#consumer.read(partition, first, 1);
    } catch (error) {
      if (!(error instanceof TopicError)) throw error;
      log("info", "jobs", "gap looked at", { error: error.message });
    }
    const there = messages[0]?.offset ?? to;
    if (there < to) throw new LakeError(`Cannot accept gap ${name}: offset ${there} is there, a gap must hold no message that can be read`);
  }

  /** Reads once from every partition; false where none had anything. */
  async #readRound(
    places: readonly Place[],
    ranges: Map<number, [bigint, bigint]>,
    sink: MessageSink,
    amount: { rows: number; bytes: number },
    follows: boolean,
  ): Promise<boolean> {
    let found = false;
    for (let i = 0; i < places.length; i++) {
      const place = places[(this.#first + i) % places.length]!, { partition } = place;
      if (!follows && place.offset >= place.end) continue;
      if (amount.rows >= COMMIT_ROWS_MAX || amount.bytes >= COMMIT_BYTES_MAX) {
        this.#first = (this.#first + i) % places.length;
        return found;
      }
      const messages = await this.#readOn(place, ranges.size > 0);
      if (messages.length === 0) {
        place.end = place.offset; // what another program's transaction left at the end is no message
        continue;
      }
      for (const message of messages) {
        amount.rows = sink(message);
        amount.bytes += message.value.length;
      }
      const from = ranges.get(partition)?.[0] ?? place.offset;
      place.offset = messages.at(-1)!.offset + 1n;
      ranges.set(partition, [from, place.offset]);
      found = true;
    }
    return found;
  }

  /** @param hasMessages Whether there is something to commit: then that comes first, and what is wrong is met again after it. */
  async #readOn({ partition, offset, gap }: Place, hasMessages: boolean): Promise<readonly TopicMessage[]> {
    try {
      return await this.#consumer.read(partition, offset, READ_BYTES_MAX);
    } catch (error) {
      if (!(error instanceof TopicError)) throw error;
      if (hasMessages) {
        log("warn", "jobs", "topic failed, what was read is committed first", { error: error.message });
        return [];
      }
      if (error instanceof MissingMessagesError) {
        const { from, to } = error;
        throw new LakeError(
          `Cannot go on with topic "${this.#consumer.topicName}" partition ${partition}: offsets ${from} to before ${to} are missing within it; give them up with "${
            acceptGapCommand(this.#job, partition, from, to)
          }", and the gap is kept in the table's history`,
          { cause: error },
        );
      }
      // It may have been deleted since: then that is what has to be said.
      if (gap === null) await this.#begin(partition, { offset, last: undefined });
      throw error;
    }
  }
}

interface Place {
  readonly partition: number;
  /** To read next. */
  offset: bigint;
  /** Where the topic ended when the reading began. */
  end: bigint;
  readonly gap: Gap | null;
}
