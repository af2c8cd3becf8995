/**
 * Finds the buffers of an Arrow IPC stream whose schema was read before, without the objects of a general reader, which cost more
 * than the rows (Arrow columnar format, "IPC Streaming Format"; metadata are FlatBuffers). What is not as expected is no error here:
 * the general reader knows better.
 */

/** How a field lies in a record batch; a list's is of its elements. */
export interface FieldShape {
  /** Bytes of a value, 1 where they are not numbers. */
  readonly width: 1 | 4 | 8;
  readonly isList: boolean;
  /** Of a dictionary whose values are texts, else null. */
  readonly dictionaryId: number | null;
}

type Values = Int32Array | BigInt64Array | Uint8Array;

/** Texts: the i-th is `values` from `valueOffsets[i]` to before the next. */
export interface TextPieces {
  readonly length: number;
  readonly valueOffsets: Int32Array;
  readonly values: Uint8Array;
}

/** Buffers of a column; those that it has not are empty. */
export interface ColumnPieces {
  readonly nullCount: number;
  readonly nullBitmap: Uint8Array;
  readonly values: Values;
  readonly valueOffsets: Int32Array;
  readonly children: readonly { readonly values: Values }[];
  readonly dictionary?: { readonly length: number; readonly data: readonly TextPieces[] } | undefined;
}

export interface RecordPieces {
  readonly rowCount: number;
  /** In the order of the schema's fields. */
  readonly columns: readonly ColumnPieces[];
}

/** Before a message's metadata: a mark, and their length. */
const PREFIX_BYTES = 8, CONTINUATION = -1;
/** `MessageHeader` of Message.fbs. */
const DICTIONARY_BATCH = 2, RECORD_BATCH = 3;
/** `MetadataVersion` of Schema.fbs, in the lower of its two bytes. */
const VERSION_4 = 3, VERSION_5 = 4;
/** Fields of the tables of Message.fbs by their number. */
const MESSAGE = { version: 0, type: 1, header: 2, bodyLength: 3 }, DICTIONARY = { id: 0, data: 1, isDelta: 2 };
const BATCH = { length: 0, nodes: 1, buffers: 2, compression: 3 };
/** Bytes of the structs `FieldNode` and `Buffer`: two numbers of 64 bits. */
const PAIR_BYTES = 16;
const NO_OFFSETS = new Int32Array(0);

/** The stream's first message with its prefix, which is its schema; null where it has none. */
export function schemaBytes(stream: Uint8Array): Uint8Array | null {
  if (stream.length < PREFIX_BYTES) return null;
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const end = PREFIX_BYTES + view.getInt32(4, true);
  return view.getInt32(0, true) === CONTINUATION && end > PREFIX_BYTES && end <= stream.length ? stream.slice(0, end) : null;
}

/**
 * Buffers of a stream of this schema with one record batch, as views of the stream's own bytes.
 *
 * @param schema As `schemaBytes()` gave it of another stream.
 * @returns Null where it has another schema, or is not of the plainest form.
 */
export function readPieces(stream: Uint8Array, schema: Uint8Array, fields: readonly FieldShape[]): RecordPieces | null {
  if (!beginsWith(stream, schema)) return null;
  const aligned = stream.byteOffset % 8 === 0 ? stream : stream.slice();
  try {
    return new StreamReader(aligned).read(schema.length, fields);
  } catch (error) {
    if (error instanceof RangeError) return null; // an offset that leads out of the stream
    throw error;
  }
}

