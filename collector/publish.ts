/** Moves the workers' messages into the topic, in order; what cannot be stored now waits, and is tried again. */

import { describeError, log } from "../lib/log.ts";
import { PublishError, TopicError, type TopicProducer, type TopicRecord } from "../lib/topic/topic.ts";
import { BACKLOG_BYTES_MAX } from "./config.ts";
import type { RowMessage } from "./rows.ts";

/** Values in one call of `publish()`. */
const PUBLISH_BYTES_MAX = 8 * 1024 * 1024;
const RETRY_PAUSE_MS = 500;
/** How long a stopping collector tries on. */
const LAST_TRIES_MS = 10_000;

export interface PublishCounts {
  messages_published: number;
  rows_published: number;
  events_published: number;
  bytes_published: number;
  publish_failures: number;
}

export class Publisher {
  readonly counts: PublishCounts = {
    messages_published: 0,
    rows_published: 0,
    events_published: 0,
    bytes_published: 0,
    publish_failures: 0,
  };
  readonly #producer: TopicProducer;
  readonly #onBlocked: (blocked: boolean) => void;
  readonly #queue: RowMessage[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | null = null;
  #stopMs = Infinity;

  /** @param onBlocked Told when more waits than may, and when it no longer does. */
  constructor(producer: TopicProducer, onBlocked: (blocked: boolean) => void) {
    this.#producer = producer;
    this.#onBlocked = onBlocked;
  }

  /** Takes in messages; they are published as soon as those before them are. */
  add(messages: readonly RowMessage[]): void {
    this.#queue.push(...messages);
    this.#queuedBytes += messages.reduce((bytes, { value }) => bytes + value.length, 0);
    this.#onBlocked(this.#queuedBytes > BACKLOG_BYTES_MAX);
    this.#running ??= this.#run();
  }

  /** Resolves when everything is stored, or was tried for long enough; returns what is left. */
  async finish(): Promise<{ readonly messages: number; readonly rows: number; readonly events: number }> {
    this.#stopMs = performance.now() + LAST_TRIES_MS;
    await this.#running;
    const sum = (of: (message: RowMessage) => number) => this.#queue.reduce((total, message) => total + of(message), 0);
    return { messages: this.#queue.length, rows: sum((m) => m.rows), events: sum((m) => m.events) };
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      const left = await this.#publish(batch);
      this.#remove(batch, left);
      if (left.size === 0) continue;
      if (performance.now() > this.#stopMs) break;
      else await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
    this.#running = null;
  }

  #nextBatch(): RowMessage[] {
    let bytes = 0;
    const end = this.#queue.findIndex(({ value }) => (bytes += value.length) > PUBLISH_BYTES_MAX);
    return this.#queue.slice(0, end < 0 ? this.#queue.length : Math.max(1, end));
  }

  /** Returns what is not stored, or not known to be: it is tried again, as the same objects. */
  async #publish(batch: readonly RowMessage[]): Promise<ReadonlySet<TopicRecord>> {
    try {
      await this.#producer.publish(batch);
      return new Set();
    } catch (error) {
      if (!(error instanceof TopicError)) throw error;
      this.counts.publish_failures++;
      log("error", "collector", "rows wait for the topic", { error: describeError(error), waiting_bytes: this.#queuedBytes });
      return error instanceof PublishError ? error.unacknowledged : new Set(batch);
    }
  }

  /** Removes what is stored of the first messages of the queue. */
  #remove(batch: readonly RowMessage[], left: ReadonlySet<TopicRecord>): void {
    this.#queue.splice(0, batch.length, ...batch.filter((message) => left.has(message)));
    for (const { rows, events, value } of batch.filter((message) => !left.has(message))) {
      this.counts.messages_published++;
      this.counts.rows_published += rows;
      this.counts.events_published += events;
      this.counts.bytes_published += value.length;
      this.#queuedBytes -= value.length;
    }
    this.#onBlocked(this.#queuedBytes > BACKLOG_BYTES_MAX);
  }
}
