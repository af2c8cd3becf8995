/** What one incarnation of an agent sent, from its start to its end: which numbers came, and which records. */

import { type AgentLosses, NO_LOSSES } from "../lib/sflow/agent_losses.ts";
import { add, combine, type StreamCounts } from "./stream_counts.ts";
import { bitsAt, type StreamMemory } from "./stream_memory.ts";

/** Datagrams behind the newest that can still be told apart from duplicates. */
export const WINDOW_DATAGRAMS = 1_024;
const WINDOW_WORDS = WINDOW_DATAGRAMS / 32;
const HALF_RANGE = 0x8000_0000;

/** Places of its numbers; what every datagram needs comes first. */
const HIGHEST = 0, RECEIVED = 1, UPTIME_MS = 2, SEEN_MS = 3, POOL_BASE = 4, POOL_HIGHEST = 5, RECORDS = 6, DROPS = 7;
const HAS_DROPS = 8, FIRST = 9, DUPLICATED = 10, REORDERED = 11, SEND_LOST_BEFORE = 12, UPTIME_AT_END_MS = 13, DROPS_BEFORE = 14;

export class Incarnation {
  readonly #numbers: Float64Array;
  readonly #at: number;
  /** Sequence numbers seen, by number modulo the window. */
  readonly #words: Uint32Array;
  readonly #bits: number;
  #losses = NO_LOSSES;
  unreconciled = 0;

  /** Its numbers are in `memory` from `at`; see `incarnationAt()`. */
  constructor(memory: StreamMemory, at: number) {
    this.#numbers = memory.numbers;
    this.#words = memory.words;
    this.#at = at;
    this.#bits = bitsAt(at);
    this.clear();
  }

  get received(): number {
    return this.#numbers[this.#at + RECEIVED]!;
  }

  /** Uptime of the newest datagram. */
  get uptimeMs(): number {
    return this.#numbers[this.#at + UPTIME_MS]!;
  }

  /** When the newest datagram came. */
  get seenMs(): number {
    return this.#numbers[this.#at + SEEN_MS]!;
  }

  /** Uptime when the next incarnation was seen to begin. */
  get uptimeAtEndMs(): number {
    return this.#numbers[this.#at + UPTIME_AT_END_MS]!;
  }

  set uptimeAtEndMs(uptimeMs: number) {
    this.#numbers[this.#at + UPTIME_AT_END_MS] = uptimeMs;
  }

