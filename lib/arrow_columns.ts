/** Makes columns of a batch's rows of the buffers of an Arrow record batch, after a look at every code and offset. */

import type { ColumnPieces, TextPieces } from "./arrow_layout.ts";
import { unpackValidity } from "./arrow_validity.ts";
import type { BigintColumn, ColumnData, IntegerColumn, ListColumn, TextColumn } from "./column_data.ts";
import { dictionaryTexts, type EncodedTexts, encodeTexts } from "./encoded_texts.ts";
import type { MessageColumn } from "./records.ts";

/**
 * A column of so many rows.
 *
 * @throws {SyntaxError} If it has too few values, a code or an offset leads nowhere, or there are nulls that may not be.
 */
export function fromArrow(column: MessageColumn, data: ColumnPieces, rowCount: number): ColumnData {
  if (data.nullCount > 0 && !column.nullable) {
    throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" has ${data.nullCount} nulls, needed none`);
  }
  if (data.nullCount > 0 && 8 * data.nullBitmap.length < rowCount) {
    throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" has ${data.nullBitmap.length} bytes that say what is null`);
  }
  const needed = column.type === "BLOB" ? 16 * rowCount : column.type === "INTEGER[]" ? 0 : rowCount;
  if (needed > 0 && data.values.length < needed) {
    throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" has ${data.values.length} values, needed ${needed}`);
  }
  switch (column.type) {
    case "VARCHAR":
      return textFromArrow(column.name, data, rowCount);
    case "BLOB":
      return { bytes: (data.values as Uint8Array).subarray(0, rowCount * 16) };
    case "INTEGER[]":
      return listFromArrow(column.name, data, rowCount);
    default:
      return { values: data.values.subarray(0, rowCount), ...unpackValidity(data, rowCount) } as IntegerColumn | BigintColumn;
  }
}

function textFromArrow(name: string, data: ColumnPieces, rowCount: number): TextColumn {
  if (data.dictionary === undefined) throw new SyntaxError(`Cannot decode flow batch: column "${name}" has no dictionary`);
  const codes = codesFromArrow(name, data, data.dictionary.length, rowCount);
  for (const piece of data.dictionary.data) assertOffsets(name, piece.valueOffsets, piece.length, piece.values.length);
  return new ArrowTextColumn(codes, data.dictionary.data);
}

/** -1 where the row is null. */
function codesFromArrow(name: string, data: ColumnPieces, length: number, rowCount: number): Int32Array {
  const codes = (data.values as Int32Array).subarray(0, rowCount), { valid } = unpackValidity(data, rowCount);
  const all = valid === undefined ? codes : new Int32Array(rowCount);
  if (valid !== undefined) { for (let i = 0; i < rowCount; i++) all[i] = valid[i] === 0 ? -1 : codes[i]!; }
  let wrong = 0;
  for (let i = 0; i < rowCount; i++) wrong |= codes[i]! | (length - 1 - codes[i]!);
  if (wrong >= 0) return all;
  const row = codes.findIndex((code, i) => valid?.[i] !== 0 && (code < 0 || code >= length));
  if (row < 0) return all; // what a null hides may be anything
  throw new SyntaxError(`Cannot decode flow batch: column "${name}" row ${row} has code ${codes[row]}, needed 0 to ${length - 1}`);
}

/** @throws {SyntaxError} If offsets of `count` values do not ascend to at most `length`. */
function assertOffsets(name: string, offsets: Int32Array, count: number, length: number): void {
  let wrong = offsets.length > count ? offsets[count]! | (length - offsets[count]!) : -1;
  for (let i = 0; i < count; i++) wrong |= offsets[i]! | (offsets[i + 1]! - offsets[i]!);
  if (wrong >= 0) return;
  for (let i = 0; i < count; i++) {
    if (offsets[i]! >= 0 && offsets[i + 1]! >= offsets[i]! && offsets[i + 1]! <= length) continue;
    throw new SyntaxError(`Cannot decode flow batch: column "${name}" value ${i} ends at ${offsets[i + 1]} of ${length}`);
  }
}

/** A message's texts, which become strings when somebody looks at them, and only then: there may be as many as rows. */
class ArrowTextColumn implements TextColumn {
  readonly codes: Int32Array;
  readonly #pieces: readonly TextPieces[];
  #dictionary: readonly string[] | null = null;

  constructor(codes: Int32Array, pieces: readonly TextPieces[]) {
    this.codes = codes;
    this.#pieces = pieces;
  }

  get dictionary(): readonly string[] {
    return this.#dictionary ??= dictionaryTexts(this.#pieces);
  }

  encoded(): EncodedTexts {
    const [piece] = this.#pieces;
    if (piece === undefined || this.#pieces.length > 1) return encodeTexts(this.dictionary);
    return { offsets: piece.valueOffsets.subarray(0, piece.length + 1), bytes: piece.values };
  }
}

/** The column's dictionary without a string for each text. */
export function encodedDictionary(column: TextColumn): EncodedTexts {
  return column instanceof ArrowTextColumn ? column.encoded() : encodeTexts(column.dictionary);
}

function listFromArrow(name: string, data: ColumnPieces, rowCount: number): ListColumn {
  const offsets = data.valueOffsets.subarray(0, rowCount + 1);
  const values = data.children[0]!.values as Int32Array;
  assertOffsets(name, offsets, rowCount, values.length);
  return { offsets, values };
}
