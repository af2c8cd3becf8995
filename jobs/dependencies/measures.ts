/** What is measured of a view or an edge, as places of one run of numbers. */

import type { FlowBatch } from "../../lib/flow_batch.ts";
import { resized } from "./key_table.ts";

/** Amounts that add up, by their name in `flow` and in `edge_1m`. */
export const AMOUNTS = [
  "connections_opened",
  "connections_closed",
  "bytes_sent",
  "bytes_received",
  "segments_sent",
  "segments_received",
  "retransmits",
  "connections_reset",
  "connections_timed_out",
  "connections_failed_refused",
  "connections_failed_timeout",
  "connections_failed_unreachable",
  "connections_failed_other",
  "srtt_us_sum",
  "srtt_samples",
  "connect_us_sum",
  "connect_samples",
] as const;

const place = (name: typeof AMOUNTS[number]) => AMOUNTS.indexOf(name);

export const CONNECTIONS_OPENED = place("connections_opened"),
  BYTES_SENT = place("bytes_sent"),
  BYTES_RECEIVED = place("bytes_received"),
  RETRANSMITS = place("retransmits"),
  SRTT_SUM = place("srtt_us_sum"),
  SRTT_SAMPLES = place("srtt_samples");
/** Of the amounts before this place the greater of two ends' views counts. */
export const GREATER_END = RETRANSMITS;
export const FLOW_ROWS = AMOUNTS.length;
/** Places from 0 to before this add up. */
export const SUM_END = FLOW_ROWS + 1;
/** Infinity, and -1 for the greatest, where there is none. */
export const SRTT_MIN = SUM_END, SRTT_MAX = SUM_END + 1, CONNECT_MAX = SUM_END + 2;
export const MEASURES = SUM_END + 3;

/** The greatest amount; a greater one is taken for it, so that all are exact. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

/** Runs of measures, one after the other. */
export class Measures {
  values = new Float64Array(0);

  /** Makes the run if there is none yet. */
  reset(run: number): void {
    const at = run * MEASURES;
    if (at >= this.values.length) this.values = resized(this.values, Math.max(64 * MEASURES, this.values.length * 2));
    this.values.fill(0, at, at + MEASURES);
    this.values[at + SRTT_MIN] = Infinity;
    this.values[at + SRTT_MAX] = this.values[at + CONNECT_MAX] = -1;
  }

  /** Adds another's run. */
  add(run: number, others: Measures, other: number): void {
    const to = this.values, from = others.values, at = run * MEASURES, other_at = other * MEASURES;
    for (let i = 0; i < SUM_END; i++) to[at + i]! += from[other_at + i]!;
    to[at + SRTT_MIN] = Math.min(to[at + SRTT_MIN]!, from[other_at + SRTT_MIN]!);
    to[at + SRTT_MAX] = Math.max(to[at + SRTT_MAX]!, from[other_at + SRTT_MAX]!);
    to[at + CONNECT_MAX] = Math.max(to[at + CONNECT_MAX]!, from[other_at + CONNECT_MAX]!);
  }
}

/** Columns of a message, as words: the lower half of an amount, then the upper. */
export interface MeasureColumns {
  /** Places and words of the amounts that are not all 0. */
  readonly places: readonly number[];
  readonly words: readonly Int32Array[];
  readonly smallest: Nullable;
  readonly greatest: Nullable;
  readonly slowest: Nullable;
}

interface Nullable {
  readonly values: Int32Array;
  readonly valid?: Uint8Array;
}

export function measureColumns({ columns }: FlowBatch): MeasureColumns {
  const places: number[] = [], words: Int32Array[] = [];
  for (const [i, name] of AMOUNTS.entries()) {
    const { values } = columns[name];
    const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    let any = 0;
    for (let j = 0; j < halves.length; j++) any |= halves[j]!;
    if (any === 0) continue;
    places.push(i);
    words.push(halves);
  }
  return { places, words, smallest: columns.srtt_us_min, greatest: columns.srtt_us_max, slowest: columns.connect_us_max };
}

/** Value of a row, or null. */
export function nullableAt({ values, valid }: Nullable, row: number): number | null {
  return valid !== undefined && valid[row] === 0 ? null : values[row]!;
}
