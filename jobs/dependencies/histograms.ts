/** Log2 histograms of round-trip times, each a list of the few buckets that it has. */

import { HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import { resized } from "./key_table.ts";

const FIRST_CELLS = 64;
/** A cell: number of the next one and 1, its bucket, and how many are in it. */
const CELL = 3, NEXT = 0, BUCKET = 1, COUNT = 2;

/** Bucket of a number of microseconds, not negative. */
export function bucketOf(us: number): number {
  if (us < 2) return 0;
  return us < 2 ** 32 ? 31 - Math.clz32(us) : HISTOGRAM_BUCKETS - 1;
}

export class Histograms {
  /** Number of the first cell and 1, by histogram. */
  #first = new Int32Array(FIRST_CELLS);
  #cells = new Float64Array(FIRST_CELLS * CELL);
  #count = 0;

  /** Counts times of a bucket; a histogram that was not there is empty before. */
  add(histogram: number, bucket: number, count: number): void {
    if (histogram >= this.#first.length) this.#first = resized(this.#first, Math.max(histogram + 1, this.#first.length * 2));
    const first = this.#first[histogram]!;
    for (let cell = first; cell !== 0; cell = this.#cells[(cell - 1) * CELL + NEXT]!) {
      const at = (cell - 1) * CELL;
      if (this.#cells[at + BUCKET] !== bucket) continue;
      this.#cells[at + COUNT]! += count;
      return;
    }
    const at = this.#count++ * CELL;
    if (at === this.#cells.length) this.#cells = resized(this.#cells, at * 2);
    this.#cells[at + NEXT] = first;
    this.#cells[at + BUCKET] = bucket;
    this.#cells[at + COUNT] = count;
    this.#first[histogram] = this.#count;
  }

  /**
   * Counts the samples of a flow row: the smallest and the greatest stand for themselves, the others for the mean of the rest.
   *
   * @param min Null where it is not known; then the mean stands for it. So with `max`.
   */
  addSamples(histogram: number, sum: number, samples: number, min: number | null, max: number | null): void {
    if (samples < 1) return;
    if (samples === 1) return this.add(histogram, bucketOf(Math.max(0, sum)), 1);
    const mean = Math.floor(sum / samples), low = min ?? mean, high = max ?? mean;
    this.add(histogram, bucketOf(Math.max(0, low)), 1);
    this.add(histogram, bucketOf(Math.max(0, high)), 1);
    if (samples > 2) this.add(histogram, bucketOf(Math.floor(Math.max(0, sum - low - high) / (samples - 2))), samples - 2);
  }

  /** Adds another's histogram, times a factor. */
  addAll(histogram: number, others: Histograms, other: number, factor: number): void {
    others.each(other, (bucket, count) => this.add(histogram, bucket, factor * count));
  }

  each(histogram: number, take: (bucket: number, count: number) => void): void {
    for (let cell = this.#first[histogram] ?? 0; cell !== 0; cell = this.#cells[(cell - 1) * CELL + NEXT]!) {
      take(this.#cells[(cell - 1) * CELL + BUCKET]!, this.#cells[(cell - 1) * CELL + COUNT]!);
    }
  }

  /** Forgets all, but keeps the room. */
  clear(): void {
    this.#first.fill(0);
    this.#count = 0;
  }

  /** Takes greater counts for the greatest. */
  limit(most: number): void {
    for (let at = COUNT; at < this.#count * CELL; at += CELL) if (this.#cells[at]! > most) this.#cells[at] = most;
  }
}
