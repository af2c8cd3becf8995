/** Texts as bytes of UTF-8 one after the other, as Arrow keeps them, and as strings. */

import type { TextPieces } from "./arrow_layout.ts";

const decoder = new TextDecoder(), encoder = new TextEncoder();

/** Texts as they lie in a message: text i is `bytes` from `offsets[i]` to before `offsets[i + 1]`; what is no UTF-8 stays as it is. */
export interface EncodedTexts {
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
}

/** Texts in one buffer; where all are ASCII they are encoded in one go, as one by one costs far more. */
export function encodeTexts(texts: readonly string[]): EncodedTexts {
  const all = texts.join(""), bytes = encoder.encode(all), offsets = new Int32Array(texts.length + 1);
  const isAscii = bytes.length === all.length;
  for (let i = 0; i < texts.length; i++) offsets[i + 1] = offsets[i]! + (isAscii ? texts[i]!.length : encoder.encode(texts[i]).length);
  return { offsets, bytes };
}

/** Texts of a dictionary; where all are ASCII they are decoded in one go, as one by one costs far more. */
export function dictionaryTexts(pieces: readonly TextPieces[]): string[] {
  return pieces.flatMap(({ valueOffsets, values, length }) => {
    const first = valueOffsets[0] ?? 0, bytes = values.subarray(first, valueOffsets[length] ?? first);
    const all = decoder.decode(bytes);
    const isAscii = all.length === bytes.length;
    return Array.from({ length }, (_, i) => {
      const start = valueOffsets[i]! - first, end = valueOffsets[i + 1]! - first;
      return isAscii ? all.slice(start, end) : decoder.decode(bytes.subarray(start, end));
    });
  });
}
