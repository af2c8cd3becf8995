/** What one incarnation of an agent sent, from its start to its end: which numbers came, and which records. */

import { type AgentLosses, NO_LOSSES } from "../lib/sflow/agent_losses.ts";
import { add, combine, type StreamCounts } from "./stream_counts.ts";

/** Datagrams behind the newest that can still be told apart from duplicates. */
export const WINDOW_DATAGRAMS = 1_024;
const WINDOW_WORDS = WINDOW_DATAGRAMS / 32;
const HALF_RANGE = 0x8000_0000;

export class Incarnation {
  /** Sequence numbers seen, by number modulo the window. */
  readonly #seen = new Uint32Array(WINDOW_WORDS);
  /** Numbers are counted on beyond 2^32, and may be negative: before a first one of 0 that was reordered across the wrap. */
  #highest = -Infinity;
  #first = 0;
  #duplicated = 0;
  #reordered = 0;
  #poolBase = -1;
  #poolHighest = 0;
  #records = 0;
  #drops = 0;
  #hasDrops = false;
  #losses = NO_LOSSES;
  /** What of the losses was before the first sample that came, as far as is known. */
  #sendLostBefore = -1;
  received = 0;
  unreconciled = 0;
  /** Uptime of the newest datagram, and when it came. */
  uptimeMs = 0;
  seenMs = 0;
  /** Uptime when the next incarnation was seen to begin. */
  uptimeAtEndMs = 0;

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
    this.clear();
    this.#highest = this.#first = sequenceNumber;
    if (isWhole && sequenceNumber <= WINDOW_DATAGRAMS) {
      this.#first = Math.min(1, sequenceNumber);
      this.#poolBase = this.#sendLostBefore = 0;
    }
    this.#set(sequenceNumber);
    this.received = 1;
    this.uptimeMs = uptimeMs;
    this.seenMs = nowMs;
  }

  clear(): void {
    this.#seen.fill(0);
    this.#highest = -Infinity;
    this.#first =
      this.received =
      this.#duplicated =
      this.#reordered =
        0;
    this.#poolBase = this.#sendLostBefore = -1;
    this.#poolHighest =
      this.#records =
      this.#drops =
      this.unreconciled =
        0;
    this.#hasDrops = false;
    this.#losses = NO_LOSSES;
  }

  /** Takes in a number as one of this incarnation's. */
  take(sequenceNumber: number, uptimeMs: number, nowMs: number): "new" | "reordered" | "duplicate" | "stale" {
    const ahead = (sequenceNumber - this.#highest) >>> 0;
    if (ahead !== 0 && ahead < HALF_RANGE) {
      this.#advance(this.#highest + ahead);
      this.uptimeMs = uptimeMs;
      this.seenMs = nowMs;
      this.received++;
      return "new";
    }
    const behind = (this.#highest - sequenceNumber) >>> 0;
    const number = this.#highest - behind;
    if (behind >= WINDOW_DATAGRAMS) return "stale";
    if (this.#has(number)) {
      this.#duplicated++;
      return "duplicate";
    }
    this.#set(number);
    this.#first = Math.min(this.#first, number);
    this.received++;
    this.#reordered++;
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
    if (this.#poolBase < 0) this.#poolBase = this.#poolHighest = samplePool - records;
    const ahead = (samplePool - this.#poolHighest) | 0;
    this.#poolHighest += Math.max(0, ahead);
    // A sample from before the first one that came: it moves the base, not the end.
    this.#poolBase = Math.min(this.#poolBase, this.#poolHighest + Math.min(0, ahead) - records);
    this.#records += records;
    this.#drops = this.#hasDrops ? this.#drops + Math.max(0, (drops - this.#drops) | 0) : drops;
    this.#hasDrops = true;
  }

  takeLosses(losses: AgentLosses): void {
    if (this.#sendLostBefore < 0) this.#sendLostBefore = losses.send_lost_records;
    this.#losses = combine(this.#losses, losses, Math.max); // an older record may come later
  }

  addTo(total: StreamCounts): void {
    if (!this.isBegun) return;
    total.received += this.received;
    total.lost += this.#highest - this.#first + 1 - this.received;
    total.duplicated += this.#duplicated;
    total.reordered += this.#reordered;
    total.missingRecords += this.#missingRecords();
    total.agentDrops += this.#drops;
    if (this.#losses !== NO_LOSSES) total.agentLosses = combine(total.agentLosses, this.#losses, add);
    total.agentUnreconciled += this.unreconciled;
  }

  /** What the agent could not send is missing too, but told as a loss of its own. */
  #missingRecords(): number {
    const gap = this.#poolBase < 0 ? 0 : this.#poolHighest - this.#poolBase - this.#records;
    return gap - (this.#losses.send_lost_records - Math.max(0, this.#sendLostBefore));
  }

  #advance(to: number): void {
    if (to - this.#highest >= WINDOW_DATAGRAMS) this.#seen.fill(0);
    else for (let number = this.#highest + 1; number < to; number++) this.#clear(number);
    this.#highest = to;
    this.#set(to);
  }

  #has(number: number): boolean {
    return (this.#seen[wordOf(number)]! & bitOf(number)) !== 0;
  }

  #set(number: number): void {
    this.#seen[wordOf(number)]! |= bitOf(number);
  }

  #clear(number: number): void {
    this.#seen[wordOf(number)]! &= ~bitOf(number);
  }
}

function wordOf(number: number): number {
  return (number & (WINDOW_DATAGRAMS - 1)) >>> 5;
}

function bitOf(number: number): number {
  return 1 << (number & 31);
}
