/** Bytes that grow, with the variable-length integers of Thrift and Parquet. */

const FIRST_BYTES = 1_024;

export class Bytes {
  #data = new Uint8Array(FIRST_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#data[this.#length++] = value;
  }

  /** Least significant byte first. */
  uint32(value: number): void {
    this.#reserve(4);
    for (let shift = 0; shift < 32; shift += 8) this.#data[this.#length++] = value >>> shift;
  }

  /** Least significant 7 bits first (ULEB128), of a whole number from 0 to 2^53. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#data[this.#length++] = rest % 128 + 128;
      rest = Math.floor(rest / 128);
    }
    this.#data[this.#length++] = rest;
  }

  /** Small numbers of either sign as small ones without, of a whole number from -2^52 to 2^52. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  add(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#data.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A copy of all. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#data.slice(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#data.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#data.length, this.#length + more));
    grown.set(this.#data.subarray(0, this.#length));
    this.#data = grown;
  }
}
