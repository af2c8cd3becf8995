/** Makes topic messages of table rows. */

import { BATCH_ROWS_MAX, encodeFlowBatch, type FlowBatch, type TextColumn } from "../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { type FlowTable, ROLE_CLIENT, ROLE_SERVER, VALUE } from "./aggregate.ts";
import type { IdentityTable, ProcessIdentity } from "./identities.ts";

/** One message, ready for its partition. */
export interface RowMessage {
  readonly partition: number;
  readonly value: Uint8Array<ArrayBuffer>;
  readonly rows: number;
  readonly events: number;
}

const ROLES = ["unknown", "client", "server"] as const;
const DIRECTION_SOURCES = ["heuristic", "connect", "accept", "listen", "heuristic"] as const;
const ATTRIBUTION_SOURCES = ["unknown", "connect", "close", "release", "task_file", "listener", "accept"] as const;
const TRANSPORTS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp" };

/** Columns that hold a value of the table as it is. */
const AMOUNTS = [
  "bytes_sent",
  "bytes_received",
  "segments_sent",
  "segments_received",
  "retransmits",
  "bytes_retrans",
  "lost",
  "reordering_seen",
  "busy_us",
  "rwnd_limited_us",
  "sndbuf_limited_us",
  "amounts_unknown",
  "connections_opened",
  "connections_closed",
  "connections_reset",
  "connections_failed_refused",
  "connections_timed_out",
  "connections_failed_timeout",
  "connections_failed_unreachable",
  "connections_failed_other",
  "srtt_us_sum",
  "srtt_samples",
  "rttvar_us_sum",
  "connect_us_sum",
  "connect_samples",
  "snd_cwnd_sum",
  "event_count",
] as const satisfies readonly (keyof typeof VALUE)[];

type AmountColumns = { readonly [A in typeof AMOUNTS[number]]: { readonly values: BigInt64Array } };

/** Rows in a message: with some hundred the columns' overhead is small, and a message stays far below 1 MB. */
const MESSAGE_ROWS = 2_048;

/** Encodes the rows by partition and takes them out of the table. Both ends of a conversation get the same partition. */
export function takeRows(table: FlowTable, identities: IdentityTable, rows: readonly number[], partitionCount: number): RowMessage[] {
  const byPartition = Map.groupBy(rows, (row) => table.conversationHash(row) % partitionCount);
  const messages: RowMessage[] = [];
  for (const [partition, all] of byPartition) {
    for (let start = 0; start < all.length; start += MESSAGE_ROWS) {
      messages.push(...encodeRows(table, identities, all.slice(start, start + MESSAGE_ROWS), partition));
    }
  }
  for (const row of rows) table.remove(row);
  return messages;
}

/** One message, or more where long lists of ports make it too large. */
function encodeRows(table: FlowTable, identities: IdentityTable, rows: readonly number[], partition: number): RowMessage[] {
  const value = encodeFlowBatch(batchOf(table, identities, rows)) as Uint8Array<ArrayBuffer>;
  if (value.length > MESSAGE_BYTES_MAX && rows.length > 1) {
    const half = rows.length >> 1;
    return [rows.slice(0, half), rows.slice(half)].flatMap((some) => encodeRows(table, identities, some, partition));
  }
  const events = rows.reduce((sum, row) => sum + table.value(row, VALUE.event_count), 0);
  return [{ partition, value, rows: rows.length, events }];
}

