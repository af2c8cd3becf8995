/**
 * Moves the workers' messages into the topic, in order. What cannot be stored now waits in the spool, or in memory where there
 * is none or it is full, and is tried again.
 */

import { describeError, log } from "../lib/log.ts";
import { PublishError, type TopicConsumer, TopicError, type TopicProducer, type TopicRecord } from "../lib/topic/topic.ts";
import { BACKLOG_BYTES_MAX } from "./config.ts";
import { FlushDelays } from "./flush_delays.ts";
import type { RowMessage } from "./rows.ts";
import type { Spool, SpoolPlace } from "./spool.ts";
import { storedAlready, topicEnds } from "./stored_already.ts";

/** Values in one call of `publish()`. */
const PUBLISH_BYTES_MAX = 8 * 1024 * 1024;
const RETRY_PAUSE_MS = 500;
/** How long a stopping collector tries on. */
const LAST_TRIES_MS = 10_000;
/** How old a known end of the topic may be: so much of it a crash makes the next collector read. */
const ENDS_MS_MAX = 60_000;

export interface PublishCounts {
  messages_published: number;
  rows_published: number;
  events_published: number;
  bytes_published: number;
  publish_failures: number;
  /** In the spool at the start: what the collector before left. */
  events_recovered: number;
  /** Of them, what that collector had published already, as the topic told. */
  events_found_published: number;
}

/** What is not in the topic yet. */
export interface Waiting {
  readonly messages: number;
  readonly rows: number;
  readonly events: number;
  readonly bytes: number;
}

/** A topic's two sides, opened by whoever is asked first; tried again where it is away. */
export interface TopicAccess {
  readonly partitionCount: number;
  readonly producer: () => Promise<TopicProducer>;
  readonly consumer: () => Promise<TopicConsumer>;
}

export class Publisher {
  readonly counts: PublishCounts = {
    messages_published: 0,
    rows_published: 0,
    events_published: 0,
    bytes_published: 0,
    publish_failures: 0,
    events_recovered: 0,
    events_found_published: 0,
  };
  readonly delays = new FlushDelays();
  readonly #topic: TopicAccess;
  readonly #spool: Spool | null;
  readonly #onBlocked: (blocked: boolean) => void;
  readonly #queue: RowMessage[] = [];
  /** What is being published: tried again as the same objects until it is stored, as a topic demands. */
  #head: RowMessage[] = [];
  /** Those of the head that are in the spool, where they end, and how many there were. */
  readonly #spooledHead = new Set<RowMessage>();
  #spooledHeadEnd: SpoolPlace | null = null;
  #spooledHeadCount = 0;
  /** In memory and not in the spool. */
  #queuedBytes = 0;
  #spooledEvents = 0;
  #spooling: Promise<void> = Promise.resolve();
  #running: Promise<void> | null = null;
  #isAway = false;
  /** Whether it is noted in the spool, where it must be, from where on the topic may hold the head. */
  #isNoted = false;
  #isInterrupted: boolean;
  #knownEnds: ReadonlyMap<number, bigint> = new Map();
  #knownEndsMs = -Infinity;
  #stopMs = Infinity;

  /**
   * @param spool Null where messages wait in memory only.
   * @param onBlocked Told when more waits in memory than may, and when it no longer does.
   */
  constructor(topic: TopicAccess, spool: Spool | null, onBlocked: (blocked: boolean) => void) {
    this.#topic = topic;
    this.#spool = spool;
    this.#onBlocked = onBlocked;
    this.#isInterrupted = spool !== null && spool.interrupted !== null;
    this.#spooledEvents = this.counts.events_recovered = spool?.recovered.events ?? 0;
    if (spool !== null && !spool.isEmpty) this.#running = this.#run();
  }

  /** Whether more waits in memory than may. */
  get isBlocked(): boolean {
    return this.#queuedBytes > BACKLOG_BYTES_MAX;
  }

  /** Flow records in the spool. */
  get spooledEvents(): number {
    return this.#spooledEvents;
  }

