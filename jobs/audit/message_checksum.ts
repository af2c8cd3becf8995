/**
 * What a topic message holds, read by the Arrow library alone: none of the code by which the ETL job reads it is used, but what checks
 * that no length leads out of it.
 */

import { hash } from "node:crypto";
import { type Data, tableFromIPC, type Vector } from "apache-arrow";
import { verifyArrowStream } from "../../lib/arrow_verify.ts";
import type { Column, ColumnType } from "../../lib/records.ts";
import { RowText } from "./row_text.ts";
import { CHECKSUM_COLUMNS, FIELD_SEPARATOR, NULL_TEXT } from "../row_checksum.ts";

/** Rows of a message, and their checksum (row_checksum.ts). */
export interface MessageContent {
  readonly rows: number;
  /** 0 to 2^64 - 1. */
  readonly checksum: bigint;
  readonly losses: LossSums;
}

/** How many losses a message tells, and the sums of their amounts. */
export type LossSums = readonly [told: number, datagramsLost: number, recordsMissing: number, eventsDropped: number];

/** What does not count, as it is no longer kept. */
export interface Dropped {
  /** Since 1970, of rows. */
  readonly hours: ReadonlySet<number>;
  /** Since 1970, of losses. */
  readonly days: ReadonlySet<number>;
}

/** Where the message stands in the topic. */
export interface MessagePlace {
  readonly partition: number;
  readonly offset: bigint;
}

const HOUR_US = 3_600_000_000, DAY_US = 24 * HOUR_US;
const LOSS_KEY = "skyfall.agent_loss";

const SEPARATOR = FIELD_SEPARATOR.charCodeAt(0), NULL = NULL_TEXT.charCodeAt(0);
/** The text of the row at hand: one memory for all. */
const TEXT = new RowText();

const ARROW_TYPES: Readonly<Record<ColumnType, string>> = {
  "VARCHAR": "Dictionary<Int32, Utf8>",
  "BLOB": "FixedSizeBinary[16]",
  "INTEGER": "Int32",
  "BIGINT": "Int64",
  "TIMESTAMPTZ": "Timestamp<MICROSECOND, UTC>",
  "INTEGER[]": "List<Int32>",
  "BIGINT[]": "List<Int64>",
};

/** Null where the message is none that gives rows. */
export function messageContent(
  { partition, offset }: MessagePlace,
  value: Uint8Array,
  dropped: Dropped,
): MessageContent | null {
  const { columns, losses } = partsOf(value, dropped.days) ?? { columns: null, losses: null };
  const versions = columns?.get("schema_version");
  if (columns === null || losses === null || versions === undefined) return null;
  const rows = versions.length;
  const writers = writersOf(columns);
  const starts = columns.get("window_start")!.values, place = new TextEncoder().encode(`${partition}${FIELD_SEPARATOR}${offset}`);
  let kept = 0, low = 0, high = 0;
  for (let row = 0; row < rows; row++) {
    if (dropped.hours.size > 0 && dropped.hours.has(Math.floor(Number(starts[row]) / HOUR_US))) continue;
    const version = Number(versions.values[row]);
    TEXT.clear();
    TEXT.text(place);
    TEXT.byte(SEPARATOR);
    TEXT.int32(row);
    for (const { since, write } of writers) {
      if (since > version) continue;
      TEXT.byte(SEPARATOR);
      write(row);
    }
    const digest = hash("md5", TEXT.bytes, "hex");
    low += littleEndian(digest, 0);
    high += littleEndian(digest, 8);
    kept++;
  }
  return { rows: kept, checksum: BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low)), losses };
}

/** Four bytes, the least significant first. */
function littleEndian(hex: string, at: number): number {
  const word = parseInt(hex.slice(at, at + 8), 16);
  return (word << 24 | (word & 0xff00) << 8 | word >>> 8 & 0xff00 | word >>> 24) >>> 0;
}

interface ColumnWriter {
  readonly since: number;
  /** Writes the value of a row. */
  readonly write: (row: number) => void;
}

function writersOf(columns: ReadonlyMap<string, Data>): ColumnWriter[] {
  return CHECKSUM_COLUMNS.filter(({ origin }) => origin !== "etl").map((column) => {
    const data = columns.get(column.name), { since } = column;
    if (data === undefined) return { since, write: () => TEXT.byte(NULL) };
    const write = writerOf(column, data);
    if (data.nullCount === 0) return { since, write };
    return { since, write: (row) => data.getValid(row) ? write(row) : TEXT.byte(NULL) };
  });
}

