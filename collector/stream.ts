/** Accounts for the datagrams of one agent: lost, duplicated, reordered, restarted (serial numbers: RFC 1982). */

import type { AgentLosses } from "../lib/sflow/agent_losses.ts";
import { Incarnation } from "./incarnation.ts";
import { addCounts, emptyCounts, type StreamCounts } from "./stream_counts.ts";
import { incarnationAt, StreamMemory } from "./stream_memory.ts";

/** How much later than others a datagram may come, by its sender's clock, and be told from one of a restarted sender. */
const DELAY_MAX_MS = 2_000;
/** A sender whose uptime lies this far back is younger, whatever its sequence numbers say. */
const STRAGGLER_MAX_MS = 60_000;
/** The collector's clock is read once a batch; a sender's may run ahead of it by so much and not be another sender's. */
const AHEAD_MAX_MS = 60_000;
/** So many datagrams in a row that fit no incarnation are a new one. */
const MISPLACED_MAX = 16;

/** Numbers of a stream: when the minute of the clock's comparison began, and the least difference in it and the one before. */
const MINUTE_START_MS = 0, SKEW_MS = 1, LAST_SKEW_MS = 2;
/** What its last datagram was of: identity ids plus 1, 0 being none. */
const HOST = 3, PROCESS = 4;

/** What a datagram turned out to be. */
export type Arrival = "new" | "reordered" | "duplicate" | "restart" | "stale";

/**
 * One (agent address, sub-agent): the unit of sFlow's datagram sequence. It knows the sender's current incarnation and the one
 * before, whose last datagrams may come after the first of the new. Nothing is allocated for a datagram.
 */
export class Stream {
  readonly #memory: StreamMemory;
  readonly #at: number;
  #current: Incarnation;
  /** The one before; not begun where there was none. */
  #previous: Incarnation;
  /** Whose datagram came last. */
  #sender: Incarnation;
  #misplacedRun = 0;
  #restarted = 0;
  #stale = 0;
  /** What the incarnations before the previous one amount to. */
  #past = emptyCounts();

  constructor(memory = new StreamMemory(1)) {
    this.#memory = memory;
    this.#at = memory.take();
    this.#current = this.#sender = new Incarnation(memory, incarnationAt(this.#at, 0));
    this.#previous = new Incarnation(memory, incarnationAt(this.#at, 1));
    this.#clearClock();
  }

  /** Uptime that the newest datagram told. */
  get uptimeMs(): number {
    return this.#current.uptimeMs;
  }

  /**
   * Collector's clock less the agent's, the least of the last minute or two: their skew and the shortest way. Null where no
   * flow told the agent's time.
   */
  get skewMs(): number | null {
    const { numbers } = this.#memory, least = Math.min(numbers[this.#at + SKEW_MS]!, numbers[this.#at + LAST_SKEW_MS]!);
    return least === Infinity ? null : least;
  }

  /** Identity of the host that its last datagram told of, or -1; it may have been forgotten. */
  get lastHost(): number {
    return this.#memory.numbers[this.#at + HOST]! - 1;
  }

  set lastHost(identity: number) {
    this.#memory.numbers[this.#at + HOST] = identity + 1;
  }

  /** As `lastHost`, of the first process in the datagram. */
  get lastProcess(): number {
    return this.#memory.numbers[this.#at + PROCESS]! - 1;
  }

  set lastProcess(identity: number) {
    this.#memory.numbers[this.#at + PROCESS] = identity + 1;
  }

  /** Reads what a datagram will need. */
  touch(sequenceNumber: number): number {
    return this.#memory.numbers[this.#at]! + this.#current.touch(sequenceNumber);
  }

  /** Forgets everything, for another agent. */
  clear(): void {
    this.#current.clear();
    this.#previous.clear();
    this.#sender = this.#current;
    this.#misplacedRun = this.#restarted = this.#stale = 0;
    this.#past = emptyCounts();
    this.#clearClock();
    this.lastHost = this.lastProcess = -1;
  }

