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
import { fromArrow } from "./arrow_columns.ts";
import { type ColumnPieces, type FieldShape, readPieces, schemaBytes } from "./arrow_layout.ts";
import { packValidity } from "./arrow_validity.ts";
import { verifyArrowStream } from "./arrow_verify.ts";
import type { ColumnData, ColumnDataByType, TextColumn } from "./column_data.ts";
import { encodeTexts } from "./encoded_texts.ts";
import { type Column, type ColumnType, FLOW_SCHEMA_VERSION, MESSAGE_COLUMNS, type MessageColumn } from "./records.ts";

export type { AddressColumn, BigintColumn, ColumnData, ColumnDataByType, IntegerColumn, ListColumn, TextColumn } from "./column_data.ts";

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
  return decodeKnown(message) ?? decodeAny(message);
}

/** Null where the schema is none that was met before, or the message is of another form than the quick way takes. */
function decodeKnown(message: Uint8Array): FlowBatch | null {
  for (const schema of knownSchemas) {
    const batch = decodeOf(schema, message);
    if (batch !== null) return batch;
  }
  return null;
}

function decodeOf({ bytes, fields, version, indexes }: KnownSchema, message: Uint8Array): FlowBatch | null {
  const pieces = readPieces(message, bytes, fields);
  if (pieces === null || pieces.rowCount === 0 || pieces.rowCount > BATCH_ROWS_MAX) return null;
  return toBatch(version, pieces.rowCount, (column) => pieces.columns[indexes.get(column.name)!]!);
}

function decodeAny(message: Uint8Array): FlowBatch {
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
  const fieldOf = (column: MessageColumn) => {
    const data = record.data.children[indexes.get(column.name) ?? -1];
    if (data === undefined) throw new SyntaxError(`Cannot decode flow batch: column "${column.name}" is missing`);
    assertType(column, data.type);
    return data;
  };
  for (const column of MESSAGE_COLUMNS) if (version >= column.since) fieldOf(column);
  const agentLosses = readLosses(table.schema.metadata), known = knownSchemaOf(message, table.schema, version, indexes);
  // No other message has the schema of one that tells of losses.
  if (known !== null && agentLosses.length === 0) remember(known);
  // The quick way even now: what reads columns is compiled for one kind of objects, and objects of the library are another.
  const batch = (known === null ? null : decodeOf(known, message)) ?? toBatch(version, record.numRows, fieldOf);
  return agentLosses.length === 0 ? batch : { ...batch, agentLosses };
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

/** Null where the stream has no plain schema, or columns of other types than ours. */
function knownSchemaOf(message: Uint8Array, schema: Schema, version: number, indexes: ReadonlyMap<string, number>): KnownSchema | null {
  const bytes = schemaBytes(message), fields = schema.fields.map(({ type }) => shapeOf(type)).filter((shape) => shape !== null);
  return bytes === null || fields.length < schema.fields.length ? null : { bytes, fields, version, indexes };
}

function remember(schema: KnownSchema): void {
  const { bytes } = schema;
  const isKnown = knownSchemas.some((known) => known.bytes.length === bytes.length && known.bytes.every((byte, i) => byte === bytes[i]));
  if (isKnown) return; // its messages are of another form than the quick way takes
  if (knownSchemas.length === KNOWN_SCHEMAS_MAX) knownSchemas.shift();
  knownSchemas.push(schema);
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
