/** A Parquet file: row groups of column chunks, and the footer that describes them (parquet.thrift). */

import type { Column, ColumnType } from "../../lib/records.ts";
import { type ColumnChunk, ENCODING } from "./column_chunk.ts";
import { ThriftStruct } from "./thrift_compact.ts";

const MAGIC = new TextEncoder().encode("PAR1");
const FORMAT_VERSION = 2;
/** Numbers of parquet.thrift. */
const INT32 = 1, INT64 = 2, BYTE_ARRAY = 6;
const REQUIRED = 0, OPTIONAL = 1, REPEATED = 2;
const UTF8 = 0, LIST = 3, TIMESTAMP_MICROS = 10, INT_32 = 17, INT_64 = 18;

interface PhysicalType {
  readonly type: number;
  readonly converted: number | null;
}

/** Of a list, its elements'. */
function physicalType(type: ColumnType): PhysicalType {
  switch (type) {
    case "VARCHAR":
      return { type: BYTE_ARRAY, converted: UTF8 };
    case "BLOB":
      return { type: BYTE_ARRAY, converted: null };
    case "INTEGER":
    case "INTEGER[]":
      return { type: INT32, converted: INT_32 };
    case "BIGINT":
    case "BIGINT[]":
      return { type: INT64, converted: INT_64 };
    case "TIMESTAMPTZ":
      return { type: INT64, converted: TIMESTAMP_MICROS };
  }
}

interface RowGroup {
  readonly rows: number;
  readonly offset: number;
  readonly chunks: readonly ColumnChunk[];
}

/** Collects a file's bytes in memory. */
export class ParquetFile {
  readonly #columns: readonly Column[];
  readonly #createdBy: string;
  readonly #parts: Uint8Array[] = [MAGIC];
  readonly #rowGroups: RowGroup[] = [];
  #length = MAGIC.length;

  /** @param createdBy Program and version, as the footer names them. */
  constructor(columns: readonly Column[], createdBy: string) {
    this.#columns = columns;
    this.#createdBy = createdBy;
  }

  /** @param chunks One for each column, in their order. */
  addRowGroup(rows: number, chunks: readonly ColumnChunk[]): void {
    this.#rowGroups.push({ rows, offset: this.#length, chunks });
    for (const { dictionary, data, byteLength } of chunks) {
      if (dictionary !== null) this.#parts.push(dictionary.header, dictionary.stored);
      this.#parts.push(data.header, data.stored);
      this.#length += byteLength;
    }
  }

  /** The whole file, in pieces. */
  finish(): readonly Uint8Array[] {
    const footer = ThriftStruct.encode((fields) => this.#writeFooter(fields));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, footer.length, true);
    return [...this.#parts, footer, length, MAGIC];
  }

  #writeFooter(fields: ThriftStruct): void {
    fields.i32(1, FORMAT_VERSION);
    const root = { name: "schema", write: (fields: ThriftStruct) => writeGroup(fields, REQUIRED, "schema", this.#columns.length, null) };
    fields.structs(2, [root, ...this.#columns.flatMap(schemaElements)], (fields, { write }) => write(fields));
    fields.i64(3, this.#rowGroups.reduce((sum, { rows }) => sum + rows, 0));
    fields.structs(4, this.#rowGroups, (fields, group) => this.#writeRowGroup(fields, group));
    fields.text(6, this.#createdBy);
    // Bounds are in the order of the column's type.
    fields.structs(7, this.#columns, (fields) => fields.struct(1, () => {}));
  }

  #writeRowGroup(fields: ThriftStruct, { rows, offset, chunks }: RowGroup): void {
    let at = offset;
    const places = chunks.map((chunk, i) => {
      const place = { chunk, column: this.#columns[i]!, offset: at };
      at += chunk.byteLength;
      return place;
    });
    fields.structs(1, places, (fields, place) => {
      fields.i64(2, place.offset + (place.chunk.dictionary === null ? place.chunk.dataPageOffset : 0));
      fields.struct(3, (fields) => writeChunk(fields, place.column, place.chunk, place.offset));
    });
    fields.i64(2, chunks.reduce((sum, { uncompressedByteLength }) => sum + uncompressedByteLength, 0));
    fields.i64(3, rows);
    fields.i64(5, offset);
    fields.i64(6, at - offset);
  }
}

function isList(type: ColumnType): boolean {
  return type === "INTEGER[]" || type === "BIGINT[]";
}

interface SchemaElement {
  readonly name: string;
  readonly write: (fields: ThriftStruct) => void;
}

function schemaElements({ name, type }: Column): SchemaElement[] {
  if (!isList(type)) return [leaf(name, physicalType(type), type === "TIMESTAMPTZ")];
  return [
    { name, write: (fields) => writeGroup(fields, OPTIONAL, name, 1, LIST) },
    { name: "list", write: (fields) => writeGroup(fields, REPEATED, "list", 1, null) },
    leaf("element", physicalType(type), false),
  ];
}

function leaf(name: string, { type, converted }: PhysicalType, isTime: boolean): SchemaElement {
  const write = (fields: ThriftStruct) => {
    fields.i32(1, type);
    fields.i32(3, OPTIONAL);
    fields.text(4, name);
    if (converted !== null) fields.i32(6, converted);
    if (isTime) fields.struct(10, (logical) => logical.struct(8, writeMicrosecondsUtc));
  };
  return { name, write };
}

function writeMicrosecondsUtc(timestamp: ThriftStruct): void {
  timestamp.true(1);
  timestamp.struct(2, (unit) => unit.struct(2, () => {}));
}

function writeGroup(fields: ThriftStruct, repetition: number, name: string, children: number, converted: number | null): void {
  fields.i32(3, repetition);
  fields.text(4, name);
  fields.i32(5, children);
  if (converted !== null) fields.i32(6, converted);
}

function writeChunk(fields: ThriftStruct, { name, type }: Column, chunk: ColumnChunk, offset: number): void {
  fields.i32(1, physicalType(type).type);
  fields.i32s(2, [ENCODING.rle, ENCODING.plain, chunk.encoding]);
  fields.texts(3, isList(type) ? [name, "list", "element"] : [name]);
  fields.i32(4, chunk.codec);
  fields.i64(5, chunk.valueCount);
  fields.i64(6, chunk.uncompressedByteLength);
  fields.i64(7, chunk.byteLength);
  fields.i64(9, offset + chunk.dataPageOffset);
  if (chunk.dictionary !== null) fields.i64(11, offset);
  fields.struct(12, (statistics) => {
    statistics.i64(3, chunk.nullCount);
    if (chunk.bounds === null) return;
    statistics.binary(5, chunk.bounds.max);
    statistics.binary(6, chunk.bounds.min);
  });
}
