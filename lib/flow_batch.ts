/** Topic message: a batch of flow rows as one Arrow IPC stream, which any Arrow reader opens without our code. */

import {
  Data,
  DataType,
  Dictionary,
  Field,
  FixedSizeBinary,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  TimestampMicrosecond,
  Utf8,
  Vector,
} from "apache-arrow";
import { type AgentLoss, lossMetadata, readLosses } from "./agent_loss.ts";
import { type ColumnPieces, type FieldShape, readPieces, schemaBytes, type TextPieces } from "./arrow_layout.ts";
import { packValidity, unpackValidity } from "./arrow_validity.ts";
import { verifyArrowStream } from "./arrow_verify.ts";
import { dictionaryTexts, type EncodedTexts, encodeTexts } from "./encoded_texts.ts";
import { type Column, type ColumnType, FLOW_SCHEMA_VERSION, MESSAGE_COLUMNS, type MessageColumn } from "./records.ts";

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

/** Rows by column; every column of `MESSAGE_COLUMNS` is present with `rowCount` rows. */
export interface FlowBatch {
  readonly rowCount: number;
  readonly columns: { readonly [C in MessageColumn as C["name"]]: ColumnDataByType[C["type"]] };
  /** What the collector found lost since its message before; absent where nothing was. */
  readonly agentLosses?: readonly AgentLoss[];
}

/** Most rows in one message; the decoder refuses more. */
export const BATCH_ROWS_MAX = 8_192;

const SCHEMA_VERSION_KEY = "skyfall.schema_version";

/** Encodes rows as an Arrow IPC stream of one record batch, which also tells of losses. */
export type BatchEncoder = (rowCount: number, columns: Readonly<Record<string, ColumnData>>, losses?: readonly AgentLoss[]) => Uint8Array;

/**
 * What encodes rows of a table; its metadata has the schema's version.
 *
 * @returns Throws a RangeError if there are no rows, more than `BATCH_ROWS_MAX`, or a column of another length.
 */
export function batchEncoder(columns: readonly Column[], schemaVersion: number): BatchEncoder {
  const fields = columns.map((c, i) => new Field(c.name, arrowType(c.type, i), c.nullable));
  const metadata = [[SCHEMA_VERSION_KEY, String(schemaVersion)]] as const, plain = new Schema(fields, new Map(metadata));
  return (rowCount, values, losses = []) => {
    if (rowCount < 1 || rowCount > BATCH_ROWS_MAX) {
      throw new RangeError(`Cannot encode batch: ${rowCount} rows, needed 1 to ${BATCH_ROWS_MAX}`);
    }
    const children = fields.map(({ name, type }) => {
      const data = toArrow(type, values[name]!, rowCount);
      if (data.length === rowCount) return data;
      throw new RangeError(`Cannot encode batch: column "${name}" has ${data.length} rows, needed ${rowCount}`);
    });
    const rows = makeData({ type: new Struct(fields), length: rowCount, nullCount: 0, children });
    const schema = losses.length === 0 ? plain : new Schema(fields, new Map([...metadata, ...lossMetadata(losses)]));
    return tableToIPC(new Table([new RecordBatch(schema, rows)]), "stream");
  };
}

const encodeColumns = batchEncoder(MESSAGE_COLUMNS, FLOW_SCHEMA_VERSION);

/** Encodes rows as a message. @throws {RangeError} As `batchEncoder()`. */
export function encodeFlowBatch({ rowCount, columns, agentLosses }: FlowBatch): Uint8Array {
  return encodeColumns(rowCount, columns, agentLosses);
}

/**
 * Decodes a message that `encodeFlowBatch()` of this version or an older one made, or another Arrow writer of the same schema.
 *
 * @throws {SyntaxError} If it is no Arrow stream, of a newer schema version, misses a column, or a column has another type.
 */
