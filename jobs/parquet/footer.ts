/** Reads of a Parquet file's footer how many rows it has (parquet.thrift, FileMetaData; thrift-compact-protocol.md). */

const MAGIC = "PAR1";
/** At the end of the file: the footer's length, and the mark. */
const TAIL_BYTES = 8;
const NUM_ROWS = 3;
/** Types of the compact protocol. */
const STOP = 0, TRUE = 1, FALSE = 2, BYTE = 3, I16 = 4, I32 = 5, I64 = 6, DOUBLE = 7, BINARY = 8, LIST = 9, SET = 10, STRUCT = 12;
const DEPTH_MAX = 16;

/**
 * Rows of the file as its footer tells them, which is written last.
 *
 * @throws {SyntaxError} If it is no Parquet file, or was not written to its end.
 */
export async function footerRows(path: string): Promise<number> {
  using file = await Deno.open(path);
  const { size } = await file.stat(), tail = await readAt(file, size - TAIL_BYTES, TAIL_BYTES);
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (new TextDecoder().decode(tail.subarray(4)) !== MAGIC || length > size - TAIL_BYTES) {
    throw new SyntaxError(`Cannot read footer: the file of ${size} bytes does not end as Parquet does`);
  }
  return new FooterReader(await readAt(file, size - TAIL_BYTES - length, length)).rows();
}

async function readAt(file: Deno.FsFile, at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  if (at < 0) throw new SyntaxError(`Cannot read footer: the file is ${-at} bytes too short`);
  await file.seek(at, Deno.SeekMode.Start);
  for (let read = 0; read < length;) {
    const more = await file.read(bytes.subarray(read));
    if (more === null) throw new SyntaxError(`Cannot read footer: ${length - read} bytes are missing at its end`);
    read += more;
  }
  return bytes;
}

class FooterReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  rows(): number {
    for (let field = 0;;) {
      const head = this.#byte(), type = head & 15;
      if (type === STOP) throw new SyntaxError("Cannot read footer: it does not tell its rows");
      field = head >> 4 === 0 ? this.#zigzag() : field + (head >> 4);
      if (field === NUM_ROWS && type === I64) return this.#zigzag();
      this.#skip(type, 0);
    }
  }

  #skip(type: number, depth: number): void {
    if (depth > DEPTH_MAX) throw new SyntaxError(`Cannot read footer: structures nested deeper than ${DEPTH_MAX}`);
    if (type === TRUE || type === FALSE) return; // the field's head says it
    if (type === I16 || type === I32 || type === I64) this.#varint();
    else if (type === BYTE) this.#skipBytes(1);
    else if (type === DOUBLE) this.#skipBytes(8);
    else if (type === BINARY) this.#skipBytes(this.#varint());
    else if (type === LIST || type === SET) this.#skipList(depth);
    else if (type === STRUCT) this.#skipStruct(depth);
    else throw new SyntaxError(`Cannot read footer: type ${type} at byte ${this.#at}`);
  }

  #skipList(depth: number): void {
    const head = this.#byte(), count = head >> 4 === 15 ? this.#varint() : head >> 4, type = head & 15;
    for (let i = 0; i < count; i++) {
      if (type === TRUE || type === FALSE) this.#byte();
      else this.#skip(type, depth + 1);
    }
  }

  #skipStruct(depth: number): void {
    for (;;) {
      const head = this.#byte();
      if ((head & 15) === STOP) return;
      if (head >> 4 === 0) this.#varint();
      this.#skip(head & 15, depth + 1);
    }
  }

  #skipBytes(count: number): void {
    this.#at += count;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new SyntaxError(`Cannot read footer: ${this.#bytes.length} bytes are not all of it`);
    return byte;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
