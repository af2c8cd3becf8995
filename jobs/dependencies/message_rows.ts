/** Rows of a message as numbers: the minute, the conversation and the view that each is of. */

import { BATCH_ROWS_MAX, type FlowBatch, type TextColumn } from "../../lib/flow_batch.ts";
import { hashOf, KEY_WORDS } from "./key_table.ts";
import { halvesOf, numberOf } from "./measures.ts";
import type { Names } from "./names.ts";

export const MINUTE_US = 60_000_000;

/** Words of a conversation's key: client, server, port, transport. */
const ADDRESS_WORDS = 4, SERVER_AT = 4;
const PORT_WORD = 8, TRANSPORT_WORD = 9;

/** Who has seen: one of an unknown role counts as the client, as it does at the collector. */
export const CLIENT = 0, SERVER = 1, ESTIMATE = 2;

/** Rows of one minute. */
export interface MinuteRows {
  /** Since 1970. */
  readonly minute: number;
  readonly rows: Int32Array;
}

/** By row; all of it is valid until the next message is read. */
export interface MessageRows {
  readonly minutes: readonly MinuteRows[];
  /** Of `KEY_WORDS` words each. */
  readonly keys: Uint32Array;
  readonly hashes: Int32Array;
  readonly seenBy: Uint8Array;
  /** Number of the address of another sFlow agent, 0 for ours. */
  readonly estimators: Int32Array;
  /** Numbers of the names that it tells. */
  readonly clients: Int32Array;
  readonly servers: Int32Array;
}

const keys = new Uint32Array(BATCH_ROWS_MAX * KEY_WORDS), hashes = new Int32Array(BATCH_ROWS_MAX);
const seenBy = new Uint8Array(BATCH_ROWS_MAX), estimators = new Int32Array(BATCH_ROWS_MAX);
const clients = new Int32Array(BATCH_ROWS_MAX), servers = new Int32Array(BATCH_ROWS_MAX), transports = new Int32Array(BATCH_ROWS_MAX);
const minuteNumbers = new Int32Array(BATCH_ROWS_MAX), rowsByMinute = new Int32Array(BATCH_ROWS_MAX);

export function readRows(batch: FlowBatch, names: Names): MessageRows {
  const { rowCount, columns } = batch;
  setNumbers(transports, columns.network_transport, names);
  setNumbers(clients, columns.client_service_name, names);
  setNumbers(servers, columns.server_service_name, names);
  setKeys(batch);
  setSeenBy(batch, names);
  for (let row = 0; row < rowCount; row++) hashes[row] = hashOf(keys, row * KEY_WORDS);
  return { minutes: minutesOf(batch), keys, hashes, seenBy, estimators, clients, servers };
}

function setNumbers(to: Int32Array, column: TextColumn, names: Names): void {
  const { codes } = column, numbers = names.numbersOf(column);
  for (let row = 0; row < codes.length; row++) to[row] = codes[row]! < 0 ? 0 : numbers[codes[row]!]!;
}

function setKeys({ rowCount, columns }: FlowBatch): void {
  const client = wordsOf(columns.client_ip.bytes), server = wordsOf(columns.server_ip.bytes), ports = columns.server_port.values;
  for (let row = 0; row < rowCount; row++) {
    const at = row * KEY_WORDS, from = row * ADDRESS_WORDS;
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      keys[at + word] = client[from + word]!;
      keys[at + SERVER_AT + word] = server[from + word]!;
    }
    keys[at + PORT_WORD] = ports[row]!;
    keys[at + TRANSPORT_WORD] = transports[row]!;
  }
}

function setSeenBy({ rowCount, columns: { flow_source, observer_role, observer_address } }: FlowBatch, names: Names): void {
  const roles = observer_role.dictionary.map((role) => role === "server" ? SERVER : CLIENT);
  for (let row = 0; row < rowCount; row++) seenBy[row] = roles[observer_role.codes[row]!]!;
  const isEstimate = flow_source.dictionary.map((source) => source === "sflow");
  if (!isEstimate.includes(true)) {
    estimators.fill(0, 0, rowCount);
    return;
  }
  setNumbers(estimators, observer_address, names);
  for (let row = 0; row < rowCount; row++) {
    if (isEstimate[flow_source.codes[row]!]) seenBy[row] = ESTIMATE;
    else estimators[row] = 0;
  }
}

/** Words of addresses, as they lie. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

/** The minutes that rows are of, in order of appearance. */
function minutesOf({ rowCount, columns: { window_start: { values } } }: FlowBatch): MinuteRows[] {
  const halves = halvesOf(values), numbers = new Map<number, number>(), counts: number[] = [];
  let number = -1, startUs = Infinity, endUs = -Infinity;
  for (let row = 0; row < rowCount; row++) {
    const us = numberOf(halves[2 * row]!, halves[2 * row + 1]!);
    if (us < startUs || us >= endUs) {
      const minute = Math.floor(us / MINUTE_US);
      startUs = minute * MINUTE_US;
      endUs = startUs + MINUTE_US;
      number = numbers.get(minute) ?? -1;
      if (number < 0) numbers.set(minute, number = counts.push(0) - 1);
    }
    minuteNumbers[row] = number;
    counts[number]!++;
  }
  const ends: number[] = [];
  for (const count of counts) ends.push((ends.at(-1) ?? 0) + count);
  const next = ends.map((end, number) => end - counts[number]!);
  for (let row = 0; row < rowCount; row++) rowsByMinute[next[minuteNumbers[row]!]!++] = row;
  return [...numbers].map(([minute, number]) => ({ minute, rows: rowsByMinute.subarray(ends[number]! - counts[number]!, ends[number]) }));
}
