/** A row group of `flow`: gathers each column from the messages and encodes it. */

import { type Column, FLOW_COLUMNS, type FlowColumn } from "../lib/records.ts";
import type { AddressTable } from "./address_table.ts";
import {
  type AddressCodes,
  addressCodes,
  bySegment,
  gatherBigints,
  type GatheredBigints,
  type GatheredIntegers,
  type GatheredTexts,
  gatherIntegers,
  gatherLists,
  gatherTexts,
  indexes,
  type Segment,
} from "./gather.ts";
import { hybrid } from "./parquet/bit_packing.ts";
import {
  type ColumnChunk,
  encodeCodes,
  type Levels,
  makeChunk,
  NO_VALUES,
  noNulls,
  nullLevels,
  withLength,
} from "./parquet/column_chunk.ts";
import { dictionaryOf } from "./parquet/dictionary.ts";
import { encodeConstant, encodeNumbers, encodePlain, type NumbersEncoded } from "./parquet/numbers.ts";
import type { TextTable } from "./text_table.ts";

/** What all rows of a commit have in common. */
export interface Provenance {
  readonly topicName: string;
  /** As ISO 8601. */
  readonly ingestTime: string;
}

export interface Tables {
  readonly texts: ReadonlyMap<string, TextTable>;
  readonly addresses: AddressTable;
}

/** A column, and what numbers it has. */
export interface EncodedColumn {
  readonly column: Column;
  readonly chunk: ColumnChunk;
  readonly range: NumbersEncoded["range"];
}

const encoder = new TextEncoder();

/** All columns of the segments' rows, in the order of `FLOW_COLUMNS`. */
export function encodeRowGroup(segments: readonly Segment[], rows: number, provenance: Provenance, tables: Tables): EncodedColumn[] {
  const { addresses } = tables;
  const clients = addressCodes(segments, rows, ({ clients }) => clients, addresses.count);
  const servers = addressCodes(segments, rows, ({ servers }) => servers, addresses.count);
  return FLOW_COLUMNS.map((column) => {
    switch (column.name) {
      case "network_type":
        return textColumn(column, networkTypes(clients, rows, addresses));
      case "client_address":
        return textColumn(column, addressColumn(clients, rows, addresses.textDictionary(clients.numbers)));
      case "server_address":
        return textColumn(column, addressColumn(servers, rows, addresses.textDictionary(servers.numbers)));
      case "client_ip":
        return textColumn(column, addressColumn(clients, rows, addresses.dictionary(clients.numbers)));
      case "server_ip":
        return textColumn(column, addressColumn(servers, rows, addresses.dictionary(servers.numbers)));
      case "src_topic":
        return textColumn(column, constantText(provenance.topicName, rows));
      case "ingest_time":
        return numberColumn(column, noNulls(rows), encodeConstant(Date.parse(provenance.ingestTime) * 1_000, rows, 8));
      case "src_partition":
        return numberColumn(column, noNulls(rows), encodeNumbers(bySegment(segments, rows, ({ partition }) => partition), rows, 4));
      case "src_offset":
        return numberColumn(column, noNulls(rows), encodeNumbers(bySegment(segments, rows, ({ offset }) => offset), rows, 8));
      case "src_index":
        return numberColumn(column, noNulls(rows), encodeNumbers(indexes(segments, rows), rows, 4));
      case "client_ports":
        return textColumn(column, ports(segments));
    }
    const { name } = column;
    if (column.type === "VARCHAR") {
      const gathered = gatherTexts(
        segments,
        rows,
        tables.texts.get(name)!.count,
        ({ batch, texts }) => ({ codes: batch.columns[column.name].codes, numbers: texts.get(name)! }),
      );
      return textColumn(column, texts(gathered, rows, tables.texts.get(name)!));
    }
    if (column.type === "INTEGER") return integers(column, gatherIntegers(segments, rows, ({ columns }) => columns[column.name]), rows);
    return bigints(column, gatherBigints(segments, rows, ({ columns }) => columns[column.name]), rows);
  });
}

function textColumn(column: FlowColumn, chunk: ColumnChunk): EncodedColumn {
  return { column, chunk, range: null };
}

function numberColumn(column: FlowColumn, levels: Levels, { values, bounds, range }: NumbersEncoded): EncodedColumn {
  return { column, chunk: makeChunk(levels, values, bounds), range };
}

function integers(column: FlowColumn, { values, valueCount, valid }: GatheredIntegers, rows: number): EncodedColumn {
  return numberColumn(column, nullLevels(valid, rows, rows - valueCount), encodeNumbers(values, valueCount, 4));
}

function bigints(column: FlowColumn, { values, valueCount, valid, words }: GatheredBigints, rows: number): EncodedColumn {
  const levels = nullLevels(valid, rows, rows - valueCount);
  return numberColumn(column, levels, values === null ? encodePlain(words.slice(0, 2 * valueCount)) : encodeNumbers(values, valueCount, 8));
}

function texts({ codes, valueCount, valid, numbers }: GatheredTexts, rows: number, table: TextTable): ColumnChunk {
  const levels = nullLevels(valid, rows, rows - valueCount);
  if (valueCount === 0) return makeChunk(levels, NO_VALUES, null);
  return makeChunk(levels, encodeCodes(codes, valueCount, numbers.length, table.dictionary(numbers)), null);
}

function constantText(text: string, rows: number): ColumnChunk {
  return makeChunk(noNulls(rows), encodeCodes(NO_CODES, rows, 1, dictionaryOf([encoder.encode(text)])), null);
}

const NO_CODES = new Int32Array(0);
const FAMILIES = ["ipv4", "ipv6"].map((text) => encoder.encode(text));

function networkTypes({ codes, numbers }: AddressCodes, rows: number, table: AddressTable): ColumnChunk {
  const families = Int32Array.from(numbers, (number) => table.isIpv4(number) ? 0 : 1);
  const present = [0, 1].filter((family) => families.includes(family));
  const byRow = codes.map((code) => families[code]! - present[0]!);
  return makeChunk(noNulls(rows), encodeCodes(byRow, rows, present.length, dictionaryOf(present.map((family) => FAMILIES[family]!))), null);
}

function addressColumn({ codes, numbers }: AddressCodes, rows: number, dictionary: Uint8Array): ColumnChunk {
  return makeChunk(noNulls(rows), encodeCodes(codes, rows, numbers.length, dictionary), null);
}

/** Lists that are never null, of numbers that never are. */
function ports(segments: readonly Segment[]): ColumnChunk {
  const { values, valueCount, repetition, definition, levelCount } = gatherLists(segments);
  const levels = [withLength(hybrid(repetition, levelCount, 1)), withLength(hybrid(definition, levelCount, 2))];
  const bytes = new Uint8Array(levels[0]!.length + levels[1]!.length);
  bytes.set(levels[0]!);
  bytes.set(levels[1]!, levels[0]!.length);
  const { values: encoded, bounds } = encodeNumbers(values, valueCount, 4);
  return makeChunk({ count: levelCount, nulls: levelCount - valueCount, bytes }, encoded, bounds);
}
