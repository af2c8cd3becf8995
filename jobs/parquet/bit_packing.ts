/** Packs small numbers: Parquet's bit packing, its hybrid with run lengths, and its packed differences (Encodings.md). */

import { Bytes } from "./bytes.ts";

const WORD = 2 ** 32;
/** Numbers of a group in the hybrid encoding. */
const GROUP = 8;
/** Bytes that tell how long a run is, mostly. */
const RUN_HEAD_BYTES = 1;
const RUNS_LOOKED_AT = 256;
/** Numbers of a block of differences, and of the parts of it that have a width each. */
const BLOCK = 128, MINIBLOCK = 32, MINIBLOCKS = BLOCK / MINIBLOCK;

let scratch = new Int32Array(1 << 16);

/** Bits that a number from 0 to `max` takes. */
export function bitWidth(max: number): number {
  return max < WORD ? 32 - Math.clz32(max) : 64 - Math.clz32(Math.floor(max / WORD));
}

/**
 * The first `n` values, 0 to before 2^width each, one after the other from the least significant bit on, and zeros up to a whole
 * group.
 */
export function packBits(values: Int32Array | Uint8Array, n: number, width: number): Uint8Array {
  const byteLength = Math.ceil(n / GROUP) * width, words = Math.ceil(byteLength / 4) + 1;
  if (scratch.length < words) scratch = new Int32Array(2 * words);
  const out = scratch;
  let word = 0, bits = 0, at = 0;
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    word |= value << bits;
    bits += width;
    if (bits >= 32) {
      out[at++] = word;
      bits -= 32;
      word = bits === 0 ? 0 : value >>> (width - bits);
    }
  }
  while (at < words) {
    out[at++] = word;
    word = 0;
  }
  return new Uint8Array(out.buffer, 0, byteLength);
}

/** Numbers of the hybrid encoding, without the length that precedes levels: as runs of one number where that is shorter, or packed. */
export function hybrid(values: Int32Array | Uint8Array, n: number, width: number): Uint8Array<ArrayBuffer> {
  const out = new Bytes();
  if (hasLongRuns(values, n, n * width / 8 / (RUN_HEAD_BYTES + Math.ceil(width / 8)))) addRuns(out, values, n, width);
  else {
    out.varint(Math.ceil(n / GROUP) * 2 + 1);
    out.add(packBits(values, n, width));
  }
  return out.take();
}

/** Whether there are fewer runs than so many; where there are more at the beginning, it looks no further. */
function hasLongRuns(values: Int32Array | Uint8Array, n: number, runsMax: number): boolean {
  const share = runsMax / n;
  let runs = 1;
  for (let i = 1; i < n; i++) {
    if (values[i] === values[i - 1]) continue;
    if (++runs > RUNS_LOOKED_AT + i * share) return false;
  }
  return runs < runsMax;
}

function addRuns(out: Bytes, values: Int32Array | Uint8Array, n: number, width: number): void {
  for (let start = 0, end = 0; start < n; start = end) {
    const value = values[start]!;
    for (end = start + 1; end < n && values[end] === value;) end++;
    out.varint(2 * (end - start));
    for (let shift = 0; shift < width; shift += 8) out.byte(value >>> shift);
  }
}

/** `n` times the same number, of at most 8 bits. */
export function hybridRun(value: number, n: number): Uint8Array<ArrayBuffer> {
  const out = new Bytes();
  out.varint(2 * n);
  out.byte(value);
  return out.take();
}

/** Whole numbers by their differences, which must be exact as doubles: DELTA_BINARY_PACKED. */
export function packDifferences(values: Int32Array | Float64Array, n: number): Uint8Array<ArrayBuffer> {
  const out = new Bytes();
  out.varint(BLOCK);
  out.varint(MINIBLOCKS);
  out.varint(n);
  out.zigzag(n === 0 ? 0 : values[0]!);
  const differences = new Float64Array(BLOCK);
  for (let start = 1; start < n; start += BLOCK) {
    const count = Math.min(BLOCK, n - start);
    let least = Infinity;
    for (let i = 0; i < count; i++) {
      const difference = values[start + i]! - values[start + i - 1]!;
      differences[i] = difference;
      if (difference < least) least = difference;
    }
    packBlock(out, differences, count, least);
  }
  return out.take();
}

const low = new Int32Array(MINIBLOCK);

/** A block: its least difference, the width of each of its parts, and what the differences exceed the least by. */
function packBlock(out: Bytes, differences: Float64Array, count: number, least: number): void {
  out.zigzag(least);
  const widths: number[] = [];
  for (let part = 0; part < MINIBLOCKS; part++) {
    let most = least;
    for (let i = part * MINIBLOCK; i < Math.min(count, (part + 1) * MINIBLOCK); i++) if (differences[i]! > most) most = differences[i]!;
    widths.push(bitWidth(most - least));
    out.byte(widths[part]!);
  }
  for (let start = 0; start < count; start += MINIBLOCK) {
    const width = widths[start / MINIBLOCK]!, end = Math.min(count, start + MINIBLOCK);
    if (width > 32) {
      packWide(out, differences, start, end, least, width);
      continue;
    }
    low.fill(0);
    for (let i = start; i < end; i++) low[i - start] = differences[i]! - least;
    out.add(packBits(low, MINIBLOCK, width));
  }
}

/** Bit by bit: differences of more than 32 bits are rare. */
function packWide(out: Bytes, differences: Float64Array, start: number, end: number, least: number, width: number): void {
  const bytes = new Uint8Array(MINIBLOCK / GROUP * width);
  for (let i = start; i < end; i++) {
    const value = differences[i]! - least, first = (i - start) * width;
    for (let bit = 0; bit < width; bit++) {
      if (Math.floor(value / 2 ** bit) % 2 === 1) bytes[(first + bit) >> 3]! |= 1 << ((first + bit) & 7);
    }
  }
  out.add(bytes);
}
