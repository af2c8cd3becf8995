/**
 * Records on their way to a broker: queues by partition, and lanes that each have one batch of one partition under way.
 *
 * A batch of one partition is stored whole or not at all, so that its outcome is one. One at a time a lane keeps the order.
 */

import { PublishError, type TopicRecord } from "./topic.ts";

/** Bytes that a record costs besides its value, at most (KIP-98: lengths, timestamp and offset as varints). */
const RECORD_OVERHEAD_BYTES = 32;

interface Entry {
  readonly record: TopicRecord;
  readonly settled: Promise<void>;
  readonly settle: () => void;
  /** `sending` can no longer be taken back. */
  state: "queued" | "sending" | "stored" | "failed";
  error: Error | null;
}

export interface OutboxTarget {
  readonly laneCount: number;
  /** Bytes of one batch, at most; a record that is larger goes alone. */
  readonly batchBytesMax: number;
  /** Stores a batch of one partition, whole or not at all. May take as long as it likes. */
  readonly send: (lane: number, partition: number, values: readonly Uint8Array[]) => Promise<void>;
  /** What a publisher is told whose records were not stored in time. @param cause Null where no batch has failed. */
  readonly explain: (cause: Error | null) => { readonly message: string; readonly cause: unknown };
}

export class Outbox {
  readonly #target: OutboxTarget;
  /** Every record that a caller waits for, or that was under way when its caller stopped waiting. */
  readonly #entries = new Map<TopicRecord, Entry>();
  /** By lane: queues by partition, the partition whose turn it is first. */
  readonly #lanes: readonly Map<number, Entry[]>[];
  readonly #busy: boolean[];

  constructor(target: OutboxTarget) {
    this.#target = target;
    this.#lanes = Array.from({ length: target.laneCount }, () => new Map());
    this.#busy = this.#lanes.map(() => false);
  }

  /**
   * Stores the records, each partition's in the order given. Those that an earlier call left under way are waited for.
   *
   * @throws {PublishError} If some are not stored within the time. What was not yet sent is taken back.
   */
  async publish(records: readonly TopicRecord[], timeoutMs: number): Promise<void> {
    const entries = records.map((record) => {
      const known = this.#entries.get(record);
      return known === undefined || known.state === "failed" ? this.#enqueue(record) : known;
    });
    for (let lane = 0; lane < this.#lanes.length; lane++) this.#advance(lane);
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, timeoutMs);
    await Promise.race([Promise.all(entries.map(({ settled }) => settled)), timeout.promise]);
    clearTimeout(timer);
    this.#release(entries);
    const unacknowledged = entries.filter(({ state }) => state !== "stored");
    if (unacknowledged.length === 0) return;
    const { message, cause } = this.#target.explain(unacknowledged.find(({ error }) => error !== null)?.error ?? null);
    throw new PublishError(message, new Set(unacknowledged.map(({ record }) => record)), { cause });
  }

  #enqueue(record: TopicRecord): Entry {
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Entry = { record, settled: promise, settle: resolve, state: "queued", error: null };
    this.#entries.set(record, entry);
    const lane = this.#lanes[record.partition % this.#lanes.length]!;
    const queue = lane.get(record.partition);
    if (queue === undefined) lane.set(record.partition, [entry]);
    else queue.push(entry);
    return entry;
  }

  /** Forgets the records of a call, but for those under way: they may be asked for again. */
  #release(entries: readonly Entry[]): void {
    for (const { record, state } of entries) if (state !== "sending") this.#entries.delete(record);
    const queued = new Set(entries.filter(({ state }) => state === "queued"));
    if (queued.size === 0) return;
    for (const lane of this.#lanes) {
      for (const [partition, queue] of lane) {
        const left = queue.filter((entry) => !queued.has(entry));
        if (left.length > 0) lane.set(partition, left);
        else lane.delete(partition);
      }
    }
  }

  /** Sends batch after batch of a lane until its queues are empty. */
  async #advance(lane: number): Promise<void> {
    if (this.#busy[lane]) return;
    this.#busy[lane] = true;
    for (let batch = this.#takeBatch(lane); batch.length > 0; batch = this.#takeBatch(lane)) {
      const { partition } = batch[0]!.record;
      try {
        await this.#target.send(lane, partition, batch.map(({ record }) => record.value));
        settleAll(batch, "stored", null);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        // What stands behind it in its partition goes back too: stored now, it would be before it.
        const behind = this.#lanes[lane]!.get(partition) ?? [];
        this.#lanes[lane]!.delete(partition);
        settleAll([...batch, ...behind], "failed", error);
      }
    }
    this.#busy[lane] = false;
  }

  #takeBatch(lane: number): Entry[] {
    const [first] = this.#lanes[lane]!;
    if (first === undefined) return [];
    const [partition, queue] = first;
    let bytes = 0;
    const end = queue.findIndex(({ record }) => (bytes += record.value.length + RECORD_OVERHEAD_BYTES) > this.#target.batchBytesMax);
    const batch = queue.splice(0, end < 0 ? queue.length : Math.max(1, end));
    this.#lanes[lane]!.delete(partition);
    if (queue.length > 0) this.#lanes[lane]!.set(partition, queue); // behind the others
    for (const entry of batch) entry.state = "sending";
    return batch;
  }
}

function settleAll(entries: readonly Entry[], state: "stored" | "failed", error: Error | null): void {
  for (const entry of entries) {
    entry.state = state;
    entry.error = error;
    entry.settle();
  }
}