  /** What waits in memory alone. */
  waiting(): Waiting {
    const waiting = [...this.#head.filter((message) => !this.#spooledHead.has(message)), ...this.#queue];
    const sum = (of: (message: RowMessage) => number) => waiting.reduce((total, message) => total + of(message), 0);
    return { messages: waiting.length, rows: sum((m) => m.rows), events: sum((m) => m.events), bytes: this.#queuedBytes };
  }

  /** Takes in messages; they are published as soon as those before them are. */
  add(messages: readonly RowMessage[]): void {
    this.#queue.push(...messages);
    this.#queuedBytes += bytesOf(messages);
    this.#onBlocked(this.isBlocked);
    if (this.#spool !== null && (this.#isAway || !this.#spool.isEmpty)) this.#startSpooling(false);
    this.#running ??= this.#run();
  }

  /** Resolves when everything is stored in the topic, or was tried for long enough and is in the spool as far as may be. */
  async finish(): Promise<void> {
    this.#stopMs = performance.now() + LAST_TRIES_MS;
    await this.#running;
    await this.#startSpooling(true);
  }

  async #run(): Promise<void> {
    while (await this.#takeHead()) {
      this.#isAway = !await this.#publishHead();
      if (!this.#isAway) {
        if (this.#spool !== null && performance.now() > this.#stopMs) break; // the next collector goes on
        continue;
      }
      await this.#startSpooling(true);
      if (performance.now() > this.#stopMs || this.#stopMs < Infinity && this.waiting().messages === 0) break;
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
    this.#running = null;
  }

  /** Sees to it that there is something to publish: the rest of the head, or the spool's first, or the queue's; false where nothing waits. */
  async #takeHead(): Promise<boolean> {
    for (let waited: Promise<void> | null = null; waited !== this.#spooling;) await (waited = this.#spooling);
    if (this.#head.length > 0) return true;
    this.#isNoted = false;
    const spool = this.#spool;
    if (spool !== null && !spool.isEmpty) {
      const { messages, end } = await spool.read(
        this.#isInterrupted ? Infinity : PUBLISH_BYTES_MAX,
        this.#isInterrupted ? spool.interrupted!.end : null,
      );
      this.#head = messages.map((message) => ({ ...message, partition: message.partition % this.#topic.partitionCount }));
      for (const message of this.#head) this.#spooledHead.add(message);
      this.#spooledHeadEnd = end;
      this.#spooledHeadCount = messages.length;
      return true;
    }
    let bytes = 0;
    const end = this.#queue.findIndex(({ value }) => (bytes += value.length) > PUBLISH_BYTES_MAX);
    this.#head = this.#queue.splice(0, end < 0 ? this.#queue.length : Math.max(1, end));
    return this.#head.length > 0;
  }

  /** Publishes the head; false where a part of it is left. */
  async #publishHead(): Promise<boolean> {
    try {
      const producer = await this.#topic.producer();
      if (this.#isInterrupted) await this.#dropPublished();
      else if (this.#spool !== null) await this.#noteEnds(this.#spool);
      if (this.#head.length > 0) await producer.publish(this.#head);
      this.#onStored(new Set());
    } catch (error) {
      if (!(error instanceof TopicError)) throw error;
      this.counts.publish_failures++;
      log("error", "collector", "rows wait for the topic", {
        error: describeError(error),
        waiting_bytes: this.#queuedBytes,
        spooled_events: this.#spooledEvents,
      });
      this.#onStored(error instanceof PublishError ? error.unacknowledged : new Set(this.#head));
    }
    if (this.#head.length > 0) return false;
    if (this.#spooledHeadEnd !== null) await this.#spool!.acknowledge(this.#spooledHeadEnd, this.#spooledHeadCount);
    this.#spooledHeadEnd = null;
    this.#spooledHeadCount = 0;
    return true;
  }

  /** Takes out of the head what the collector before had published when it was killed. */
  async #dropPublished(): Promise<void> {
    const stored = await storedAlready(await this.#topic.consumer(), this.#head, this.#spool!.interrupted!.topicEnds);
    this.#isInterrupted = false;
    for (const message of stored) {
      this.#spooledHead.delete(message);
      this.#spooledEvents -= message.events;
      this.counts.events_found_published += message.events;
    }
    this.#head = this.#head.filter((message) => !stored.has(message));
  }

  /** Notes where the topic ends before the head gets there, so that a collector after a crash knows from where on to look for it. */
  async #noteEnds(spool: Spool): Promise<void> {
    if (this.#isNoted) return; // of an attempt before, since which it may be there
    if (this.#spooledHeadEnd !== null) {
      await spool.begin(this.#spooledHeadEnd, await topicEnds(await this.#topic.consumer(), this.#head.map(({ partition }) => partition)));
    } else if (performance.now() - this.#knownEndsMs > ENDS_MS_MAX) {
      this.#knownEnds = await topicEnds(await this.#topic.consumer(), Array(this.#topic.partitionCount).keys());
      this.#knownEndsMs = performance.now();
    }
    this.#isNoted = true;
  }

  #startSpooling(isHeadStill: boolean): Promise<void> {
    return this.#spooling = this.#spooling.then(() => this.#moveToSpool(isHeadStill));
  }

  /**
   * Appends to the spool what is in memory, as far as it has room: the head first.
   *
   * @param isHeadStill Whether nobody is publishing the head; else what stands behind it waits, unless it is in the spool.
   */
  async #moveToSpool(isHeadStill: boolean): Promise<void> {
    const spool = this.#spool;
    if (spool === null) return;
    const head = this.#head.filter((message) => !this.#spooledHead.has(message));
    if (head.length > 0) {
      if (!isHeadStill) return;
      const count = await spool.append(head, this.#topic.partitionCount);
      for (const message of head.slice(0, count)) this.#spooledHead.add(message);
      this.#onSpooled(head.slice(0, count));
      if (count > 0) {
        this.#spooledHeadEnd = spool.end;
        this.#spooledHeadCount += count;
        if (this.#isNoted) await spool.begin(this.#spooledHeadEnd, this.#knownEnds);
      }
      if (count < head.length) return;
    }
    const queue = [...this.#queue];
    const count = await spool.append(queue, this.#topic.partitionCount);
    this.#queue.splice(0, count);
    this.#onSpooled(queue.slice(0, count));
  }

  #onSpooled(messages: readonly RowMessage[]): void {
    this.#queuedBytes -= bytesOf(messages);
    for (const { events } of messages) this.#spooledEvents += events;
    this.#onBlocked(this.isBlocked);
  }

  /** Takes what is stored out of the head. */
  #onStored(left: ReadonlySet<TopicRecord>): void {
    for (const message of this.#head) {
      if (left.has(message)) continue;
      if (message.dueMs !== undefined) this.delays.note(Date.now() - message.dueMs, Date.now());
      this.counts.messages_published++;
      this.counts.rows_published += message.rows;
      this.counts.events_published += message.events;
      this.counts.bytes_published += message.value.length;
      if (this.#spooledHead.delete(message)) this.#spooledEvents -= message.events;
      else this.#queuedBytes -= message.value.length;
    }
    this.#head = this.#head.filter((message) => left.has(message));
    this.#onBlocked(this.isBlocked);
  }
}

function bytesOf(messages: readonly RowMessage[]): number {
  return messages.reduce((bytes, { value }) => bytes + value.length, 0);
}
