/**
 * What a topic message holds, read by the Arrow library alone: none of the code by which the ETL job reads it is used, but what checks
 * that no length leads out of it.
 */

import { createHash } from "node:crypto";
import { type Data, tableFromIPC } from "apache-arrow";
import { verifyArrowStream } from "../../lib/arrow_verify.ts";
import type { Column, ColumnType } from "../../lib/records.ts";
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

type TextOfRow = (row: number) => string;

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
  const place = [String(partition), String(offset)];
  const texts = Array.from({ length: rows }, (_, row) => `${place.join(FIELD_SEPARATOR)}${FIELD_SEPARATOR}${row}`);
  for (const column of CHECKSUM_COLUMNS) {
    if (column.origin === "etl") continue;
    const data = columns.get(column.name);
    const text = data === undefined ? () => NULL_TEXT : textOf(column, data);
    for (let row = 0; row < rows; row++) {
      if (column.since > Number(versions.values[row])) continue;
      texts[row] += FIELD_SEPARATOR + (data !== undefined && data.nullCount > 0 && !data.getValid(row) ? NULL_TEXT : text(row));
    }
  }
  const starts = columns.get("window_start")!.values;
  const isKept = (row: number) => dropped.hours.size === 0 || !dropped.hours.has(Math.floor(Number(starts[row]) / HOUR_US));
  const kept = texts.filter((_, row) => isKept(row));
  let low = 0, high = 0;
  for (const text of kept) {
    const digest = createHash("md5").update(text).digest();
    low += digest.readUInt32LE(0);
    high += digest.readUInt32LE(4);
  }
  return { rows: kept.length, checksum: BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low)), losses };
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

function textOf({ type }: Column, data: Data): TextOfRow {
  switch (type) {
    case "VARCHAR": {
      const dictionary = data.dictionary!;
      // SQL ends at a NUL, which the lake has as U+FFFD.
      const texts = Array.from({ length: dictionary.length }, (_, code) => String(dictionary.get(code)).replaceAll("\0", "\ufffd"));
      return (row) => texts[data.values[row]!]!;
    }
    case "BLOB":
      return (row) => data.values.subarray(16 * row, 16 * row + 16).toHex().toUpperCase();
    case "INTEGER":
      return (row) => String(data.values[row]);
    case "BIGINT":
    case "TIMESTAMPTZ":
      return textOfInt64(data.values);
    case "BIGINT[]":
    case "INTEGER[]": {
      const { valueOffsets } = data, { values } = data.children[0]!;
      return (row) => values.subarray(valueOffsets[row]!, valueOffsets[row + 1]!).join(",");
    }
  }
}

/** Numbers that a double holds are made from their halves: one of 64 bits costs an allocation each. */
function textOfInt64(values: BigInt64Array): TextOfRow {
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  return (row) => {
    const high = halves[2 * row + 1]!;
    return high >= 0 && high < 0x20_0000 ? String(high * 4_294_967_296 + (halves[2 * row]! >>> 0)) : String(values[row]);
  };
}