function batchOf(table: FlowTable, identities: IdentityTable, rows: readonly number[]): FlowBatch {
  const n = rows.length;
  if (n > BATCH_ROWS_MAX) throw new RangeError(`Cannot encode rows: ${n}, needed at most ${BATCH_ROWS_MAX}`);
  const identity = rows.map((row) => identities.get(table.value(row, VALUE.identity)));
  const role = rows.map((row) => table.role(row));
  const bigints = (place: number) => ({ values: BigInt64Array.from(rows, (row) => BigInt(table.value(row, place))) });
  const integers = (place: number) => integersOrNull(rows.map((row) => table.value(row, place)), (value) => value !== 0);
  const sampled = (place: number) =>
    integersOrNull(rows.map((row) => table.value(row, place)), (_, i) => table.value(rows[i]!, VALUE.srtt_samples) > 0);
  const texts = (of: (identity: ProcessIdentity, i: number) => string | null) => textColumn(identity.map(of));
  const ofEnd = (end: number, of: (identity: ProcessIdentity) => string | null) => texts((p, i) => role[i] === end ? of(p) : null);
  return {
    rowCount: n,
    columns: {
      window_start: bigints(VALUE.window_start),
      window_end: bigints(VALUE.window_end),
      observer_host_id: texts((p) => p.host.hostId),
      observer_host_name: texts((p) => p.host.hostName),
      observer_boot_id: texts((p) => p.host.bootId),
      observer_address: texts((p) => p.host.address),
      observer_role: textColumn(role.map((r) => ROLES[r]!)),
      direction_source: textColumn(rows.map((row) => DIRECTION_SOURCES[table.value(row, VALUE.role_source)]!)),
      attribution_source: textColumn(rows.map((row) => ATTRIBUTION_SOURCES[table.value(row, VALUE.attribution_source)]!)),
      network_transport: textColumn(rows.map((row) => TRANSPORTS[table.transport(row)]!)),
      client_ip: addresses(n, (out, i) => table.copyClient(rows[i]!, out, 16 * i)),
      server_ip: addresses(n, (out, i) => table.copyServer(rows[i]!, out, 16 * i)),
      server_port: { values: Int32Array.from(rows, (row) => table.serverPort(row)) },
      ...portColumns(table, rows),
      client_service_name: ofEnd(ROLE_CLIENT, (p) => p.serviceName),
      server_service_name: ofEnd(ROLE_SERVER, (p) => p.serviceName),
      client_process_executable_name: ofEnd(ROLE_CLIENT, (p) => p.executableName),
      server_process_executable_name: ofEnd(ROLE_SERVER, (p) => p.executableName),
      process_pid: integersOrNull(identity.map((p) => p.pid), isPresent),
      process_executable_path: texts((p) => p.executablePath),
      process_command_line: texts((p) => p.commandLine),
      process_user_id: integersOrNull(identity.map((p) => p.userId), isPresent),
      process_cgroup: texts((p) => p.cgroupPath),
      process_network_namespace: bigintsOrNull(identity.map((p) => p.networkNamespace)),
      ...amountColumns(table, rows),
      srtt_us_min: sampled(VALUE.srtt_us_min),
      srtt_us_max: sampled(VALUE.srtt_us_max),
      min_rtt_us: integers(VALUE.min_rtt_us),
      connect_us_max: integers(VALUE.connect_us_max),
      snd_cwnd_min: sampled(VALUE.snd_cwnd_min),
      schema_version: { values: new Int32Array(n).fill(FLOW_SCHEMA_VERSION) },
    },
  };
}

function amountColumns(table: FlowTable, rows: readonly number[]): AmountColumns {
  const columns = AMOUNTS.map((name) => [name, { values: BigInt64Array.from(rows, (row) => BigInt(table.value(row, VALUE[name]))) }]);
  return Object.fromEntries(columns) as AmountColumns;
}

function isPresent(value: number | null): boolean {
  return value !== null;
}

/** Values above 2^31 - 1 microseconds (36 minutes) are written as that. */
function integersOrNull(
  values: readonly (number | null)[],
  isValid: (value: number | null, index: number) => boolean,
): { values: Int32Array; valid: Uint8Array } {
  return {
    values: Int32Array.from(values, (value) => Math.min(value ?? 0, 0x7fff_ffff)),
    valid: Uint8Array.from(values, (value, i) => isValid(value, i) ? 1 : 0),
  };
}

function bigintsOrNull(values: readonly (number | null)[]): { values: BigInt64Array; valid: Uint8Array } {
  return {
    values: BigInt64Array.from(values, (value) => BigInt(value ?? 0)),
    valid: Uint8Array.from(values, (value) => isPresent(value) ? 1 : 0),
  };
}

function textColumn(texts: readonly (string | null)[]): TextColumn {
  const codes = new Map<string, number>();
  const column = Int32Array.from(texts, (text) => {
    if (text === null) return -1;
    const known = codes.get(text);
    if (known !== undefined) return known;
    codes.set(text, codes.size);
    return codes.size - 1;
  });
  return { codes: column, dictionary: [...codes.keys()] };
}

function addresses(count: number, copy: (out: DataView, index: number) => void): { bytes: Uint8Array } {
  const bytes = new Uint8Array(16 * count);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) copy(view, i);
  return { bytes };
}

function portColumns(table: FlowTable, rows: readonly number[]) {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) offsets[i + 1] = offsets[i]! + table.ports.storedCount(row);
  const values = new Int32Array(offsets[rows.length]!);
  for (const [i, row] of rows.entries()) table.ports.copy(row, values, offsets[i]!);
  return { client_ports: { offsets, values }, client_port_count: { values: Int32Array.from(rows, (row) => table.ports.count(row)) } };
}
