/** Log2 histograms of round-trip times, each a list of the few buckets that it has. */

import { HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import { resized } from "./key_table.ts";

const FIRST_CELLS = 64;

/** Bucket of a number of microseconds, not negative. */
export function bucketOf(us: number): number {
  if (us < 2) return 0;
  return us < 2 ** 32 ? 31 - Math.clz32(us) : HISTOGRAM_BUCKETS - 1;
}

export class Histograms {
  /** Number of the first cell and 1, by histogram. */
  #first = new Int32Array(FIRST_CELLS);
  #next = new Int32Array(FIRST_CELLS);
  #buckets = new Uint8Array(FIRST_CELLS);
  #counts = new Float64Array(FIRST_CELLS);
  #cells = 0;

  /** Counts times of a bucket; a histogram that was not there is empty before. */
  add(histogram: number, bucket: number, count: number): void {
    while (histogram >= this.#first.length) this.#first = resized(this.#first, this.#first.length * 2);
    for (let cell = this.#first[histogram]!; cell !== 0; cell = this.#next[cell - 1]!) {
      if (this.#buckets[cell - 1] !== bucket) continue;
      this.#counts[cell - 1]! += count;
      return;
    }
    if (this.#cells === this.#next.length) this.#grow();
    const cell = this.#cells++;
    this.#buckets[cell] = bucket;
    this.#counts[cell] = count;
    this.#next[cell] = this.#first[histogram]!;
    this.#first[histogram] = cell + 1;
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
    if (histogram >= this.#first.length) return;
    for (let cell = this.#first[histogram]!; cell !== 0; cell = this.#next[cell - 1]!) {
      take(this.#buckets[cell - 1]!, this.#counts[cell - 1]!);
    }
  }

  /** Takes greater counts for the greatest. */
  limit(most: number): void {
    for (let cell = 0; cell < this.#cells; cell++) if (this.#counts[cell]! > most) this.#counts[cell] = most;
  }

  #grow(): void {
    this.#next = resized(this.#next, this.#next.length * 2);
    this.#buckets = resized(this.#buckets, this.#buckets.length * 2);
    this.#counts = resized(this.#counts, this.#counts.length * 2);
  }
}
