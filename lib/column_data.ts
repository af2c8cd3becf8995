/** Columns of a batch of rows, as typed arrays. */

import type { ColumnType } from "./records.ts";

/** Strings by reference: row i is `dictionary[codes[i]]`, or null where `codes[i]` is -1. */
export interface TextColumn {
  readonly codes: Int32Array;
  readonly dictionary: readonly string[];
}

/** Numbers of 32 bits; where `valid[i]` is 0 the row is null. A column that is never null has no `valid`. */
export interface IntegerColumn {
  readonly values: Int32Array;
  readonly valid?: Uint8Array;
}

/** Numbers of 64 bits, or microseconds since 1970 UTC; nulls as in `IntegerColumn`. */
export interface BigintColumn {
  readonly values: BigInt64Array;
  readonly valid?: Uint8Array;
}

/** Row i holds `values[offsets[i]]` to before `values[offsets[i + 1]]`. */
export interface ListColumn {
  readonly offsets: Int32Array;
  readonly values: Int32Array;
}

/** The same of 64 bits. */
export interface BigintListColumn {
  readonly offsets: Int32Array;
  readonly values: BigInt64Array;
}

/** Row i holds the 16 bytes from `16 * i`. */
export interface AddressColumn {
  readonly bytes: Uint8Array;
}

export interface ColumnDataByType {
  "VARCHAR": TextColumn;
  "BLOB": AddressColumn;
  "INTEGER": IntegerColumn;
  "BIGINT": BigintColumn;
  "TIMESTAMPTZ": BigintColumn;
  "INTEGER[]": ListColumn;
  "BIGINT[]": BigintListColumn;
}

export type ColumnData = ColumnDataByType[ColumnType];
