/** What is measured of a view or an edge, as places of one run of numbers. */

import type { FlowBatch } from "../../lib/flow_batch.ts";
import { resized } from "./key_table.ts";

/** Amounts that add up, by their name in `flow` and in `edge_1m`; those that most rows have first, so that they lie together. */
export const AMOUNTS = [
  "connections_opened",
  "connections_closed",
  "bytes_sent",
  "bytes_received",
  "segments_sent",
  "segments_received",
  "retransmits",
  "srtt_us_sum",
  "srtt_samples",
  "connect_us_sum",
  "connect_samples",
  "connections_reset",
  "connections_timed_out",
  "connections_failed_refused",
  "connections_failed_timeout",
  "connections_failed_unreachable",
  "connections_failed_other",
] as const;

/** Infinity, and -1 for the greatest, where there is none. */
export const SRTT_MIN = 0, SRTT_MAX = 1, CONNECT_MAX = 2;
export const FLOW_ROWS = 3;
/** Amounts follow in the order of `AMOUNTS`. */
export const FIRST_AMOUNT = FLOW_ROWS + 1;
/** Places from this one on add up. */
export const SUMS = FLOW_ROWS;
export const MEASURES = FIRST_AMOUNT + AMOUNTS.length;

function placeOf(name: typeof AMOUNTS[number]): number {
  return FIRST_AMOUNT + AMOUNTS.indexOf(name);
}

export const CONNECTIONS_OPENED = placeOf("connections_opened"),
  BYTES_SENT = placeOf("bytes_sent"),
  BYTES_RECEIVED = placeOf("bytes_received"),
  RETRANSMITS = placeOf("retransmits"),
  SRTT_SAMPLES = placeOf("srtt_samples");
/** From the first to before the second: amounts of which the greater of two ends' views counts. */
export const GREATER_FIRST = CONNECTIONS_OPENED, GREATER_END = RETRANSMITS;

/** The greatest amount; a greater one is taken for it, so that all are exact. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

/** Runs of measures, one after the other. */
export class Measures {
  values: Float64Array;

  /** @param expected How many runs there may be; more are taken too. */
  constructor(expected = 64) {
    this.values = new Float64Array(expected * MEASURES);
  }

  /** Makes a run that was not there before. */
  begin(run: number): void {
    const at = run * MEASURES;
    if (at >= this.values.length) this.values = resized(this.values, this.values.length * 2);
    this.values[at + SRTT_MIN] = Infinity;
    this.values[at + SRTT_MAX] = this.values[at + CONNECT_MAX] = -1;
  }

  /** Adds another's run. */
  add(run: number, others: Measures, other: number): void {
    const to = this.values, from = others.values, at = run * MEASURES, otherAt = other * MEASURES;
    to[at + SRTT_MIN] = Math.min(to[at + SRTT_MIN]!, from[otherAt + SRTT_MIN]!);
    to[at + SRTT_MAX] = Math.max(to[at + SRTT_MAX]!, from[otherAt + SRTT_MAX]!);
    to[at + CONNECT_MAX] = Math.max(to[at + CONNECT_MAX]!, from[otherAt + CONNECT_MAX]!);
    for (let i = SUMS; i < MEASURES; i++) to[at + i]! += from[otherAt + i]!;
  }
}

/** Columns of a message, as words: the lower half of an amount, then the upper. */
export interface MeasureColumns {
  /** Places and words of the amounts that are not all 0. */
  readonly places: readonly number[];
  readonly words: readonly Int32Array[];
  readonly srttSums: Int32Array;
  readonly srttSamples: Int32Array;
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
  for (const name of AMOUNTS) {
    const halves = halvesOf(columns[name].values);
    let any = 0;
    for (let j = 0; j < halves.length; j++) any |= halves[j]!;
    if (any === 0) continue;
    places.push(placeOf(name));
    words.push(halves);
  }
  return {
    places,
    words,
    srttSums: halvesOf(columns.srtt_us_sum.values),
    srttSamples: halvesOf(columns.srtt_samples.values),
    smallest: columns.srtt_us_min,
    greatest: columns.srtt_us_max,
    slowest: columns.connect_us_max,
  };
}

function halvesOf(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** Value of a row, or null. */
export function nullableAt({ values, valid }: Nullable, row: number): number | null {
  return valid !== undefined && valid[row] === 0 ? null : values[row]!;
}
