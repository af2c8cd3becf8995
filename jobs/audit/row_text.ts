/** The canonical text of a row (row_checksum.ts) in UTF-8, written byte by byte: a string of each value would cost four times as much. */

const DIGIT_0 = 0x30, DIGIT_A = 0x41, MINUS = 0x2d, COMMA = 0x2c;
const WORD = 4_294_967_296, BILLION = 1_000_000_000;
/** Bytes of a number of 64 bits with its sign, or of a hexadecimal address; texts bring their own. */
const VALUE_BYTES_MAX = 32;
/** So many bytes are copied quicker at once than one by one. */
const COPIED_BYTES_MIN = 64;

export class RowText {
  #bytes = new Uint8Array(4_096);
  #at = 0;

  clear(): void {
    this.#at = 0;
  }

  /** What was written since it was cleared, until more is. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  comma(): void {
    this.byte(COMMA);
  }

  text(utf8: Uint8Array, from = 0, to = utf8.length): void {
    this.#reserve(to - from);
    if (to - from > COPIED_BYTES_MIN) this.#bytes.set(utf8.subarray(from, to), this.#at);
    else for (let i = from; i < to; i++) this.#bytes[this.#at + i - from] = utf8[i]!;
    this.#at += to - from;
  }

  hex(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve(2 * (to - from));
    for (let i = from; i < to; i++) {
      this.#bytes[this.#at++] = hexDigit(bytes[i]! >> 4);
      this.#bytes[this.#at++] = hexDigit(bytes[i]! & 15);
    }
  }

  /** @param value Of 32 bits. */
  int32(value: number): void {
    this.#reserve(VALUE_BYTES_MAX);
    if (value < 0) this.#bytes[this.#at++] = MINUS;
    this.#whole(Math.abs(value));
  }

  /** @param halves Of 64 bits, the lower word first, as signed numbers. */
  int64(halves: Int32Array, at: number): void {
    const high = halves[at + 1]!, low = halves[at]! >>> 0;
    this.#reserve(VALUE_BYTES_MAX);
    if (high >= 0 && high < 0x20_0000) return this.#whole(high * WORD + low);
    const text = String((BigInt(high) << 32n) + BigInt(low));
    for (let i = 0; i < text.length; i++) this.#bytes[this.#at++] = text.charCodeAt(i);
  }

  /** @param value A whole number of 0 to 2^53. */
  #whole(value: number): void {
    if (value < BILLION) return this.#digits(value, digitCount(value));
    const upper = Math.floor(value / BILLION);
    this.#whole(upper);
    this.#digits(value - upper * BILLION, 9);
  }

  #digits(value: number, count: number): void {
    let left = value | 0;
    for (let at = this.#at + count - 1; at >= this.#at; at--) {
      const tenth = (left / 10) | 0;
      this.#bytes[at] = DIGIT_0 + left - 10 * tenth;
      left = tenth;
    }
    this.#at += count;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

function digitCount(value: number): number {
  let count = 1;
  for (let above = 10; value >= above; above *= 10) count++;
  return count;
}

function hexDigit(value: number): number {
  return value < 10 ? DIGIT_0 + value : DIGIT_A + value - 10;
}
