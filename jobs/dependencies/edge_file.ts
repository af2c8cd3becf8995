/** Edges as Parquet, a file for each hour, those of a service together. */

import type { EdgeBatch } from "../../lib/edge_batch.ts";
import { EDGE_COLUMNS, HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import type { BigintColumn, BigintListColumn, IntegerColumn, TextColumn } from "../../lib/column_data.ts";
import type { EncodedRows } from "../lake/data_file.ts";
import { hybrid, hybridRun } from "../parquet/bit_packing.ts";
import { encodeCodes, listLevels, makeChunk, noNulls, nullLevels } from "../parquet/column_chunk.ts";
import { dictionaryOf } from "../parquet/dictionary.ts";
import { ParquetFile } from "../parquet/file.ts";
import { encodeNumbers, encodePlain, type NumbersEncoded } from "../parquet/numbers.ts";
import type { EncodedColumn } from "../row_group.ts";
import { RowGroupStats } from "../row_group_stats.ts";
import { CREATED_BY, ROW_GROUP_ROWS } from "../stage.ts";
import { EDGE_BATCH_ROWS } from "./edge_rows.ts";
import { halvesOf, numberOf } from "./measures.ts";

/** Hour of the table's layout, as the texts of its folder. */
export interface EdgeHour {
  readonly date: string;
  readonly hour: string;
}

export interface EdgeFile extends EncodedRows {
  readonly partition: EdgeHour;
}

type EdgeColumn = typeof EDGE_COLUMNS[number];
/** Numbers of rows, counted as if all batches were full. */
type Places = Int32Array;

const HOUR_US = 3_600_000_000;
const PLACE_BITS = Math.log2(EDGE_BATCH_ROWS);
/** Numbers from minus this to before it have differences that are exact as doubles. */
const EXACT_MAX = 2 ** 52;
const PORTS = 65_536;
/** Definition level of a list's element that is there. */
const DEFINED = 3;

const encoder = new TextEncoder();

/** The hours' files, one after the other, so that only one is in memory. */
export function* edgeFiles(batches: readonly EdgeBatch[]): Generator<EdgeFile> {
  const texts = new Texts(batches);
  for (const [hour, places] of placesByHour(batches)) {
    const sorted = sortByService(batches, places, texts), file = new ParquetFile(EDGE_COLUMNS, CREATED_BY), stats = new RowGroupStats();
    for (let start = 0; start < sorted.length; start += ROW_GROUP_ROWS) {
      const group = sorted.subarray(start, start + ROW_GROUP_ROWS);
      const columns = EDGE_COLUMNS.map((column) => encodeColumn(column, batches, group, texts));
      stats.add(group.length, columns);
      file.addRowGroup(group.length, columns.map(({ chunk }) => chunk));
    }
    const start = new Date(hour * HOUR_US / 1_000).toISOString();
    yield {
      partition: { date: start.slice(0, 10), hour: String(Number(start.slice(11, 13))) },
      parts: file.finish(),
      stats: stats.finish(),
    };
  }
}

/** Texts of all batches, numbered in their order. */
class Texts {
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #numbers = new Map<TextColumn, Int32Array>();
  readonly bytes: readonly Uint8Array[];

  constructor(batches: readonly EdgeBatch[]) {
    const all = new Set<string>();
    for (const { columns } of batches) {
      for (const { name } of EDGE_COLUMNS) {
        const column = columns[name];
        if ("codes" in column) { for (const text of column.dictionary) all.add(text); }
      }
    }
    const sorted = [...all].sort();
    this.#ranks = new Map(sorted.map((text, rank) => [text, rank]));
    this.bytes = sorted.map((text) => encoder.encode(text));
  }

  /** Number of each text of the column's dictionary. */
  numbersOf(column: TextColumn): Int32Array {
    let numbers = this.#numbers.get(column);
    if (numbers === undefined) {
      this.#numbers.set(column, numbers = Int32Array.from(column.dictionary, (text) => this.#ranks.get(text)!));
    }
    return numbers;
  }
}

function placesByHour(batches: readonly EdgeBatch[]): Map<number, Places> {
  const hours = new Map<number, number[]>();
  for (const [batch, { rowCount, columns }] of batches.entries()) {
    const words = halvesOf(columns.window_start.values);
    for (let row = 0; row < rowCount; row++) {
      const hour = Math.floor(numberAt(words, row) / HOUR_US), places = hours.get(hour), place = batch * EDGE_BATCH_ROWS + row;
      if (places === undefined) hours.set(hour, [place]);
      else places.push(place);
    }
  }
  return new Map([...hours].sort(([a], [b]) => a - b).map(([hour, places]) => [hour, Int32Array.from(places)]));
}

/** By server, client and port; those of an edge stay in the order in which they were told. */
function sortByService(batches: readonly EdgeBatch[], places: Places, texts: Texts): Places {
  const ports = batches.map(({ columns }) => columns.server_port.values);
  const byPort = sortedBy(places, PORTS, (batch, row) => ports[batch]![row]!);
  const byClient = sortedBy(byPort, texts.bytes.length, numberOfText(batches.map(({ columns }) => columns.client_service_name), texts));
  return sortedBy(byClient, texts.bytes.length, numberOfText(batches.map(({ columns }) => columns.server_service_name), texts));
}

function numberOfText(columns: readonly TextColumn[], texts: Texts): (batch: number, row: number) => number {
  const numbers = columns.map((column) => texts.numbersOf(column));
  return (batch, row) => numbers[batch]![columns[batch]!.codes[row]!]!;
}

/** In the order of keys of 0 to before `keyCount`; those of the same key keep theirs. */
function sortedBy(places: Places, keyCount: number, keyOf: (batch: number, row: number) => number): Places {
  const starts = new Int32Array(keyCount + 1), keys = new Int32Array(places.length), sorted = new Int32Array(places.length);
  for (let i = 0; i < places.length; i++) {
    keys[i] = keyOf(batchOf(places[i]!), rowOf(places[i]!));
    starts[keys[i]! + 1]!++;
  }
  for (let key = 0; key < keyCount; key++) starts[key + 1]! += starts[key]!;
  for (let i = 0; i < places.length; i++) sorted[starts[keys[i]!]!++] = places[i]!;
  return sorted;
}

function batchOf(place: number): number {
  return place >>> PLACE_BITS;
}

function rowOf(place: number): number {
  return place & (EDGE_BATCH_ROWS - 1);
}

function encodeColumn(column: EdgeColumn, batches: readonly EdgeBatch[], places: Places, texts: Texts): EncodedColumn {
  switch (column.type) {
    case "VARCHAR":
      return encodeTextColumn(column, batches.map(({ columns }) => columns[column.name]), places, texts);
    case "BIGINT[]":
      return encodeHistograms(column, batches.map(({ columns }) => columns[column.name]), places);
    case "INTEGER":
      return encodeIntegers(column, batches.map(({ columns }) => columns[column.name]), places);
    case "BIGINT":
    case "TIMESTAMPTZ":
      return encodeBigints(column, batches.map(({ columns }) => columns[column.name]), places);
  }
}

function encodeTextColumn(column: EdgeColumn, batches: readonly TextColumn[], places: Places, texts: Texts): EncodedColumn {
  const { bytes } = texts,
    numbers = batches.map((batch) => texts.numbersOf(batch)),
    codes = new Int32Array(places.length),
    codeOf = new Int32Array(bytes.length);
  const dictionary: Uint8Array[] = [];
  for (let i = 0; i < places.length; i++) {
    const batch = batchOf(places[i]!), number = numbers[batch]![batches[batch]!.codes[rowOf(places[i]!)]!]!;
    if (codeOf[number] === 0) codeOf[number] = dictionary.push(bytes[number]!);
    codes[i] = codeOf[number]! - 1;
  }
  const values = encodeCodes(codes, codes.length, { count: dictionary.length, bytes: dictionaryOf(dictionary) });
  return { column, chunk: makeChunk(noNulls(codes.length), values, null), range: null };
}

function encodeIntegers(column: EdgeColumn, batches: readonly IntegerColumn[], places: Places): EncodedColumn {
  const values = new Int32Array(places.length), valid = new Uint8Array(places.length);
  let count = 0;
  for (let i = 0; i < places.length; i++) {
    const batch = batches[batchOf(places[i]!)]!, row = rowOf(places[i]!);
    if (batch.valid !== undefined && batch.valid[row] === 0) continue;
    values[count++] = batch.values[row]!;
    valid[i] = 1;
  }
  const { values: encoded, bounds, range } = encodeNumbers(values, count, 4);
  return { column, chunk: makeChunk(nullLevels(valid, places.length, places.length - count), encoded, bounds), range };
}

function encodeBigints(column: EdgeColumn, batches: readonly BigintColumn[], places: Places): EncodedColumn {
  const { values, bounds, range } = encodeLongs(batches.map(({ values }) => halvesOf(values)), places, 1);
  return { column, chunk: makeChunk(noNulls(places.length), values, bounds), range };
}

/** Lists as long as a histogram, and never null. */
function encodeHistograms(column: EdgeColumn, batches: readonly BigintListColumn[], places: Places): EncodedColumn {
  const { values } = encodeLongs(batches.map(({ values }) => halvesOf(values)), places, HISTOGRAM_BUCKETS);
  const count = places.length * HISTOGRAM_BUCKETS, isFollowing = new Uint8Array(count).fill(1);
  for (let i = 0; i < count; i += HISTOGRAM_BUCKETS) isFollowing[i] = 0;
  const levels = listLevels(hybrid(isFollowing, count, 1), hybridRun(DEFINED, count), count, 0);
  return { column, chunk: makeChunk(levels, values, null), range: null };
}

/** @param width Numbers of a row. */
function encodeLongs(batches: readonly Int32Array[], places: Places, width: number): NumbersEncoded {
  const numbers = new Float64Array(places.length * width);
  let isExact = true, at = 0;
  for (const place of places) {
    const words = batches[batchOf(place)]!, first = rowOf(place) * width;
    for (let i = first; i < first + width; i++) {
      const number = numbers[at++] = numberAt(words, i);
      if (number >= EXACT_MAX || number < -EXACT_MAX) isExact = false;
    }
  }
  if (isExact) return encodeNumbers(numbers, at, 8);
  const words = new Int32Array(2 * at);
  for (const [i, place] of places.entries()) {
    const first = rowOf(place) * width;
    words.set(batches[batchOf(place)]!.subarray(2 * first, 2 * (first + width)), 2 * i * width);
  }
  return encodePlain(words);
}

function numberAt(words: Int32Array, i: number): number {
  return numberOf(words[2 * i]!, words[2 * i + 1]!);
}
