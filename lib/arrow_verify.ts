/**
 * Checks an Arrow IPC stream before the Arrow library reads it, which follows damaged lengths until it hangs or has no memory left
 * (Arrow columnar format, "IPC Streaming Format"; Message.fbs and Schema.fbs).
 */

import { type FieldShape, FlatBuffer, readInt64, type TableShape } from "./flat_buffer.ts";

const WHAT = "Arrow stream";
/** Before a message's metadata: a mark, and their length. */
const PREFIX_BYTES = 8, CONTINUATION = -1;
/** Bytes of the structs `FieldNode` and `Buffer`: two numbers of 64 bits. */
const PAIR_BYTES = 16;
/** `MessageHeader` of Message.fbs. */
const SCHEMA = 1, DICTIONARY_BATCH = 2, RECORD_BATCH = 3;
/** `MetadataVersion` of Schema.fbs; buffers lay otherwise before. */
const VERSION_4 = 3, VERSION_5 = 4;
/** Of the tables below, the number of each field that is looked at. */
const MESSAGE_FIELD = { version: 0, type: 1, header: 2, bodyLength: 3 };
const SCHEMA_FIELD = { endianness: 0, fields: 1 }, FIELD_FIELD = { dictionary: 4, children: 5 };
const DICTIONARY_FIELD = { data: 1 }, BATCH_FIELD = { length: 0, nodes: 1, buffers: 2, compression: 3 };

const KEY_VALUES: FieldShape = { tables: ["text", "text"] };
const INT: TableShape = [4, 1];
/** `Type` of Schema.fbs; those that are not here have no fields. */
const TYPES: Readonly<Record<number, TableShape>> = {
  2: INT,
  3: [2], // FloatingPoint
  7: [4, 4, 4], // Decimal
  8: [2], // Date
  9: [2, 4], // Time
  10: [2, "text"], // Timestamp
  11: [2], // Interval
  14: [2, { itemBytes: 4 }], // Union
  15: [4], // FixedSizeBinary
  16: [4], // FixedSizeList
  17: [1], // Map
  18: [2], // Duration
};
const DICTIONARY_ENCODING: TableShape = [8, { table: INT }, 1, 2];
const FIELD: FieldShape[] = ["text", 1, 1, { union: TYPES }, { table: DICTIONARY_ENCODING }];
FIELD.push({ tables: FIELD }, KEY_VALUES);
const BATCH: TableShape = [8, { itemBytes: PAIR_BYTES }, { itemBytes: PAIR_BYTES }, { table: [1, 1] }, { itemBytes: 8 }];
const HEADERS: Readonly<Record<number, TableShape>> = {
  [SCHEMA]: [2, { tables: FIELD }, KEY_VALUES, { itemBytes: 8 }],
  [DICTIONARY_BATCH]: [8, { table: BATCH }, 1],
  [RECORD_BATCH]: BATCH,
};
const MESSAGE: TableShape = [2, 1, { union: HEADERS }, 8, KEY_VALUES];

/** A message of the stream whose metadata were checked. */
interface Message {
  readonly metadata: FlatBuffer;
  readonly type: number;
  readonly header: number;
  readonly body: number;
  readonly bodyLength: number;
}

/**
 * Looks at every message of a stream, but at no value of a column: offsets and codes may still be wrong.
 *
 * @throws {SyntaxError} If it is cut short, a length or an offset leads out of it, or a batch has not the schema's columns.
 */
export function verifyArrowStream(stream: Uint8Array): void {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  let columns: readonly number[] | null = null;
  for (let at = 0; at < stream.length;) {
    const message = readMessage(view, at);
    if (message === null) break;
    const { metadata, type, header, body, bodyLength } = message;
    if ((type === SCHEMA) !== (columns === null)) throw damaged(`message of type ${type} at byte ${at}, needed one schema, as the first`);
    if (columns === null) columns = columnNodes(metadata, header, bodyLength);
    else if (type === RECORD_BATCH) verifyBatch(view, message, header, columns);
    else verifyBatch(view, message, metadata.table(header, DICTIONARY_FIELD.data), null);
    at = body + bodyLength;
  }
  if (columns === null) throw damaged(`${stream.length} bytes without a message, needed a schema`);
}