interface MessageParts {
  readonly columns: Map<string, Data>;
  /** Null where what is said of losses cannot be read. */
  readonly losses: LossSums | null;
}

/** Columns by name, and losses; null where it is no Arrow stream of one batch, or has a column of another type. */
function partsOf(value: Uint8Array, droppedDays: ReadonlySet<number>): MessageParts | null {
  try {
    verifyArrowStream(value); // checks lengths, reads no rows
    const { batches, schema } = tableFromIPC(value);
    const [batch] = batches;
    if (batches.length !== 1 || batch === undefined || batch.numRows === 0) return null;
    const columns = new Map(schema.fields.map(({ name }, i) => [name, batch.data.children[i]!]));
    for (const { name, type, since, origin } of CHECKSUM_COLUMNS) {
      if (origin === "etl") continue;
      const data = columns.get(name);
      if (data === undefined ? since === 1 : String(data.type) !== ARROW_TYPES[type]) return null;
    }
    return { columns, losses: lossSums(schema.metadata.get(LOSS_KEY) ?? "[]", droppedDays) };
  } catch (error) {
    if (error instanceof Error) return null; // the library says in many ways that bytes are no stream
    throw error;
  }
}

function lossSums(text: string, droppedDays: ReadonlySet<number>): LossSums | null {
  const losses: unknown = JSON.parse(text);
  if (!Array.isArray(losses)) return null;
  const kept = losses.filter(({ loss_end }) => !droppedDays.has(Math.floor(loss_end / DAY_US)));
  const sum = (name: string) => kept.reduce((total: number, loss) => total + Number(loss[name]), 0);
  return [kept.length, sum("datagrams_lost"), sum("flow_records_missing"), sum("agent_dropped_events")];
}

function writerOf({ type }: Column, data: Data): (row: number) => void {
  const { values } = data;
  switch (type) {
    case "VARCHAR": {
      const texts = new DictionaryTexts(data.dictionary!);
      return (row) => texts.write(values[row]!);
    }
    case "BLOB":
      return (row) => TEXT.hex(values, 16 * row, 16 * row + 16);
    case "INTEGER":
      return (row) => TEXT.int32(values[row]!);
    case "BIGINT":
    case "TIMESTAMPTZ": {
      const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
      return (row) => TEXT.int64(halves, 2 * row);
    }
    case "BIGINT[]":
    case "INTEGER[]":
      return listWriter(data);
  }
}

function listWriter({ valueOffsets, children }: Data): (row: number) => void {
  const { values } = children[0]!;
  const halves = values instanceof BigInt64Array ? new Int32Array(values.buffer, values.byteOffset, 2 * values.length) : null;
  return (row) => {
    for (let i = valueOffsets[row]!; i < valueOffsets[row + 1]!; i++) {
      if (i > valueOffsets[row]!) TEXT.comma();
      if (halves === null) TEXT.int32(values[i]!);
      else TEXT.int64(halves, 2 * i);
    }
  };
}

/** Texts as the lake has them; each is looked at when it is met first. */
class DictionaryTexts {
  readonly #dictionary: Vector;
  readonly #data: Data;
  /** By code: 0 not looked at, 1 plain bytes, 2 others. */
  readonly #kinds: Uint8Array;
  readonly #others = new Map<number, Uint8Array>();

  constructor(dictionary: Vector) {
    this.#dictionary = dictionary;
    this.#data = dictionary.data[0]!;
    this.#kinds = new Uint8Array(dictionary.length).fill(dictionary.data.length === 1 ? 0 : 2);
  }

  write(code: number): void {
    const { valueOffsets, values } = this.#data;
    const from = valueOffsets[code]!, to = valueOffsets[code + 1]!;
    if (this.#kinds[code] === 0) this.#kinds[code] = isPlain(values, from, to) ? 1 : 2;
    if (this.#kinds[code] === 1) return TEXT.text(values, from, to);
    let text = this.#others.get(code);
    // SQL ends at a NUL, which the lake has as U+FFFD.
    if (text === undefined) {
      this.#others.set(code, text = new TextEncoder().encode(String(this.#dictionary.get(code)).replaceAll("\0", "\ufffd")));
    }
    TEXT.text(text);
  }
}

/** Whether bytes are ASCII without a NUL. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! - 1 >>> 0 > 126) return false;
  return true;
}
