/** A row group of `flow`: encodes each column of its rows. */

import { type Column, FLOW_COLUMNS, type FlowColumn } from "../lib/records.ts";
import type { AddressTable } from "./address_table.ts";
import type { BigintBuffer, CodeBuffer, IntegerBuffer } from "./column_buffers.ts";
import type { ListBuffer } from "./list_buffer.ts";
import { hybrid } from "./parquet/bit_packing.ts";
import {
  type ColumnChunk,
  type Dictionary,
  encodeCodes,
  type Levels,
  listLevels,
  makeChunk,
  NO_VALUES,
  noNulls,
  nullLevels,
  withDictionary,
} from "./parquet/column_chunk.ts";
import { dictionaryOf } from "./parquet/dictionary.ts";
import { encodeConstant, encodeNumbers, encodePlain, type NumbersEncoded } from "./parquet/numbers.ts";
import type { RowBuffer, TextColumnName } from "./row_buffer.ts";
import type { TextTable } from "./text_table.ts";

/** What all rows of a commit have in common. */
export interface Provenance {
  readonly topicName: string;
  /** As ISO 8601. */
  readonly ingestTime: string;
}

export interface Tables {
  readonly texts: ReadonlyMap<TextColumnName, TextTable>;
  readonly addresses: AddressTable;
}

/** A column, and what numbers it has. */
export interface EncodedColumn {
  readonly column: Column;
  readonly chunk: ColumnChunk;
  readonly range: NumbersEncoded["range"];
}

const encoder = new TextEncoder();

/** Columns of the rows in the order of `FLOW_COLUMNS`, but for those that all rows of a commit have in common. The rows are spent. */
export function encodeRowGroup(rows: RowBuffer, tables: Tables): EncodedColumn[] {
  return new RowGroupEncoder(rows, tables).encode();
}

/** All columns, with those that the commit brings. */
export function withProvenance(columns: readonly EncodedColumn[], rows: number, { topicName, ingestTime }: Provenance): EncodedColumn[] {
  const byName = new Map(columns.map((column) => [column.column.name, column]));
  return FLOW_COLUMNS.map((column) => {
    if (column.name === "src_topic") return textColumn(column, constantBytes(encoder.encode(topicName), rows));
    if (column.name === "ingest_time") return numberColumn(column, noNulls(rows), encodeConstant(Date.parse(ingestTime) * 1_000, rows, 8));
    return byName.get(column.name)!;
  });
}

/** A column of codes whose page is that of every other whose rows have the same. */
interface CodedColumn {
  readonly buffer: CodeBuffer;
  readonly chunk: ColumnChunk;
}

class RowGroupEncoder {
  readonly #rows: RowBuffer;
  readonly #tables: Tables;
  readonly #coded: CodedColumn[] = [];

  constructor(rows: RowBuffer, tables: Tables) {
    this.#rows = rows;
    this.#tables = tables;
    for (const buffer of [rows.clients, rows.servers]) buffer.encode(tables.addresses.count);
    for (const [name, buffer] of rows.texts) buffer.encode(tables.texts.get(name)!.count);
  }

