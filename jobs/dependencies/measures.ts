/** What is measured of a view or an edge, as places of one run of numbers. */

import type { FlowBatch, IntegerColumn } from "../../lib/flow_batch.ts";
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
  "connect_us_sum",
  "connect_samples",
  "connections_reset",
  "connections_timed_out",
  "connections_failed_refused",
  "connections_failed_timeout",
  "connections_failed_unreachable",
  "connections_failed_other",
  "srtt_us_sum",
  "srtt_samples",
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
  SRTT_SUM = placeOf("srtt_us_sum"),
  SRTT_SAMPLES = placeOf("srtt_samples");
/** From the first to before the second: amounts of which the greater of two ends' views counts. */
export const GREATER_FIRST = CONNECTIONS_OPENED, GREATER_END = RETRANSMITS;

/** The greatest amount; a greater one is taken for it, so that all are exact. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

/** Amounts that are added up by column; the times are with the smallest and greatest of them. */
const PLAIN_AMOUNTS = AMOUNTS.filter((name) => name !== "srtt_us_sum" && name !== "srtt_samples");

/** Runs of measures, one after the other. */
export class Measures {
  values: Float64Array;

  /** @param expected How many runs there may be; more are taken too. */
  constructor(expected: number) {
    this.values = new Float64Array(expected * MEASURES);
  }

  /** Makes a run that was not there before. */
  begin(run: number): void {
    const at = run * MEASURES;
    if (at >= this.values.length) this.values = resized(this.values, this.values.length * 2);
    const { values } = this;
    values[at + SRTT_MIN] = Infinity;
    values[at + SRTT_MAX] = values[at + CONNECT_MAX] = -1;
    for (let i = at + SUMS; i < at + MEASURES; i++) values[i] = 0;
  }

  /** Adds another's run. */
  add(run: number, others: Measures, other: number): void {
    const to = this.values, from = others.values, at = run * MEASURES, otherAt = other * MEASURES;
    to[at + SRTT_MIN] = Math.min(to[at + SRTT_MIN]!, from[otherAt + SRTT_MIN]!);
    to[at + SRTT_MAX] = Math.max(to[at + SRTT_MAX]!, from[otherAt + SRTT_MAX]!);
    to[at + CONNECT_MAX] = Math.max(to[at + CONNECT_MAX]!, from[otherAt + CONNECT_MAX]!);
    for (let i = SUMS; i < MEASURES; i++) to[at + i]! += from[otherAt + i]!;
  }

  /**
   * Adds rows of a message, all but their round-trip times, column by column.
   *
   * @param starts By row of `rows`, the place of the run that it is of.
   */
  addRows({ places, words }: MeasureColumns, rows: Int32Array, starts: Int32Array): void {
    for (let i = 0; i < places.length; i++) addColumn(this.values, places[i]!, words[i]!, rows, starts);
  }
}

function addColumn(values: Float64Array, place: number, words: Int32Array, rows: Int32Array, starts: Int32Array): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!, low = words[2 * row]!, high = words[2 * row + 1]!;
    if ((low | high) !== 0) values[starts[i]! + place]! += numberOf(low, high);
  }
}

/** Columns of a message, as words: the lower half of an amount, then the upper. */
export interface MeasureColumns {
  /** Places and words of the amounts that are not all 0. */
  readonly places: readonly number[];
  readonly words: readonly Int32Array[];
  readonly srttSums: Int32Array;
  readonly srttSamples: Int32Array;
  readonly smallest: IntegerColumn;
  readonly greatest: IntegerColumn;
  readonly slowest: IntegerColumn;
}

export function measureColumns({ columns }: FlowBatch): MeasureColumns {
  const places: number[] = [], words: Int32Array[] = [];
  for (const name of PLAIN_AMOUNTS) {
    const halves = halvesOf(columns[name].values);
    if (isZero(halves)) continue;
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

function isZero(words: Int32Array): boolean {
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/** Of 64 bits each: the lower half, then the upper. */
export function halvesOf(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** Value of a row, or null. */
export function nullableAt({ values, valid }: IntegerColumn, row: number): number | null {
  return valid !== undefined && valid[row] === 0 ? null : values[row]!;
}

/** Of the halves of 64 bits, without a bigint. */
export function numberOf(low: number, high: number): number {
  return high * 2 ** 32 + (low >>> 0);
}
