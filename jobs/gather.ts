/** Brings a column's values of several messages together, without its nulls. What is returned is valid until the next call. */

import type { BigintColumn, FlowBatch, IntegerColumn } from "../lib/flow_batch.ts";

/** A message whose texts and addresses have numbers. */
export interface StagedMessage {
  readonly partition: number;
  readonly offset: number;
  readonly batch: FlowBatch;
  /** By column, the number of each text of its dictionary. */
  readonly texts: ReadonlyMap<string, Int32Array>;
  /** Of the rows' addresses. */
  readonly clients: Int32Array;
  readonly servers: Int32Array;
}

/** Rows of a message; null for all. */
export interface Segment {
  readonly message: StagedMessage;
  readonly rows: Int32Array | null;
  readonly rowCount: number;
}

const WORD = 2 ** 32;
/** Upper halves of numbers below 2^52, of which the differences are exact as doubles too. */
const EXACT_HIGH_WORD = 1 << 20;

let integers = new Int32Array(1 << 17), words = new Int32Array(1 << 18), numbers = new Float64Array(1 << 17);
let valid = new Uint8Array(1 << 17);

function reserve(rows: number): void {
  if (valid.length >= rows) return;
  integers = new Int32Array(2 * rows);
  words = new Int32Array(4 * rows);
  numbers = new Float64Array(2 * rows);
  valid = new Uint8Array(2 * rows);
}

export interface GatheredIntegers {
  readonly values: Int32Array;
  readonly valueCount: number;
  /** By row. */
  readonly valid: Uint8Array;
}

export function gatherIntegers(segments: readonly Segment[], rows: number, of: (batch: FlowBatch) => IntegerColumn): GatheredIntegers {
  reserve(rows);
  let row = 0, n = 0;
  for (const { message, rows: some, rowCount } of segments) {
    const column = of(message.batch);
    if (column.valid === undefined) valid.fill(1, row, row + rowCount);
    if (some === null && column.valid === undefined) {
      integers.set(column.values, n);
      n += rowCount;
    } else n = someIntegers(column, some, rowCount, row, n);
    row += rowCount;
  }
  return { values: integers, valueCount: n, valid };
}

function someIntegers(
  { values, valid: isValid }: IntegerColumn,
  some: Int32Array | null,
  rowCount: number,
  row: number,
  at: number,
): number {
  let n = at;
  for (let i = 0; i < rowCount; i++) {
    const from = some === null ? i : some[i]!;
    if (isValid !== undefined && (valid[row + i] = isValid[from]!) === 0) continue;
    integers[n++] = values[from]!;
  }
  return n;
}

export interface GatheredBigints {
  /** Null where some are negative or too great for a double: then they are in `words`, of 32 bits each. */
  readonly values: Int32Array | Float64Array | null;
  readonly words: Int32Array;
  readonly valueCount: number;
  readonly valid: Uint8Array;
}

export function gatherBigints(segments: readonly Segment[], rows: number, of: (batch: FlowBatch) => BigintColumn): GatheredBigints {
  reserve(rows);
  let row = 0, n = 0;
  for (const { message, rows: some, rowCount } of segments) {
    const { values, valid: isValid } = of(message.batch);
    const from = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
    if (isValid === undefined) valid.fill(1, row, row + rowCount);
    if (some === null && isValid === undefined) {
      words.set(from, 2 * n);
      n += rowCount;
    } else n = someWords(from, isValid, some, rowCount, row, n);
    row += rowCount;
  }
  return { values: narrowed(n), words, valueCount: n, valid };
}

function someWords(
  from: Int32Array,
  isValid: Uint8Array | undefined,
  some: Int32Array | null,
  rowCount: number,
  row: number,
  at: number,
): number {
  let n = at;
  for (let i = 0; i < rowCount; i++) {
    const place = some === null ? i : some[i]!;
    if (isValid !== undefined && (valid[row + i] = isValid[place]!) === 0) continue;
    words[2 * n] = from[2 * place]!;
    words[2 * n + 1] = from[2 * place + 1]!;
    n++;
  }
  return n;
}

/** The numbers in `words`, as 32 bits where that holds all. */
function narrowed(n: number): Int32Array | Float64Array | null {
  let high = 0, low = 0;
  for (let i = 0; i < n; i++) {
    low |= words[2 * i]!;
    high |= words[2 * i + 1]!;
    integers[i] = words[2 * i]!;
  }
  if (high === 0 && low >= 0) return integers;
  for (let i = 0; i < n; i++) {
    const upper = words[2 * i + 1]!;
    if (upper < 0 || upper >= EXACT_HIGH_WORD) return null;
    numbers[i] = upper * WORD + (words[2 * i]! >>> 0);
  }
  return numbers;
}