export function decodeFlowBatch(message: Uint8Array): FlowBatch {
  for (const schema of knownSchemas) {
    const pieces = readPieces(message, schema.bytes, schema.fields);
    if (pieces !== null && pieces.rowCount > 0 && pieces.rowCount <= BATCH_ROWS_MAX) {
      return toBatch(schema.version, pieces.rowCount, (column) => pieces.columns[schema.indexes.get(column.name)!]!);
    }
  }
  const table = parseArrow(message);
  const version = versionOf(table);
  const records = table.batches;
  const record = records[0];
  if (records.length !== 1 || record === undefined || record.numRows < 1 || record.numRows > BATCH_ROWS_MAX) {
    throw new SyntaxError(
      `Cannot decode flow batch: ${records.length} record batches of ${table.numRows} rows, needed one of 1 to ${BATCH_ROWS_MAX}`,
    );
  }
  const indexes = new Map(table.schema.fields.map(({ name }, i) => [name, i]));
  const batch = toBatch(version, record.numRows, (column) => {
    const data = record.data.children[indexes.get(column.name) ?? -1];
    if (data === undefined) throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" is missing`);
    assertType(column, data.type);
    return data;
  });
  const agentLosses = readLosses(table.schema.metadata);
  if (agentLosses.length > 0) return { ...batch, agentLosses }; // no other message has the same schema
  remember(message, table.schema, version, indexes);
  return batch;
}

/** Schema that a message was decoded of, so that another of the same is decoded for a fraction of the cost. */
interface KnownSchema {
  readonly bytes: Uint8Array;
  readonly fields: readonly FieldShape[];
  readonly version: number;
  /** Of the fields, by name. */
  readonly indexes: ReadonlyMap<string, number>;
}

/** Collectors of a few versions, and other Arrow writers, may write to one topic. */
const KNOWN_SCHEMAS_MAX = 4;
const knownSchemas: KnownSchema[] = [];

function remember(message: Uint8Array, schema: Schema, version: number, indexes: ReadonlyMap<string, number>): void {
  const bytes = schemaBytes(message), fields = schema.fields.map(({ type }) => shapeOf(type)).filter((shape) => shape !== null);
  if (bytes === null || fields.length < schema.fields.length) return;
  const isKnown = knownSchemas.some((known) => known.bytes.length === bytes.length && known.bytes.every((byte, i) => byte === bytes[i]));
  if (isKnown) return; // its messages are of another form than the quick way takes
  if (knownSchemas.length === KNOWN_SCHEMAS_MAX) knownSchemas.shift();
  knownSchemas.push({ bytes, fields, version, indexes });
}

/** Null for a type that none of our columns has. */
function shapeOf(type: DataType): FieldShape | null {
  const shape = (width: 1 | 4 | 8, isList = false, dictionaryId: number | null = null) => ({ width, isList, dictionaryId });
  const texts = DataType.isDictionary(type) ? type.id : 0;
  switch (String(type)) {
    case String(arrowType("VARCHAR", 0)):
      return shape(4, false, texts);
    case String(arrowType("BLOB", 0)):
      return shape(1);
    case String(arrowType("INTEGER", 0)):
      return shape(4);
    case String(arrowType("BIGINT", 0)):
    case String(arrowType("TIMESTAMPTZ", 0)):
      return shape(8);
    case String(arrowType("INTEGER[]", 0)):
      return shape(4, true);
    default:
      return null;
  }
}

function toBatch(version: number, rowCount: number, pieces: (column: MessageColumn) => ColumnPieces): FlowBatch {
  const columns: Record<string, ColumnData> = {};
  for (const column of MESSAGE_COLUMNS) {
    if (version >= column.since) columns[column.name] = fromArrow(column, pieces(column), rowCount);
  }
  return { rowCount, columns: { ...columns, ...addedSince(version, columns, rowCount) } as FlowBatch["columns"] };
}

function versionOf(table: Table): number {
  const text = table.schema.metadata.get(SCHEMA_VERSION_KEY);
  const version = /^[1-9]\d{0,4}$/.test(text ?? "") ? Number(text) : Infinity;
  if (version <= FLOW_SCHEMA_VERSION) return version;
  throw new SyntaxError(
    `Cannot decode flow batch: schema version "${
      text ?? "absent"
    }", needed "1" to "${FLOW_SCHEMA_VERSION}"; use a newer Skyfall for a newer one`,
  );
}

/** What a message of an older version says of columns that came later; `columns` are those that it has. */
function addedSince(version: number, columns: Readonly<Record<string, ColumnData>>, rowCount: number): Record<string, ColumnData> {
  if (version >= 2) return {};
  const integers = (value: number) => ({ values: new Int32Array(rowCount).fill(value) });
  const unknown = () => ({ values: new BigInt64Array(rowCount), valid: new Uint8Array(rowCount) });
  const role = columns["observer_role"] as TextColumn;
  return {
    flow_source: { codes: new Int32Array(rowCount), dictionary: ["skyfall"] },
    sampling_rate: integers(1),
    reporter: {
      codes: role.codes.map((code) => role.dictionary[code] === "server" ? 1 : 0),
      dictionary: ["client", "server"],
    },
    peer_bytes_sent: unknown(),
    peer_bytes_received: unknown(),
    fold_level: integers(0),
    late_count: { values: new BigInt64Array(rowCount) },
  };
}