  /** Takes in the sequence number of a datagram that arrived. */
  arrive(sequenceNumber: number, uptimeMs: number, nowMs: number): Arrival {
    const current = this.#current;
    this.#sender = current;
    if (!current.isBegun) {
      current.begin(sequenceNumber, uptimeMs, nowMs, false);
      return "new";
    }
    const laterMs = (uptimeMs - current.uptimeMs) | 0;
    if (laterMs < -DELAY_MAX_MS) {
      if (laterMs < -STRAGGLER_MAX_MS || uptimeMs <= -laterMs && current.isReset(sequenceNumber)) {
        return this.#restart(sequenceNumber, uptimeMs, nowMs);
      }
      if (++this.#misplacedRun >= MISPLACED_MAX) return this.#restart(sequenceNumber, uptimeMs, nowMs);
      return this.#take(current, sequenceNumber, uptimeMs, nowMs);
    }
    const elapsedMs = Math.max(0, nowMs - current.seenMs);
    if (laterMs > elapsedMs + DELAY_MAX_MS) {
      if (this.#isOfPrevious(uptimeMs, nowMs)) return this.#arriveInPrevious(sequenceNumber, uptimeMs, nowMs);
      if (laterMs > elapsedMs + AHEAD_MAX_MS && !current.isNext(sequenceNumber)) {
        // An uptime beyond 2^31 ms that falls to 0 is ahead too.
        if (!current.isAhead(sequenceNumber) && current.isReset(sequenceNumber)) return this.#restart(sequenceNumber, uptimeMs, nowMs);
        return this.#misplace(sequenceNumber, uptimeMs, nowMs);
      }
    }
    const arrival = current.take(sequenceNumber, uptimeMs, nowMs);
    if (arrival === "stale") return this.#misplace(sequenceNumber, uptimeMs, nowMs);
    this.#misplacedRun = 0;
    return arrival;
  }

  /** Takes in a sample of our own records: how many flow records the agent has made by then, and how many are in it. */
  arriveSample(samplePool: number, records: number, drops: number): void {
    this.#sender.takeSample(samplePool, records, drops);
  }

  /** Takes in what the agent lost since it started. */
  arriveLosses(losses: AgentLosses): void {
    this.#sender.takeLosses(losses);
  }

  arriveReconciliation(unreconciled: number): void {
    this.#sender.unreconciled = unreconciled;
  }

  /** Takes in a time of the agent's wall clock, of just before it sent. */
  arriveClock(unixMs: number, nowMs: number): void {
    const { numbers } = this.#memory, at = this.#at;
    if (nowMs - numbers[at + MINUTE_START_MS]! >= 60_000) {
      numbers[at + LAST_SKEW_MS] = numbers[at + SKEW_MS]!;
      numbers[at + SKEW_MS] = Infinity;
      numbers[at + MINUTE_START_MS] = nowMs;
    }
    numbers[at + SKEW_MS] = Math.min(numbers[at + SKEW_MS]!, nowMs - unixMs);
  }

  addTo(total: StreamCounts): void {
    addCounts(total, this.#past);
    this.#previous.addTo(total);
    this.#current.addTo(total);
    total.restarted += this.#restarted;
    total.stale += this.#stale;
  }

  #clearClock(): void {
    this.#memory.numbers[this.#at + MINUTE_START_MS] = 0;
    this.#memory.numbers[this.#at + SKEW_MS] = this.#memory.numbers[this.#at + LAST_SKEW_MS] = Infinity;
  }

  #isOfPrevious(uptimeMs: number, nowMs: number): boolean {
    if (!this.#previous.isBegun) return false;
    const laterMs = (uptimeMs - this.#previous.uptimeMs) | 0;
    return laterMs >= -STRAGGLER_MAX_MS && laterMs <= DELAY_MAX_MS + Math.max(0, nowMs - this.#previous.seenMs);
  }

  /** A datagram that the newer incarnation has overtaken, or proof that there is no newer one. */
  #arriveInPrevious(sequenceNumber: number, uptimeMs: number, nowMs: number): Arrival {
    const previous = this.#sender = this.#previous;
    const arrival = this.#take(previous, sequenceNumber, uptimeMs, nowMs);
    if (arrival !== "new" || (uptimeMs - previous.uptimeAtEndMs | 0) <= DELAY_MAX_MS) return arrival;
    // It is alive: what looked like a restart was a datagram that came far too late.
    this.#restarted--;
    this.#stale += this.#current.received;
    this.#current.clear();
    this.#previous = this.#current;
    this.#current = previous;
    this.#misplacedRun = 0;
    return arrival;
  }

  #take(incarnation: Incarnation, sequenceNumber: number, uptimeMs: number, nowMs: number): Arrival {
    const arrival = incarnation.take(sequenceNumber, uptimeMs, nowMs);
    if (arrival === "stale") this.#stale++;
    return arrival;
  }

  /** A datagram that fits no incarnation; too many in a row are a new one. */
  #misplace(sequenceNumber: number, uptimeMs: number, nowMs: number): Arrival {
    if (++this.#misplacedRun >= MISPLACED_MAX) return this.#restart(sequenceNumber, uptimeMs, nowMs);
    this.#stale++;
    return "stale";
  }

  #restart(sequenceNumber: number, uptimeMs: number, nowMs: number): Arrival {
    const next = this.#previous;
    next.addTo(this.#past);
    this.#previous = this.#current;
    this.#previous.uptimeAtEndMs = this.#previous.uptimeMs + Math.max(0, nowMs - this.#previous.seenMs);
    this.#current = this.#sender = next;
    this.#restarted++;
    this.#misplacedRun = 0;
    next.begin(sequenceNumber, uptimeMs, nowMs, true);
    return "restart";
  }
}