  encode(): EncodedColumn[] {
    return FLOW_COLUMNS.filter(({ name }) => name !== "src_topic" && name !== "ingest_time").map((column) => this.#encodeColumn(column));
  }

  #encodeColumn(column: FlowColumn): EncodedColumn {
    const { clients, servers, partitions, offsets, indexes, clientPorts } = this.#rows, { addresses } = this.#tables;
    switch (column.name) {
      case "network_type":
        return textColumn(column, this.#networkTypes(clients));
      case "client_address":
      case "server_address":
        return this.#codes(column, column.name === "client_address" ? clients : servers, (entries) => addresses.textDictionary(entries));
      case "client_ip":
      case "server_ip":
        return this.#codes(column, column.name === "client_ip" ? clients : servers, (entries) => addresses.dictionary(entries));
      case "src_partition":
        return this.#integers(column, partitions);
      case "src_offset":
        return this.#bigints(column, offsets);
      case "src_index":
        return this.#integers(column, indexes);
      case "client_ports":
        return textColumn(column, ports(clientPorts));
    }
    if (column.origin === "etl") throw new TypeError(`Cannot encode column "${column.name}": it is the commit's`);
    const { texts, integers, bigints } = this.#rows;
    if (column.type === "INTEGER") return this.#integers(column, integers.get(column.name)!);
    if (column.type === "BIGINT" || column.type === "TIMESTAMPTZ") return this.#bigints(column, bigints.get(column.name)!);
    const table = this.#tables.texts.get(column.name)!;
    return this.#codes(column, texts.get(column.name)!, (entries) => table.dictionary(entries));
  }

  #integers(column: FlowColumn, buffer: IntegerBuffer): EncodedColumn {
    const { values, valueCount, valid, range } = buffer.take(this.#rows.rowCount);
    return numberColumn(column, this.#levels(valid, valueCount), encodeNumbers(values, valueCount, 4, range));
  }

  #bigints(column: FlowColumn, buffer: BigintBuffer): EncodedColumn {
    const { values, valueCount, valid, words, range } = buffer.take(this.#rows.rowCount), levels = this.#levels(valid, valueCount);
    return numberColumn(
      column,
      levels,
      values === null ? encodePlain(words.slice(0, 2 * valueCount)) : encodeNumbers(values, valueCount, 8, range),
    );
  }

  #codes(column: FlowColumn, buffer: CodeBuffer, dictionaryOf: (entries: readonly number[]) => Uint8Array): EncodedColumn {
    const { entries } = buffer;
    if (entries.length === 0) return textColumn(column, makeChunk(nullsAlone(this.#rows.rowCount), NO_VALUES, null));
    const dictionary = { count: entries.length, bytes: dictionaryOf(entries) };
    const known = this.#coded.find((coded) => coded.buffer === buffer || coded.buffer.hasSameCodes(buffer));
    if (known !== undefined) return textColumn(column, withDictionary(known.chunk, dictionary));
    const chunk = this.#codeChunk(buffer, dictionary);
    this.#coded.push({ buffer, chunk });
    return textColumn(column, chunk);
  }

  #codeChunk(buffer: CodeBuffer, dictionary: Dictionary): ColumnChunk {
    const { codes, valueCount, valid } = buffer.take();
    return makeChunk(this.#levels(valid, valueCount), encodeCodes(codes, valueCount, dictionary), null);
  }

  #networkTypes(clients: CodeBuffer): ColumnChunk {
    const families = Int32Array.from(clients.entries, (number) => this.#tables.addresses.isIpv4(number) ? 0 : 1);
    const { codes, valueCount } = clients.take(), first = families[0]!;
    if (families.every((family) => family === first)) return constantBytes(FAMILIES[first]!, valueCount);
    const byRow = new Uint8Array(valueCount);
    for (let row = 0; row < valueCount; row++) byRow[row] = families[codes[row]!]!;
    return makeChunk(noNulls(valueCount), encodeCodes(byRow, valueCount, { count: FAMILIES.length, bytes: dictionaryOf(FAMILIES) }), null);
  }

  #levels(valid: Uint8Array | null, valueCount: number): Levels {
    const { rowCount } = this.#rows;
    return valid === null ? noNulls(rowCount) : nullLevels(valid, rowCount, rowCount - valueCount);
  }
}

function textColumn(column: FlowColumn, chunk: ColumnChunk): EncodedColumn {
  return { column, chunk, range: null };
}

function numberColumn(column: FlowColumn, levels: Levels, { values, bounds, range }: NumbersEncoded): EncodedColumn {
  return { column, chunk: makeChunk(levels, values, bounds), range };
}

function nullsAlone(rows: number): Levels {
  return nullLevels(new Uint8Array(0), rows, rows);
}

const FAMILIES = ["ipv4", "ipv6"].map((text) => encoder.encode(text));
const NO_CODES = new Int32Array(0);

function constantBytes(value: Uint8Array, rows: number): ColumnChunk {
  return makeChunk(noNulls(rows), encodeCodes(NO_CODES, rows, { count: 1, bytes: dictionaryOf([value]) }), null);
}

/** Lists that are never null, of numbers that never are. */
function ports(buffer: ListBuffer): ColumnChunk {
  const { values, valueCount, repetition, definition, levelCount } = buffer.take();
  const levels = listLevels(hybrid(repetition, levelCount, 1), hybrid(definition, levelCount, 2), levelCount, levelCount - valueCount);
  const { values: encoded, bounds } = encodeNumbers(values, valueCount, 4);
  return makeChunk(levels, encoded, bounds);
}
