/** Columns of the rows of a row group, which grow message by message and are then read without their nulls. */

import type { BigintColumn, IntegerColumn } from "../lib/column_data.ts";

const WORD = 2 ** 32;
/** Upper halves of numbers below 2^52, of which the differences are exact as doubles too. */
const EXACT_HIGH_WORD = 1 << 20;
/** Rows that a column has room for at first. */
export const FIRST_ROWS = 16;
const GROWTH = 4;

/** Rows of a message: how many, and which; null for all. */
export interface SomeRows {
  readonly count: number;
  readonly indexes: Int32Array | null;
}

/** Valid until the next column is read. */
export interface Nullable {
  readonly valueCount: number;
  /** By row; null where none is null. */
  readonly valid: Uint8Array | null;
}

/** Least and greatest number. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
}

export interface Integers extends Nullable {
  readonly values: Int32Array;
  /** Null where it is not known. */
  readonly range: NumberRange | null;
}

export interface Bigints extends Nullable {
  /** Null where some are negative or too great for a double: then they are in `words`, of 32 bits each. */
  readonly values: Int32Array | Float64Array | null;
  readonly words: Int32Array;
  /** Null where it is not known. */
  readonly range: NumberRange | null;
}

let integers = new Int32Array(1 << 17), words = new Int32Array(1 << 18), numbers = new Float64Array(1 << 17);
let validOut = new Uint8Array(1 << 17);

function reserve(rows: number): void {
  if (validOut.length >= rows) return;
  integers = new Int32Array(2 * rows);
  words = new Int32Array(4 * rows);
  numbers = new Float64Array(2 * rows);
  validOut = new Uint8Array(2 * rows);
}

/** As it is, or longer, with what it holds. */
export function withRoom(values: Int32Array<ArrayBuffer>, needed: number): Int32Array<ArrayBuffer> {
  if (needed <= values.length) return values;
  const more = new Int32Array(Math.max(GROWTH * values.length, needed));
  more.set(values);
  return more;
}

/** The same of bytes. */
export function bytesWithRoom(values: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  if (needed <= values.length) return values;
  const more = new Uint8Array(Math.max(GROWTH * values.length, needed));
  more.set(values);
  return more;
}

/** Which rows are null, as they come; made where the first is. */
class Validity {
  #valid = new Uint8Array(0);
  hasNulls = false;

  clear(): void {
    this.hasNulls = false;
  }

  append(valid: Uint8Array | undefined, { count, indexes }: SomeRows, at: number): void {
    if (valid === undefined && !this.hasNulls) return;
    this.#valid = bytesWithRoom(this.#valid, at + count);
    if (!this.hasNulls) this.#valid.fill(1, 0, at);
    this.hasNulls = true;
    if (valid === undefined) this.#valid.fill(1, at, at + count);
    else if (indexes === null) this.#valid.set(valid.subarray(0, count), at);
    else for (let i = 0; i < count; i++) this.#valid[at + i] = valid[indexes[i]!]!;
  }

  /** By row; null where none is null. */
  get rows(): Uint8Array | null {
    return this.hasNulls ? this.#valid : null;
  }
}

/** Of the values as they come, when they are at hand. */
class RunningRange implements NumberRange {
  min = Infinity;
  max = -Infinity;

  clear(): void {
    this.min = Infinity;
    this.max = -Infinity;
  }

  append(values: Int32Array, from: number, to: number): void {
    let min = this.min, max = this.max;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    this.min = min;
    this.max = max;
  }
}

/** The values that are not null. */
function withoutNulls(values: Int32Array, rows: number, valid: Uint8Array | null, range: NumberRange): Integers {
  if (valid === null) return { values, valueCount: rows, valid, range };
  reserve(rows);
  let n = 0;
  for (let i = 0; i < rows; i++) {
    integers[n] = values[i]!;
    n += valid[i]!;
  }
  return { values: integers, valueCount: n, valid, range: null };
}

export class IntegerBuffer {
  #values = new Int32Array(FIRST_ROWS);
  readonly #range = new RunningRange();
  readonly #validity = new Validity();

