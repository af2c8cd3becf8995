/**
 * What is known of streams, side by side in memory that is fixed from the start: a datagram of one agent in thousands then
 * waits for a few cache lines, where objects with a number each in a place of its own would be a dozen.
 */

/** Numbers of a stream itself, and of each of its two incarnations; then the bits of those. */
const STREAM_NUMBERS = 8, INCARNATION_NUMBERS = 16, BITS_NUMBERS = 16;
const INCARNATIONS = 2;
const STRIDE = STREAM_NUMBERS + INCARNATIONS * (INCARNATION_NUMBERS + BITS_NUMBERS);

export class StreamMemory {
  readonly numbers: Float64Array<ArrayBuffer>;
  /** The same memory, for bits. */
  readonly words: Uint32Array<ArrayBuffer>;
  #taken = 0;

  constructor(streamsMax: number) {
    this.numbers = new Float64Array(streamsMax * STRIDE);
    this.words = new Uint32Array(this.numbers.buffer);
  }

  /** Where the numbers of another stream begin. */
  take(): number {
    return STRIDE * this.#taken++;
  }
}

/** Where the numbers of a stream's incarnation begin, 0 or 1. */
export function incarnationAt(stream: number, which: 0 | 1): number {
  return stream + STREAM_NUMBERS + which * (INCARNATION_NUMBERS + BITS_NUMBERS);
}

/** Word where an incarnation's bits begin, 1,024 of them. */
export function bitsAt(incarnation: number): number {
  return 2 * (incarnation + INCARNATION_NUMBERS);
}