function beginsWith(stream: Uint8Array, prefix: Uint8Array): boolean {
  if (stream.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (stream[i] !== prefix[i]) return false;
  return true;
}

/** A batch's nodes and buffers, and where its body begins. */
interface Batch {
  readonly rowCount: number;
  readonly nodes: number;
  readonly nodeCount: number;
  readonly buffers: number;
  readonly bufferCount: number;
  readonly body: number;
  readonly bodyLength: number;
}

class StreamReader {
  readonly #stream: Uint8Array;
  readonly #view: DataView;

  constructor(stream: Uint8Array) {
    this.#stream = stream;
    this.#view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  }

  /** @throws {RangeError} Where an offset leads out of the stream. */
  read(start: number, fields: readonly FieldShape[]): RecordPieces | null {
    const dictionaries = new Map<number, TextPieces>();
    let record: Batch | null = null;
    for (let at = start; at < this.#stream.length;) {
      const metadata = at + PREFIX_BYTES, length = this.#view.getInt32(at + 4, true);
      if (this.#view.getInt32(at, true) !== CONTINUATION) return null;
      if (length === 0) break;
      if (length < 0) return null;
      const message = metadata + this.#view.getInt32(metadata, true);
      const header = this.#reference(message, MESSAGE.header), type = this.#byte(message, MESSAGE.type);
      const body = metadata + length, bodyLength = this.#long(message, MESSAGE.bodyLength);
      const version = this.#byte(message, MESSAGE.version);
      if (version < VERSION_4 || version > VERSION_5) return null;
      if (header === 0 || bodyLength < 0 || body + bodyLength > this.#stream.length || record !== null) return null;
      if (type === RECORD_BATCH) record = this.#batch(header, body, bodyLength);
      else if (type !== DICTIONARY_BATCH || !this.#readDictionary(header, body, bodyLength, dictionaries)) return null;
      if (type === RECORD_BATCH && record === null) return null;
      at = body + bodyLength;
    }
    return record === null ? null : this.#columns(record, fields, dictionaries);
  }

  #readDictionary(header: number, body: number, bodyLength: number, dictionaries: Map<number, TextPieces>): boolean {
    const id = this.#long(header, DICTIONARY.id), data = this.#reference(header, DICTIONARY.data);
    if (data === 0 || this.#byte(header, DICTIONARY.isDelta) !== 0 || dictionaries.has(id)) return false;
    const batch = this.#batch(data, body, bodyLength);
    if (batch === null || batch.nodeCount !== 1 || batch.bufferCount !== 3 || !this.#isNode(batch, 0, batch.rowCount)) return false;
    if (this.#buffer(batch, 0, 1) === null) return false;
    const valueOffsets = this.#buffer(batch, 1, 4), values = this.#buffer(batch, 2, 1);
    if (!(valueOffsets instanceof Int32Array) || !(values instanceof Uint8Array)) return false;
    if (batch.rowCount > 0 && valueOffsets.length <= batch.rowCount) return false;
    dictionaries.set(id, { length: batch.rowCount, valueOffsets, values });
    return true;
  }

  #columns(batch: Batch, fields: readonly FieldShape[], dictionaries: ReadonlyMap<number, TextPieces>): RecordPieces | null {
    const columns: ColumnPieces[] = [];
    let node = 0, buffer = 0;
    for (const { width, isList, dictionaryId } of fields) {
      const nullCount = this.#longAt(batch.nodes + node * PAIR_BYTES + 8), nullBitmap = this.#buffer(batch, buffer, 1);
      if (!this.#isNode(batch, node, batch.rowCount)) return null;
      if (!(nullBitmap instanceof Uint8Array) || nullCount > 0 && nullBitmap.length * 8 < batch.rowCount) return null;
      const valueOffsets = isList ? this.#buffer(batch, buffer + 1, 4) : NO_OFFSETS;
      const values = this.#buffer(batch, buffer + (isList ? 3 : 1), width);
      const texts = dictionaryId === null ? undefined : dictionaries.get(dictionaryId);
      if (isList && (this.#buffer(batch, buffer + 2, 1) === null || values === null || !this.#isNode(batch, node + 1, 0, values.length))) {
        return null;
      }
      if (!(valueOffsets instanceof Int32Array) || values === null || dictionaryId !== null && texts === undefined) return null;
      columns.push({
        nullCount,
        nullBitmap,
        values,
        valueOffsets,
        children: [{ values }],
        dictionary: texts && { length: texts.length, data: [texts] },
      });
      node += isList ? 2 : 1;
      buffer += isList ? 4 : 2;
    }
    return node === batch.nodeCount && buffer === batch.bufferCount ? { rowCount: batch.rowCount, columns } : null;
  }

  /** Whether a column has so many values, at least and at most, and no more nulls than values. */
  #isNode({ nodes }: Batch, number: number, countMin: number, countMax = countMin): boolean {
    const length = this.#longAt(nodes + number * PAIR_BYTES), nullCount = this.#longAt(nodes + number * PAIR_BYTES + 8);
    return length >= countMin && length <= countMax && nullCount >= 0 && nullCount <= length;
  }

  #batch(table: number, body: number, bodyLength: number): Batch | null {
    const nodes = this.#reference(table, BATCH.nodes), buffers = this.#reference(table, BATCH.buffers);
    if (nodes === 0 || buffers === 0 || this.#field(table, BATCH.compression) !== 0) return null;
    const nodeCount = this.#view.getUint32(nodes, true), bufferCount = this.#view.getUint32(buffers, true);
    const rowCount = this.#long(table, BATCH.length);
    return rowCount < 0 ? null : { rowCount, nodes: nodes + 4, nodeCount, buffers: buffers + 4, bufferCount, body, bodyLength };
  }

  /** A buffer of whole values; null where it is not within the body, or not aligned. */
  #buffer({ buffers, bufferCount, body, bodyLength }: Batch, number: number, width: 1 | 4 | 8): Values | null {
    if (number >= bufferCount) return null;
    const offset = this.#longAt(buffers + number * PAIR_BYTES), length = this.#longAt(buffers + number * PAIR_BYTES + 8);
    if (offset < 0 || length < 0 || offset + length > bodyLength || (body + offset) % width !== 0) return null;
    const at = this.#stream.byteOffset + body + offset, { buffer } = this.#stream;
    if (width === 1) return new Uint8Array(buffer, at, length);
    return width === 4 ? new Int32Array(buffer, at, length >> 2) : new BigInt64Array(buffer, at, length >> 3);
  }

  /** Place of a table's field, 0 where it has the default. */
  #field(table: number, number: number): number {
    const vtable = table - this.#view.getInt32(table, true), at = 4 + 2 * number;
    if (at >= this.#view.getUint16(vtable, true)) return 0;
    const offset = this.#view.getUint16(vtable + at, true);
    return offset === 0 ? 0 : table + offset;
  }

  #reference(table: number, number: number): number {
    const at = this.#field(table, number);
    return at === 0 ? 0 : at + this.#view.getUint32(at, true);
  }

  #byte(table: number, number: number): number {
    const at = this.#field(table, number);
    return at === 0 ? 0 : this.#view.getUint8(at);
  }

  #long(table: number, number: number): number {
    const at = this.#field(table, number);
    return at === 0 ? 0 : this.#longAt(at);
  }

  /** A number of 64 bits that is below 2^32, else -1. */
  #longAt(at: number): number {
    return this.#view.getInt32(at + 4, true) === 0 ? this.#view.getUint32(at, true) : -1;
  }
}