  /** Numbers are counted on beyond 2^32, and may be negative: before a first one of 0 that was reordered across the wrap. */
  get #highest(): number {
    return this.#numbers[this.#at + HIGHEST]!;
  }

  get #first(): number {
    return this.#numbers[this.#at + FIRST]!;
  }

  /** Reads what a datagram will need. */
  touch(sequenceNumber: number): number {
    return this.#numbers[this.#at]! + this.#words[this.#bits + wordOf(sequenceNumber)]!;
  }

  get isBegun(): boolean {
    return this.#highest !== -Infinity;
  }

  /**
   * Takes in a first datagram.
   *
   * @param isWhole Whether the collector was there when the incarnation began. Then what precedes its first datagram is lost,
   * as agents count from 1; but where that is more than the window, who knows.
   */
  begin(sequenceNumber: number, uptimeMs: number, nowMs: number, isWhole: boolean): void {
    const numbers = this.#numbers, at = this.#at;
    this.clear();
    numbers[at + HIGHEST] = numbers[at + FIRST] = sequenceNumber;
    if (isWhole && sequenceNumber <= WINDOW_DATAGRAMS) {
      numbers[at + FIRST] = Math.min(1, sequenceNumber);
      // What of the losses was before the first sample that came, as far as is known.
      numbers[at + POOL_BASE] = numbers[at + SEND_LOST_BEFORE] = 0;
    }
    this.#set(sequenceNumber);
    numbers[at + RECEIVED] = 1;
    numbers[at + UPTIME_MS] = uptimeMs;
    numbers[at + SEEN_MS] = nowMs;
  }

  clear(): void {
    const numbers = this.#numbers, at = this.#at;
    numbers.fill(0, at, at + DROPS_BEFORE + 1);
    numbers[at + HIGHEST] = -Infinity;
    numbers[at + POOL_BASE] = numbers[at + SEND_LOST_BEFORE] = -1;
    this.#words.fill(0, this.#bits, this.#bits + WINDOW_WORDS);
    this.unreconciled = 0;
    this.#losses = NO_LOSSES;
  }

  /** Takes in a number as one of this incarnation's. */
  take(sequenceNumber: number, uptimeMs: number, nowMs: number): "new" | "reordered" | "duplicate" | "stale" {
    const numbers = this.#numbers, at = this.#at, highest = this.#highest;
    const ahead = (sequenceNumber - highest) >>> 0;
    if (ahead !== 0 && ahead < HALF_RANGE) {
      this.#advance(highest + ahead);
      numbers[at + UPTIME_MS] = uptimeMs;
      numbers[at + SEEN_MS] = nowMs;
      numbers[at + RECEIVED]!++;
      return "new";
    }
    const behind = (highest - sequenceNumber) >>> 0;
    const number = highest - behind;
    if (behind >= WINDOW_DATAGRAMS) return "stale";
    if (this.#has(number)) {
      numbers[at + DUPLICATED]!++;
      return "duplicate";
    }
    this.#set(number);
    numbers[at + FIRST] = Math.min(this.#first, number);
    numbers[at + RECEIVED]!++;
    numbers[at + REORDERED]!++;
    return "reordered";
  }

  /** Whether a number is one of those that are due. */
  isNext(sequenceNumber: number): boolean {
    const ahead = (sequenceNumber - this.#highest) | 0;
    return ahead > 0 && ahead <= WINDOW_DATAGRAMS;
  }

  isAhead(sequenceNumber: number): boolean {
    return ((sequenceNumber - this.#highest) | 0) > 0;
  }

  /** Whether a number is nearer to the first ones than to where this incarnation is. */
  isReset(sequenceNumber: number): boolean {
    return sequenceNumber <= (this.#highest - sequenceNumber) >>> 0;
  }

  takeSample(samplePool: number, records: number, drops: number): void {
    const numbers = this.#numbers, at = this.#at;
    // Of what an agent dropped before this collector heard of it the one before has told, if there was one.
    if (numbers[at + POOL_BASE]! < 0 && numbers[at + FIRST]! > 1) numbers[at + DROPS_BEFORE] = drops;
    if (numbers[at + POOL_BASE]! < 0) numbers[at + POOL_BASE] = numbers[at + POOL_HIGHEST] = samplePool - records;
    const ahead = (samplePool - numbers[at + POOL_HIGHEST]!) | 0;
    numbers[at + POOL_HIGHEST]! += Math.max(0, ahead);
    // A sample from before the first one that came: it moves the base, not the end.
    numbers[at + POOL_BASE] = Math.min(numbers[at + POOL_BASE]!, numbers[at + POOL_HIGHEST]! + Math.min(0, ahead) - records);
    numbers[at + RECORDS]! += records;
    const known = numbers[at + DROPS]!;
    numbers[at + DROPS] = numbers[at + HAS_DROPS] === 1 ? known + Math.max(0, (drops - known) | 0) : drops;
    numbers[at + HAS_DROPS] = 1;
  }

  takeLosses(losses: AgentLosses): void {
    const numbers = this.#numbers, at = this.#at;
    if (numbers[at + SEND_LOST_BEFORE]! < 0) numbers[at + SEND_LOST_BEFORE] = losses.send_lost_records;
    this.#losses = combine(this.#losses, losses, Math.max); // an older record may come later
  }

  addTo(total: StreamCounts): void {
    if (!this.isBegun) return;
    total.received += this.received;
    total.lost += this.#highest - this.#first + 1 - this.received;
    total.duplicated += this.#numbers[this.#at + DUPLICATED]!;
    total.reordered += this.#numbers[this.#at + REORDERED]!;
    total.missingRecords += this.#missingRecords();
    total.agentDrops += this.#numbers[this.#at + DROPS]!;
    total.agentDropsBefore += this.#numbers[this.#at + DROPS_BEFORE]!;
    if (this.#losses !== NO_LOSSES) total.agentLosses = combine(total.agentLosses, this.#losses, add);
    total.agentUnreconciled += this.unreconciled;
  }

  /** What the agent could not send is missing too, but told as a loss of its own. */
  #missingRecords(): number {
    const numbers = this.#numbers, at = this.#at, base = numbers[at + POOL_BASE]!;
    const gap = base < 0 ? 0 : numbers[at + POOL_HIGHEST]! - base - numbers[at + RECORDS]!;
    return gap - (this.#losses.send_lost_records - Math.max(0, numbers[at + SEND_LOST_BEFORE]!));
  }

  #advance(to: number): void {
    const highest = this.#highest;
    if (to - highest >= WINDOW_DATAGRAMS) this.#words.fill(0, this.#bits, this.#bits + WINDOW_WORDS);
    else for (let number = highest + 1; number < to; number++) this.#clear(number);
    this.#numbers[this.#at + HIGHEST] = to;
    this.#set(to);
  }

  #has(number: number): boolean {
    return (this.#words[this.#bits + wordOf(number)]! & bitOf(number)) !== 0;
  }

  #set(number: number): void {
    this.#words[this.#bits + wordOf(number)]! |= bitOf(number);
  }

  #clear(number: number): void {
    this.#words[this.#bits + wordOf(number)]! &= ~bitOf(number);
  }
}

function wordOf(number: number): number {
  return (number & (WINDOW_DATAGRAMS - 1)) >>> 5;
}

function bitOf(number: number): number {
  return 1 << (number & 31);
}
