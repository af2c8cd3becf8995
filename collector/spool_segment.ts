/**
 * A segment of the spool: records one behind the other, each whole or not there.
 *
 * record: u32 bytes of the value; u32 CRC-32 of all that follows; u32 partition; u32 rows; f64 events; the value (little-endian)
 */

import { crc32 } from "node:zlib";
import type { RowMessage } from "./rows.ts";

const HEADER_BYTES = 24;
const CRC_AT = 4, CHECKED_AT = 8, PARTITION_AT = 8, ROWS_AT = 12, EVENTS_AT = 16;
/** Above any message that the collector makes: a length beyond it is none. */
const VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes that are read at once. */
const READ_BYTES = 1024 * 1024;

/** What a segment's whole records hold. */
export interface SegmentContent {
  readonly messages: number;
  readonly events: number;
  /** Where the last whole record ends. */
  readonly end: number;
}

export function encodedBytes(message: RowMessage): number {
  return HEADER_BYTES + message.value.length;
}

/** Records of the messages, in order. */
export function encodeRecords(messages: readonly RowMessage[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(messages.reduce((sum, message) => sum + encodedBytes(message), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { partition, value, rows, events } of messages) {
    view.setUint32(at, value.length, true);
    view.setUint32(at + PARTITION_AT, partition, true);
    view.setUint32(at + ROWS_AT, rows, true);
    view.setFloat64(at + EVENTS_AT, events, true);
    bytes.set(value, at + HEADER_BYTES);
    const end = at + HEADER_BYTES + value.length;
    view.setUint32(at + CRC_AT, crc32(bytes.subarray(at + CHECKED_AT, end)), true);
    at = end;
  }
  return bytes;
}

/**
 * Reads the records from `start` on, up to `bytesMax` of them but at least one where there is one, and not beyond `end`. Ends
 * before the first that is not whole.
 */
export async function readRecords(
  path: string,
  start: number,
  end: number,
  bytesMax: number,
): Promise<{ readonly messages: RowMessage[]; readonly end: number }> {
  using reader = await RecordReader.open(path, start, end);
  const messages: RowMessage[] = [];
  for (let message = await reader.next(); message !== null; message = await reader.next()) {
    if (messages.length > 0 && reader.at - start > bytesMax) return { messages, end: reader.at - encodedBytes(message) };
    messages.push(message);
  }
  return { messages, end: reader.at };
}

/** Reads through a segment from `start` on. */
export async function checkSegment(path: string, start: number): Promise<SegmentContent> {
  using reader = await RecordReader.open(path, start, Infinity);
  let messages = 0, events = 0;
  for (let message = await reader.next(); message !== null; message = await reader.next()) {
    messages++;
    events += message.events;
  }
  return { messages, events, end: reader.at };
}

class RecordReader implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #end: number;
  #buffer = new Uint8Array(0);
  /** Where the last whole record ended. */
  at: number;

  private constructor(file: Deno.FsFile, start: number, end: number) {
    this.#file = file;
    this.#end = end;
    this.at = start;
  }

  static async open(path: string, start: number, end: number): Promise<RecordReader> {
    const file = await Deno.open(path);
    await file.seek(start, Deno.SeekMode.Start);
    return new RecordReader(file, start, end);
  }

  /** The next record, or null where none is whole. */
  async next(): Promise<RowMessage | null> {
    if (this.at >= this.#end || !await this.#fill(HEADER_BYTES)) return null;
    const length = new DataView(this.#buffer.buffer, this.#buffer.byteOffset).getUint32(0, true);
    if (length > VALUE_BYTES_MAX || !await this.#fill(HEADER_BYTES + length)) return null;
    const record = this.#buffer.subarray(0, HEADER_BYTES + length);
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    if (crc32(record.subarray(CHECKED_AT)) !== view.getUint32(CRC_AT, true)) return null;
    this.#buffer = this.#buffer.subarray(record.length);
    this.at += record.length;
    return {
      partition: view.getUint32(PARTITION_AT, true),
      rows: view.getUint32(ROWS_AT, true),
      events: view.getFloat64(EVENTS_AT, true),
      value: record.slice(HEADER_BYTES),
    };
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** Reads until so many bytes are there; false where the file ends before. */
  async #fill(bytes: number): Promise<boolean> {
    if (this.#buffer.length >= bytes) return true;
    const buffer = new Uint8Array(Math.max(bytes, READ_BYTES));
    let length = this.#buffer.length;
    buffer.set(this.#buffer);
    while (length < bytes) {
      const read = await this.#file.read(buffer.subarray(length));
      if (read === null) break;
      length += read;
    }
    this.#buffer = buffer.subarray(0, length);
    return length >= bytes;
  }
}
