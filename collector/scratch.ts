/** Arrays that are made anew for each message, in memory that is not: as much as a message is given back at once. */

const BYTES_START = 2 * 1024 * 1024;
const ALIGNMENT = 8;

/** What it gave is void after `reset()`. */
export class Scratch {
  #buffer = new ArrayBuffer(BYTES_START);
  #used = 0;

  reset(): void {
    if (this.#used > this.#buffer.byteLength) this.#buffer = new ArrayBuffer(2 * this.#used);
    this.#used = 0;
  }

  /** Zeros, as all of these are. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#take(length);
    return at < 0 ? new Uint8Array(length) : new Uint8Array(this.#buffer, at, length).fill(0);
  }

  int32s(length: number): Int32Array<ArrayBuffer> {
    const at = this.#take(4 * length);
    return at < 0 ? new Int32Array(length) : new Int32Array(this.#buffer, at, length).fill(0);
  }

  float64s(length: number): Float64Array<ArrayBuffer> {
    const at = this.#take(8 * length);
    return at < 0 ? new Float64Array(length) : new Float64Array(this.#buffer, at, length).fill(0);
  }

  /** For 64-bit integers, which are two words each. */
  words(bigints: number): Uint32Array<ArrayBuffer> {
    const at = this.#take(8 * bigints);
    return at < 0 ? new Uint32Array(2 * bigints) : new Uint32Array(this.#buffer, at, 2 * bigints).fill(0);
  }

  /** Where there is room for as much, or -1; then the next round has it. */
  #take(bytes: number): number {
    const at = this.#used;
    this.#used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return this.#used > this.#buffer.byteLength ? -1 : at;
  }
}
