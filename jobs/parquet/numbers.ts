/** Encodes whole numbers: as one value, by a dictionary where there are few, or by their differences. */

import { packDifferences } from "./bit_packing.ts";
import { type Bounds, encodeCodes, type EncodedValues, ENCODING, NO_VALUES } from "./column_chunk.ts";

/** More different values than this are not worth a dictionary. */
const DICTIONARY_MAX = 1 << 14;
const TABLE_SLOTS = 1 << 16;
/** Smaller numbers find their code without a hash. */
const DIRECT_MAX = 1 << 16;
/** Golden ratio, for hashing by multiplication. */
const MULTIPLIER = 0x9e37_79b1;
const WORD = 2 ** 32;

/** Of a row group; both are the same type. */
export interface NumbersEncoded {
  readonly values: EncodedValues;
  readonly bounds: Bounds | null;
  /** Null where there are none, or they are not exact as doubles. */
  readonly range: { readonly min: number; readonly max: number } | null;
}

const NO_NUMBERS: NumbersEncoded = { values: NO_VALUES, bounds: null, range: null };

let codes = new Int32Array(1 << 17);
const keys = new Float64Array(TABLE_SLOTS), codeOfSlot = new Int32Array(TABLE_SLOTS);
const direct = new Int32Array(DIRECT_MAX);
const distinct = new Float64Array(DICTIONARY_MAX);

/**
 * The first `n` values.
 *
 * @param width Bytes of one in the file.
 * @param known Their range, where the caller knows it.
 */
export function encodeNumbers(
  values: Int32Array | Float64Array,
  n: number,
  width: 4 | 8,
  known: { readonly min: number; readonly max: number } | null = null,
): NumbersEncoded {
  if (n === 0) return NO_NUMBERS;
  const range = known === null ? rangeOf(values, n) : { min: known.min, max: known.max };
  if (range.min === range.max) return encodeConstant(range.min, n, width);
  const bounds = { min: plain([range.min], 1, width), max: plain([range.max], 1, width) };
  if (codes.length < n) codes = new Int32Array(2 * n);
  const count = range.min >= 0 && range.max < DIRECT_MAX ? codesBelow(values, n, range.max) : codesByHash(values, n);
  if (count > 0) return { values: encodeCodes(codes, n, { count, bytes: plain(distinct, count, width) }), bounds, range };
  const isWide = width === 4 && range.max - range.min >= 2 ** 31; // their differences take more than the column's own bits
  if (isWide) return { values: { encoding: ENCODING.plain, bytes: plain(values, n, width), dictionary: null }, bounds, range };
  return { values: { encoding: ENCODING.deltaBinaryPacked, bytes: packDifferences(values, n), dictionary: null }, bounds, range };
}

/** `n` times the same value. */
export function encodeConstant(value: number, n: number, width: 4 | 8): NumbersEncoded {
  const bytes = plain([value], 1, width);
  return { values: encodeCodes(codes, n, { count: 1, bytes }), bounds: { min: bytes, max: bytes }, range: { min: value, max: value } };
}

/** 64-bit values that a double does not hold exactly, as they are: a copy of their words. */
export function encodePlain(words: Int32Array): NumbersEncoded {
  return { values: { encoding: ENCODING.plain, bytes: new Uint8Array(words.buffer), dictionary: null }, bounds: null, range: null };
}

function rangeOf(values: Int32Array | Float64Array, n: number): { readonly min: number; readonly max: number } {
  let min = values[0]!, max = min;
  for (let i = 1; i < n; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** Sets `codes` and `distinct`; returns how many there are, 0 where there are too many. */
function codesBelow(values: Int32Array | Float64Array, n: number, max: number): number {
  direct.fill(0, 0, max + 1);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    let code = direct[value]!;
    if (code === 0) {
      if (count === DICTIONARY_MAX) return 0;
      distinct[count++] = value;
      direct[value] = code = count;
    }
    codes[i] = code - 1;
  }
  return count;
}

/** As `codesBelow()`, for any numbers. */
function codesByHash(values: Int32Array | Float64Array, n: number): number {
  codeOfSlot.fill(0);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    let slot = Math.imul(value | 0, MULTIPLIER) >>> 16;
    while (codeOfSlot[slot] !== 0 && keys[slot] !== value) slot = (slot + 1) & (TABLE_SLOTS - 1);
    let code = codeOfSlot[slot]!;
    if (code === 0) {
      if (count === DICTIONARY_MAX) return 0;
      keys[slot] = value;
      distinct[count++] = value;
      codeOfSlot[slot] = code = count;
    }
    codes[i] = code - 1;
  }
  return count;
}

/** Numbers of 4 or 8 bytes, the least significant first. */
function plain(values: ArrayLike<number>, n: number, width: 4 | 8): Uint8Array {
  const words = new Int32Array(n * width / 4);
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    if (width === 4) words[i] = value;
    else {
      words[2 * i] = value; // modulo 2^32
      words[2 * i + 1] = Math.floor(value / WORD);
    }
  }
  return new Uint8Array(words.buffer);
}