export interface GatheredTexts {
  readonly codes: Int32Array;
  readonly valueCount: number;
  readonly valid: Uint8Array;
  /** Of the texts in the table, by code. */
  readonly numbers: readonly number[];
}

/** @param of A message's code of each row, and the number of each code's text. */
export function gatherTexts(
  segments: readonly Segment[],
  rows: number,
  tableCount: number,
  of: (message: StagedMessage) => { readonly codes: Int32Array; readonly numbers: Int32Array },
): GatheredTexts {
  reserve(rows);
  const coder = new Coder(tableCount);
  let row = 0, n = 0;
  for (const { message, rows: some, rowCount } of segments) {
    const { codes, numbers } = of(message);
    n = mapCodes(codes, coder.codes(numbers), some, rowCount, row, n);
    row += rowCount;
  }
  return { codes: integers, valueCount: n, valid, numbers: coder.numbers };
}

function mapCodes(codes: Int32Array, mapped: Int32Array, some: Int32Array | null, rowCount: number, row: number, at: number): number {
  let n = at;
  for (let i = 0; i < rowCount; i++) {
    const code = codes[some === null ? i : some[i]!]!;
    if (code < 0) valid[row + i] = 0;
    else {
      valid[row + i] = 1;
      integers[n++] = mapped[code]!;
    }
  }
  return n;
}

/** Gives the numbers of a table codes, in the order in which they are met. */
class Coder {
  readonly #codes: Int32Array;
  readonly numbers: number[] = [];

  constructor(tableCount: number) {
    this.#codes = new Int32Array(tableCount);
  }

  codes(numbers: Int32Array): Int32Array {
    const out = new Int32Array(numbers.length);
    for (let i = 0; i < out.length; i++) {
      const number = numbers[i]!;
      let code = this.#codes[number]!;
      if (code === 0) this.#codes[number] = code = this.numbers.push(number);
      out[i] = code - 1;
    }
    return out;
  }
}

export interface AddressCodes {
  readonly codes: Int32Array;
  /** Of the addresses in the table, by code. */
  readonly numbers: readonly number[];
}

export function addressCodes(
  segments: readonly Segment[],
  rows: number,
  of: (message: StagedMessage) => Int32Array,
  tableCount: number,
): AddressCodes {
  const codes = new Int32Array(rows), coder = new Coder(tableCount);
  let row = 0;
  for (const { message, rows: some, rowCount } of segments) {
    const all = of(message), numbers = some === null ? all : some.map((i) => all[i]!);
    codes.set(coder.codes(numbers), row);
    row += rowCount;
  }
  return { codes, numbers: coder.numbers };
}

/** The same value for all rows of a message. */
export function bySegment(segments: readonly Segment[], rows: number, of: (message: StagedMessage) => number): Float64Array {
  reserve(rows);
  let row = 0;
  for (const { message, rowCount } of segments) numbers.fill(of(message), row, row += rowCount);
  return numbers;
}

/** Of the rows in their messages. */
export function indexes(segments: readonly Segment[], rows: number): Int32Array {
  reserve(rows);
  let row = 0;
  for (const { rows: some, rowCount } of segments) {
    for (let i = 0; i < rowCount; i++) integers[row++] = some === null ? i : some[i]!;
  }
  return integers;
}

export interface GatheredLists {
  readonly values: Int32Array;
  readonly valueCount: number;
  /** Of each value, and of each empty list: 0 where a list begins, and 3 where there is a value, else 1. */
  readonly repetition: Uint8Array;
  readonly definition: Uint8Array;
  readonly levelCount: number;
}

/** The ports of the clients. */
export function gatherLists(segments: readonly Segment[]): GatheredLists {
  const most = segments.reduce((sum, { message, rowCount }) => sum + rowCount + message.batch.columns.client_ports.values.length, 0);
  const values = new Int32Array(most), repetition = new Uint8Array(most), definition = new Uint8Array(most);
  let n = 0, level = 0;
  for (const { message, rows: some, rowCount } of segments) {
    const { offsets, values: from } = message.batch.columns.client_ports;
    for (let i = 0; i < rowCount; i++) {
      const row = some === null ? i : some[i]!, start = offsets[row]!, end = offsets[row + 1]!;
      if (start === end) definition[level++] = 1;
      for (let place = start; place < end; place++) {
        repetition[level] = place === start ? 0 : 1;
        definition[level++] = 3;
        values[n++] = from[place]!;
      }
    }
  }
  return { values, valueCount: n, repetition, definition, levelCount: level };
}