  /** @param at Rows that there are. */
  append({ values, valid }: IntegerColumn, some: SomeRows, at: number): void {
    const { count, indexes } = some;
    this.#values = withRoom(this.#values, at + count);
    this.#validity.append(valid, some, at);
    if (indexes === null) this.#values.set(values.length === count ? values : values.subarray(0, count), at);
    else for (let i = 0; i < count; i++) this.#values[at + i] = values[indexes[i]!]!;
    this.#range.append(this.#values, at, at + count);
  }

  /** The same value in every row. */
  fill(value: number, count: number, at: number): void {
    this.#values = withRoom(this.#values, at + count);
    this.#values.fill(value, at, at + count);
    this.#range.append(this.#values, at, at + 1);
  }

  /** Where in their message the rows stand. */
  appendIndexes({ count, indexes }: SomeRows, at: number): void {
    this.#values = withRoom(this.#values, at + count);
    if (indexes !== null) this.#values.set(indexes, at);
    else for (let i = 0; i < count; i++) this.#values[at + i] = i;
    this.#range.append(this.#values, at, at + count);
  }

  /** The first so many rows. */
  take(rows: number): Integers {
    return withoutNulls(this.#values, rows, this.#validity.rows, this.#range);
  }

  clear(): void {
    this.#validity.clear();
    this.#range.clear();
  }
}

/** Numbers of 64 bits; the upper halves are kept only where some are not zero. */
export class BigintBuffer {
  #lows = new Int32Array(FIRST_ROWS);
  #highs = new Int32Array(0);
  #isWide = false;
  readonly #lowRange = new RunningRange();
  readonly #validity = new Validity();

