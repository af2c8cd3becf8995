/** Bits that say which rows of an Arrow column are not null (Arrow columnar format, "Validity bitmaps"). */

import type { ColumnPieces } from "./arrow_layout.ts";

export function packValidity(rowCount: number, isValid: (row: number) => boolean): { nullCount: number; nullBitmap?: Uint8Array } {
  const nullBitmap = new Uint8Array(Math.ceil(rowCount / 64) * 8);
  let nullCount = 0;
  for (let i = 0; i < rowCount; i++) {
    if (isValid(i)) nullBitmap[i >> 3]! |= 1 << (i & 7);
    else nullCount++;
  }
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap };
}

/** A byte per row, 1 where it is not null; absent where none is. */
export function unpackValidity(data: ColumnPieces, rowCount: number): { valid?: Uint8Array } {
  if (data.nullCount === 0) return {};
  const valid = new Uint8Array(rowCount);
  for (let i = 0; i < rowCount; i++) valid[i] = (data.nullBitmap[i >> 3]! >> (i & 7)) & 1;
  return { valid };
}