function parseArrow(message: Uint8Array): Table {
  verifyArrowStream(message); // without which the library may hang or run out of memory
  let table: Table;
  try {
    table = tableFromIPC(message);
  } catch (cause) {
    throw new SyntaxError(noArrowStream(message), { cause });
  }
  if (table.schema.fields.length === 0) throw new SyntaxError(noArrowStream(message)); // so it answers bytes that are too few
  return table;
}

function noArrowStream(message: Uint8Array): string {
  return `Cannot decode flow batch: ${message.length} bytes are no Arrow IPC stream`;
}

function arrowType(type: ColumnType, index: number): DataType {
  switch (type) {
    case "VARCHAR":
      return new Dictionary(new Utf8(), new Int32(), index);
    case "BLOB":
      return new FixedSizeBinary(16);
    case "INTEGER":
      return new Int32();
    case "BIGINT":
      return new Int64();
    case "TIMESTAMPTZ":
      return new TimestampMicrosecond("UTC");
    case "INTEGER[]":
      return new List(new Field("item", new Int32(), false));
    case "BIGINT[]":
      return new List(new Field("item", new Int64(), false));
  }
}

function toArrow(type: DataType, column: ColumnData, rowCount: number): Data {
  if ("codes" in column) {
    const dictionary = new Vector([utf8Data(column.dictionary)]);
    const validity = packValidity(rowCount, (i) => column.codes[i]! >= 0);
    const codes = validity.nullCount === 0 ? column.codes : column.codes.map((code) => code < 0 ? 0 : code);
    return makeData({ type: type as Dictionary<Utf8, Int32>, length: column.codes.length, data: codes, dictionary, ...validity });
  }
  if ("offsets" in column) {
    const { values } = column;
    const child = values instanceof Int32Array
      ? makeData({ type: new Int32(), data: values, nullCount: 0 })
      : makeData({ type: new Int64(), data: values, nullCount: 0 });
    return makeData({ type: type as List, length: column.offsets.length - 1, nullCount: 0, valueOffsets: column.offsets, child });
  }
  if ("bytes" in column) {
    return makeData({ type: type as FixedSizeBinary, length: column.bytes.length / 16, nullCount: 0, data: column.bytes });
  }
  const valid = column.valid;
  const validity = valid === undefined ? { nullCount: 0 } : packValidity(rowCount, (i) => valid[i] === 1);
  return makeData({ type: type as Int32, length: column.values.length, data: column.values as Int32Array, ...validity });
}

function utf8Data(texts: readonly string[]): Data<Utf8> {
  const { offsets, bytes } = encodeTexts(texts);
  return makeData({ type: new Utf8(), length: texts.length, nullCount: 0, valueOffsets: offsets, data: bytes });
}

function assertType(column: MessageColumn, type: DataType): void {
  const expected = arrowType(column.type, 0);
  if (String(type) === String(expected)) return;
  throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" has type "${type}", needed "${expected}"`);
}

function fromArrow(column: MessageColumn, data: ColumnPieces, rowCount: number): ColumnData {
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
  const { length } = data.dictionary;
  const { valid } = unpackValidity(data, rowCount);
  const codes = new Int32Array(rowCount);
  codes.set((data.values as Int32Array).subarray(0, rowCount));
  for (let i = 0; i < rowCount; i++) {
    if (valid !== undefined && valid[i] === 0) codes[i] = -1;
    else if (codes[i]! < 0 || codes[i]! >= length) {
      throw new SyntaxError(`Cannot decode flow batch: column "${name}" row ${i} has code ${codes[i]}, needed 0 to ${length - 1}`);
    }
  }
  for (const piece of data.dictionary.data) assertOffsets(name, piece.valueOffsets, piece.length, piece.values.length);
  return new ArrowTextColumn(codes, data.dictionary.data);
}

/** @throws {SyntaxError} If offsets of `count` values do not ascend to at most `length`. */
function assertOffsets(name: string, offsets: Int32Array, count: number, length: number): void {
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
