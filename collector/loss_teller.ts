/** What is known to be lost of agents' datagrams, told as it becomes known: each message of rows carries what was found since the one before. */

import type { AgentLoss } from "../lib/agent_loss.ts";
import { isLane } from "../lib/lanes.ts";
import type { StreamCounts } from "./stream_counts.ts";
import type { StreamTable } from "./streams.ts";

/** How often it is looked for. */
const LOOK_MS = 10_000;
/** Agents that are named each time: those that lost most. */
const NAMED_MAX = 128;
/** What is told of each stream. */
const AMOUNTS = 3;

type Amounts = [datagramsLost: number, recordsMissing: number, eventsDropped: number];

/** An agent, or one of the streams of another sFlow agent. */
interface Loser {
  /** A stream of it. */
  readonly index: number;
  readonly amounts: Amounts;
}

/**
 * Tells of each stream what has become more, or less, since it was told. What is found missing is told when it is still missing the
 * next time, as datagrams overtake each other; what comes even later is told as less than none.
 */
export class LossTeller {
  readonly #streams: StreamTable;
  readonly #told: Float64Array;
  readonly #seen: Float64Array;
  readonly #evictions: Uint32Array;
  /** Of streams that another took the place of, and what was told of them. */
  readonly #evictedTold: Amounts = [0, 0, 0];
  /** When it was looked last, and the time before. */
  #lookedMs: number;
  #lookedBeforeMs: number;

  constructor(streams: StreamTable, nowMs: number) {
    this.#streams = streams;
    this.#told = new Float64Array(AMOUNTS * streams.streamsMax);
    this.#seen = new Float64Array(AMOUNTS * streams.streamsMax);
    this.#evictions = new Uint32Array(streams.streamsMax);
    this.#lookedMs = this.#lookedBeforeMs = nowMs;
  }

  /**
   * What is to be told now, as good as always nothing.
   *
   * @param isLast Whether this is the last chance: then nothing waits.
   */
  take(nowMs: number, isLast = false): AgentLoss[] {
    if (nowMs - this.#lookedMs < LOOK_MS && !isLast) return [];
    const losers = new Map<string | number, Loser>();
    for (let index = 0; index < this.#streams.streamCount; index++) this.#look(index, isLast, losers);
    const rest: Amounts = this.#takeEvicted();
    const times = { loss_start: this.#lookedBeforeMs * 1_000, loss_end: nowMs * 1_000 };
    [this.#lookedBeforeMs, this.#lookedMs] = [this.#lookedMs, nowMs];
    const found = [...losers.values()].filter(({ amounts }) => isAny(amounts)).sort((a, b) => weight(b.amounts) - weight(a.amounts));
    const losses = found.slice(0, NAMED_MAX).map(({ index, amounts }) => {
      const subAgent = this.#streams.subAgentOf(index);
      const agent = { agent_address: this.#streams.addressOf(index), sub_agent_id: isLane(subAgent) ? null : subAgent };
      return { ...times, ...agent, agent_count: 1, ...amountsOf(amounts) };
    });
    for (const { amounts } of found.slice(NAMED_MAX)) addTo(rest, amounts);
    if (!isAny(rest)) return losses;
    const others = { agent_address: null, sub_agent_id: null, agent_count: Math.max(0, found.length - NAMED_MAX) };
    return [...losses, { ...times, ...others, ...amountsOf(rest) }];
  }

  #look(index: number, isLast: boolean, losers: Map<string | number, Loser>): void {
    const at = AMOUNTS * index, told = this.#told, seen = this.#seen;
    if (this.#evictions[index] !== this.#streams.evictions(index)) {
      for (let i = 0; i < AMOUNTS; i++) this.#evictedTold[i]! += told[at + i]!;
      told.fill(0, at, at + AMOUNTS);
      seen.fill(0, at, at + AMOUNTS);
      this.#evictions[index] = this.#streams.evictions(index);
    }
    const counts = countsOf(this.#streams.countsOf(index)), amounts: Amounts = [0, 0, 0];
    for (let i = 0; i < AMOUNTS; i++) {
      const tell = isLast ? counts[i]! : Math.min(counts[i]!, Math.max(seen[at + i]!, told[at + i]!));
      amounts[i] = tell - told[at + i]!;
      told[at + i] = tell;
      seen[at + i] = counts[i]!;
    }
    if (!isAny(amounts)) return;
    const key = isLane(this.#streams.subAgentOf(index)) ? this.#streams.addressOf(index) : index;
    const loser = losers.get(key);
    if (loser === undefined) losers.set(key, { index, amounts });
    else addTo(loser.amounts, amounts);
  }

  /** What was never told of streams that are no more. */
  #takeEvicted(): Amounts {
    const counts = countsOf(this.#streams.evictedCounts), amounts: Amounts = [0, 0, 0];
    for (let i = 0; i < AMOUNTS; i++) {
      amounts[i] = counts[i]! - this.#evictedTold[i]!;
      this.#evictedTold[i] = counts[i]!;
    }
    return amounts;
  }
}

function countsOf(counts: StreamCounts): Amounts {
  return [counts.lost, counts.missingRecords, counts.agentDrops - counts.agentDropsBefore];
}

function amountsOf([datagrams_lost, flow_records_missing, agent_dropped_events]: Amounts) {
  return { datagrams_lost, flow_records_missing, agent_dropped_events };
}

function addTo(sum: Amounts, amounts: Amounts): void {
  for (let i = 0; i < AMOUNTS; i++) sum[i]! += amounts[i]!;
}

function isAny(amounts: Amounts): boolean {
  return amounts.some((amount) => amount !== 0);
}

function weight([datagrams, records, events]: Amounts): number {
  return Math.abs(datagrams) + Math.abs(records) + Math.abs(events);
}