  /** @param at Rows that there are. */
  append({ values, valid }: BigintColumn, some: SomeRows, at: number): void {
    const { count, indexes } = some, from = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
    this.#lows = withRoom(this.#lows, at + count);
    this.#validity.append(valid, some, at);
    const isWide = indexes === null ? lowWords(from, count, this.#lows, at) : someLowWords(from, indexes, this.#lows, at);
    if (isWide || this.#isWide) this.#appendHighs(from, some, at);
    else this.#lowRange.append(this.#lows, at, at + count);
  }

  /** The same value in every row, of 0 to before 2^53. */
  fill(value: number, count: number, at: number): void {
    this.#lows = withRoom(this.#lows, at + count);
    this.#lows.fill(value, at, at + count); // modulo 2^32
    this.#lowRange.append(this.#lows, at, at + 1);
    if (value >= WORD / 2 || this.#isWide) this.#widen(at, count).fill(Math.floor(value / WORD), at, at + count);
  }

  /** The first so many rows. */
  take(rows: number): Bigints {
    const valid = this.#validity.rows;
    if (!this.#isWide) return { ...withoutNulls(this.#lows, rows, valid, this.#lowRange), words };
    reserve(rows);
    const n = takeDoubles(this.#lows, this.#highs, rows, valid);
    if (n !== null) return { values: numbers, words, valueCount: n, valid, range: null };
    return { values: null, words, valueCount: takeWords(this.#lows, this.#highs, rows, valid), valid, range: null };
  }

  clear(): void {
    this.#isWide = false;
    this.#lowRange.clear();
    this.#validity.clear();
  }

  #appendHighs(from: Int32Array, { count, indexes }: SomeRows, at: number): void {
    const highs = this.#widen(at, count);
    for (let i = 0; i < count; i++) highs[at + i] = from[2 * (indexes === null ? i : indexes[i]!) + 1]!;
  }

  /** Upper halves with room for so many more. */
  #widen(at: number, count: number): Int32Array {
    this.#highs = withRoom(this.#highs, at + count);
    if (!this.#isWide) this.#highs.fill(0, 0, at);
    this.#isWide = true;
    return this.#highs;
  }
}

/** Copies the lower halves; whether that leaves out anything but zeros, or gives a negative number. */
function lowWords(from: Int32Array, count: number, lows: Int32Array, at: number): boolean {
  let high = 0, sign = 0;
  for (let i = 0; i < count; i++) {
    const low = from[2 * i]!;
    lows[at + i] = low;
    sign |= low;
    high |= from[2 * i + 1]!;
  }
  return high !== 0 || sign < 0;
}

function someLowWords(from: Int32Array, indexes: Int32Array, lows: Int32Array, at: number): boolean {
  let high = 0, sign = 0;
  for (let i = 0; i < indexes.length; i++) {
    const low = from[2 * indexes[i]!]!;
    lows[at + i] = low;
    sign |= low;
    high |= from[2 * indexes[i]! + 1]!;
  }
  return high !== 0 || sign < 0;
}

/** Sets `numbers`; how many they are, or null where one is negative, or too great. */
function takeDoubles(lows: Int32Array, highs: Int32Array, rows: number, valid: Uint8Array | null): number | null {
  let n = 0;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const high = highs[i]!;
    if (high < 0 || high >= EXACT_HIGH_WORD) return null;
    numbers[n++] = high * WORD + (lows[i]! >>> 0);
  }
  return n;
}

/** Sets `words`; how many values they are. */
function takeWords(lows: Int32Array, highs: Int32Array, rows: number, valid: Uint8Array | null): number {
  let n = 0;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    words[2 * n] = lows[i]!;
    words[2 * n + 1] = highs[i]!;
    n++;
  }
  return n;
}

/** By number of a table's entry, its code and 1; zeros but while codes are made. */
let codeOf = new Int32Array(0);

export interface Codes extends Nullable {
  readonly codes: Int32Array;
}

/** References to entries of a table: their numbers, which become codes in the order in which they are met. */
export class CodeBuffer {
  /** By row; -1 where it is null. */
  #codes = new Int32Array(FIRST_ROWS);
  #count = 0;
  #hasNulls = false;
  /** Numbers of the table's entries, by code, once it is encoded. */
  entries: readonly number[] = [];

  /**
   * @param codes Of the message's rows, -1 where null.
   * @param numbers By the message's code, the number of an entry.
   * @param at Rows that there are.
   */
  append(codes: Int32Array, numbers: Int32Array, { count, indexes }: SomeRows, at: number): void {
    const out = this.#codes = withRoom(this.#codes, at + count);
    this.#count = at + count;
    let sign = 0;
    for (let i = 0; i < count; i++) {
      const code = codes[indexes === null ? i : indexes[i]!]!;
      sign |= code;
      out[at + i] = code < 0 ? -1 : numbers[code]!;
    }
    if (sign < 0) this.#hasNulls = true;
  }

  /** @param numbers Of the message's rows. */
  appendNumbers(numbers: Int32Array, { count, indexes }: SomeRows, at: number): void {
    const out = this.#codes = withRoom(this.#codes, at + count);
    this.#count = at + count;
    if (indexes === null) out.set(numbers, at);
    else for (let i = 0; i < count; i++) out[at + i] = numbers[indexes[i]!]!;
  }

  /**
   * Makes codes of the numbers. No row may be appended until it is cleared.
   *
   * @param tableCount Entries of the table.
   */
  encode(tableCount: number): void {
    codeOf = withRoom(codeOf, tableCount);
    const entries: number[] = [], codes = this.#codes;
    for (let i = 0; i < this.#count; i++) {
      const number = codes[i]!;
      if (number < 0) continue;
      let code = codeOf[number]!;
      if (code === 0) codeOf[number] = code = entries.push(number);
      codes[i] = code - 1;
    }
    for (const number of entries) codeOf[number] = 0;
    this.entries = entries;
  }

  /** Whether every row has the same code there: then a page of the one is a page of the other. Both must be encoded. */
  hasSameCodes(other: CodeBuffer): boolean {
    if (this.entries.length !== other.entries.length || this.#count !== other.#count) return false;
    for (let i = 0; i < this.#count; i++) if (this.#codes[i] !== other.#codes[i]) return false;
    return true;
  }

  take(): Codes {
    const rows = this.#count, codes = this.#codes;
    if (!this.#hasNulls) return { codes, valueCount: rows, valid: null };
    reserve(rows);
    let n = 0;
    for (let i = 0; i < rows; i++) {
      const code = codes[i]!, isValid = code < 0 ? 0 : 1;
      integers[n] = code;
      validOut[i] = isValid;
      n += isValid;
    }
    return { codes: integers, valueCount: n, valid: validOut };
  }

  clear(): void {
    this.#count = 0;
    this.#hasNulls = false;
    this.entries = [];
  }
}