/** Null at the stream's end. */
function readMessage(view: DataView, at: number): Message | null {
  const left = view.byteLength - at - PREFIX_BYTES;
  if (left < 0) throw damaged(`${left + PREFIX_BYTES} bytes at byte ${at}, needed a message or the end`);
  const mark = view.getInt32(at, true), length = view.getInt32(at + 4, true);
  if (mark !== CONTINUATION) throw damaged(`${mark} at byte ${at}, needed ${CONTINUATION} before a message`);
  if (length === 0) return null;
  if (length < 0 || length > left) throw damaged(`metadata of ${length} bytes at byte ${at}, needed at most ${left}`);
  const start = at + PREFIX_BYTES, body = start + length;
  const metadata = new FlatBuffer(WHAT, view, start, body), root = metadata.check(MESSAGE);
  const version = metadata.number(root, MESSAGE_FIELD.version, 2), type = metadata.number(root, MESSAGE_FIELD.type, 1);
  if (version < VERSION_4 || version > VERSION_5) {
    throw damaged(`metadata version ${version} at byte ${at}, needed 3 or 4, which are V4 and V5`);
  }
  const header = metadata.table(root, MESSAGE_FIELD.header);
  if (HEADERS[type] === undefined || header === 0) throw damaged(`message of type ${type} at byte ${at}, needed a schema or a batch`);
  const bodyLength = metadata.number(root, MESSAGE_FIELD.bodyLength, 8);
  if (bodyLength < 0 || bodyLength > left - length) {
    throw damaged(`body of ${bodyLength} bytes at byte ${body}, needed 0 to ${left - length}`);
  }
  return { metadata, type, header, body, bodyLength };
}

/** How many field nodes a record batch has for each column. */
function columnNodes(metadata: FlatBuffer, schema: number, bodyLength: number): number[] {
  const endianness = metadata.number(schema, SCHEMA_FIELD.endianness, 2);
  if (endianness !== 0) throw damaged(`endianness ${endianness}, needed 0, which is little-endian`);
  if (bodyLength > 0) throw damaged(`schema with a body of ${bodyLength} bytes, needed none`);
  return metadata.tables(schema, SCHEMA_FIELD.fields).map((field) => fieldNodes(metadata, field));
}

function fieldNodes(metadata: FlatBuffer, field: number): number {
  if (metadata.table(field, FIELD_FIELD.dictionary) !== 0) return 1; // its children are those of the dictionary's values
  return metadata.tables(field, FIELD_FIELD.children).reduce((sum, child) => sum + fieldNodes(metadata, child), 1);
}

/** @param columns As `columnNodes()` gave them; null for a batch of a dictionary, which has one column of any type. */
function verifyBatch(view: DataView, { metadata, body, bodyLength }: Message, batch: number, columns: readonly number[] | null): void {
  if (batch === 0) throw damaged(`dictionary without a batch before byte ${body}, needed one`);
  if (metadata.table(batch, BATCH_FIELD.compression) !== 0) throw damaged(`compressed body at byte ${body}, needed one that is not`);
  const nodes = metadata.items(batch, BATCH_FIELD.nodes), buffers = metadata.items(batch, BATCH_FIELD.buffers);
  const counts = columns ?? [nodes.count], needed = counts.reduce((sum, count) => sum + count, 0);
  if (nodes.count !== needed || needed === 0) {
    throw damaged(`batch of ${nodes.count} nodes before byte ${body}, needed ${needed || "some"}`);
  }
  // A value has at least a bit, but for types that have none in the body.
  const rows = metadata.number(batch, BATCH_FIELD.length, 8), rowsMax = 8 * bodyLength;
  for (let i = 0; i < nodes.count; i++) {
    const length = readInt64(view, nodes.at + i * PAIR_BYTES), nulls = readInt64(view, nodes.at + i * PAIR_BYTES + 8);
    if (length >= 0 && length <= rowsMax && nulls >= 0 && nulls <= length) continue;
    throw damaged(`node ${i} of ${length} values and ${nulls} nulls before byte ${body}, needed 0 to ${rowsMax} values and no more nulls`);
  }
  for (let i = 0, node = 0; i < counts.length; node += counts[i++] ?? 0) {
    const length = readInt64(view, nodes.at + node * PAIR_BYTES);
    if (length !== rows) throw damaged(`column ${i} of ${length} rows before byte ${body}, needed ${rows}`);
  }
  for (let i = 0; i < buffers.count; i++) {
    const offset = readInt64(view, buffers.at + i * PAIR_BYTES), length = readInt64(view, buffers.at + i * PAIR_BYTES + 8);
    if (offset >= 0 && length >= 0 && offset + length <= bodyLength) continue;
    throw damaged(`buffer ${i} of ${length} bytes at ${offset} of the body at byte ${body}, needed within its ${bodyLength}`);
  }
}

function damaged(text: string): SyntaxError {
  return new SyntaxError(`Cannot decode ${WHAT}: ${text}`);
}
