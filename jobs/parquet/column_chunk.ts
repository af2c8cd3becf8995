/** One column of a row group: an optional dictionary page and one data page, compressed, with what the footer says of them. */

import { constants, zstdCompressSync } from "node:zlib";
import { Bytes } from "./bytes.ts";
import { bitWidth, hybrid, hybridRun } from "./bit_packing.ts";
import { ThriftStruct } from "./thrift_compact.ts";

/** Numbers of parquet.thrift. */
export const ENCODING = { plain: 0, rle: 3, deltaBinaryPacked: 5, rleDictionary: 8 } as const;
export const CODEC = { uncompressed: 0, zstd: 6 } as const;
const DATA_PAGE = 0, DICTIONARY_PAGE = 2;
const ZSTD_LEVEL = 1;
/** Fewer bytes than a compressed frame's own are left as they are. */
const COMPRESSED_BYTES_MIN = 64;

/** Where a column's values are null, or lists begin: levels as Parquet counts them (Dremel), packed. */
export interface Levels {
  /** Values with nulls, and of lists with those that are empty. */
  readonly count: number;
  readonly nulls: number;
  /** Repetition and definition levels, each preceded by its length. */
  readonly bytes: Uint8Array;
}

/** Values that others refer to, as their page has them. */
export interface Dictionary {
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Values without nulls, as a page has them. */
export interface EncodedValues {
  readonly encoding: typeof ENCODING[keyof typeof ENCODING];
  readonly bytes: Uint8Array;
  /** Null where they are encoded without one. */
  readonly dictionary: Dictionary | null;
}

/** Least and greatest as PLAIN has them; absent where nothing is known. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/** A page's header, and its bytes as the file has them. */
export interface Page {
  readonly header: Uint8Array;
  readonly stored: Uint8Array;
  /** With the header. */
  readonly uncompressedByteLength: number;
}

export interface ColumnChunk {
  /** First, where there is one. */
  readonly dictionary: Page | null;
  readonly data: Page;
  readonly byteLength: number;
  readonly uncompressedByteLength: number;
  /** From the chunk's begin. */
  readonly dataPageOffset: number;
  readonly encoding: number;
  readonly codec: number;
  readonly valueCount: number;
  readonly nullCount: number;
  readonly bounds: Bounds | null;
}

/** Levels of a column without nulls. */
export function noNulls(count: number): Levels {
  return { count, nulls: 0, bytes: withLength(hybridRun(1, count)) };
}

/** Levels of a column of which `valid` has 0 where it is null. */
export function nullLevels(valid: Uint8Array, count: number, nulls: number): Levels {
  if (nulls === 0) return noNulls(count);
  return { count, nulls, bytes: withLength(nulls === count ? hybridRun(0, count) : hybrid(valid, count, 1)) };
}

/** Levels of lists; as null count those that are empty. */
export function listLevels(repetition: Uint8Array, definition: Uint8Array, count: number, nulls: number): Levels {
  const first = withLength(repetition), second = withLength(definition), bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return { count, nulls, bytes };
}

/** Levels preceded by their length. */
function withLength(levels: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4 + levels.length);
  new DataView(out.buffer).setUint32(0, levels.length, true);
  out.set(levels, 4);
  return out;
}

/** Values by reference to a dictionary. */
export function encodeCodes(codes: Int32Array | Uint8Array, n: number, dictionary: Dictionary): EncodedValues {
  const out = new Bytes(), width = Math.max(1, bitWidth(dictionary.count - 1));
  out.byte(width);
  out.add(dictionary.count <= 1 ? hybridRun(0, n) : hybrid(codes, n, width));
  return { encoding: ENCODING.rleDictionary, bytes: out.take(), dictionary };
}

/** No values at all. */
export const NO_VALUES: EncodedValues = { encoding: ENCODING.plain, bytes: new Uint8Array(0), dictionary: null };

export function makeChunk(levels: Levels, values: EncodedValues, bounds: Bounds | null): ColumnChunk {
  const page = new Uint8Array(levels.bytes.length + values.bytes.length);
  page.set(levels.bytes);
  page.set(values.bytes, levels.bytes.length);
  const { dictionary, encoding } = values;
  const codec = page.length + (dictionary?.bytes.length ?? 0) < COMPRESSED_BYTES_MIN ? CODEC.uncompressed : CODEC.zstd;
  const data = makePage(DATA_PAGE, page, codec, (header) =>
    header.struct(5, (fields) => {
      fields.i32(1, levels.count);
      fields.i32(2, encoding);
      fields.i32(3, ENCODING.rle);
      fields.i32(4, ENCODING.rle);
    }));
  return {
    ...ofPages(dictionary === null ? null : dictionaryPage(dictionary, codec), data),
    encoding,
    codec,
    valueCount: levels.count,
    nullCount: levels.nulls,
    bounds,
  };
}

/** The same page of references, to as many other values. */
export function withDictionary(chunk: ColumnChunk, dictionary: Dictionary): ColumnChunk {
  return { ...chunk, ...ofPages(dictionaryPage(dictionary, chunk.codec), chunk.data) };
}

function ofPages(dictionary: Page | null, data: Page) {
  const dataPageOffset = dictionary === null ? 0 : lengthOf(dictionary);
  return {
    dictionary,
    data,
    byteLength: dataPageOffset + lengthOf(data),
    uncompressedByteLength: (dictionary?.uncompressedByteLength ?? 0) + data.uncompressedByteLength,
    dataPageOffset,
  };
}

function lengthOf({ header, stored }: Page): number {
  return header.length + stored.length;
}

function dictionaryPage({ count, bytes }: Dictionary, codec: number): Page {
  return makePage(DICTIONARY_PAGE, bytes, codec, (header) =>
    header.struct(7, (fields) => {
      fields.i32(1, count);
      fields.i32(2, ENCODING.plain);
    }));
}

function makePage(type: number, bytes: Uint8Array, codec: number, describe: (header: ThriftStruct) => void): Page {
  const stored = codec === CODEC.zstd ? compressed(bytes) : bytes;
  const header = ThriftStruct.encode((fields) => {
    fields.i32(1, type);
    fields.i32(2, bytes.length);
    fields.i32(3, stored.length);
    describe(fields);
  });
  return { header, stored, uncompressedByteLength: header.length + bytes.length };
}

function compressed(bytes: Uint8Array): Uint8Array {
  // As much as it can become, so that it is one piece.
  const chunkSize = bytes.length + (bytes.length >> 8) + COMPRESSED_BYTES_MIN;
  return zstdCompressSync(bytes, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
}
