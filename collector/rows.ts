/** Makes topic messages of table rows. */

import {
  type BigintColumn,
  encodeFlowBatch,
  type FlowBatch,
  type IntegerColumn,
  type ListColumn,
  type TextColumn,
} from "../lib/flow_batch.ts";
import { encodeFlowMessages } from "../lib/flowmessage.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { type FlowTable, ROLE_CLIENT, ROLE_SERVER, VALUE } from "./aggregate.ts";
import type { MessageFormat } from "./config.ts";
import { TRANSPORT_UDP } from "./flow_key.ts";
import type { IdentityTable, ProcessIdentity } from "./identities.ts";
import type { PairedRows } from "./pair_ends.ts";

/** One message, ready for its partition. */
export interface RowMessage {
  readonly partition: number;
  readonly value: Uint8Array<ArrayBuffer>;
  readonly rows: number;
  readonly events: number;
  /** When its rows were to leave; absent where they left at another time, or waited in the spool. */
  readonly dueMs?: number;
}

export const ROLES = ["unknown", "client", "server"];
/** By `skyfall_flow.role_source` less 1; none is as good as a heuristic. */
const DIRECTION_SOURCES = ["connect", "accept", "listen", "heuristic"];
const ATTRIBUTION_SOURCES = ["unknown", "connect", "close", "release", "task_file", "listener", "accept"];
const TRANSPORTS = ["tcp", "udp"];
const REPORTERS = ["client", "server", "both"];

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
const INT32_MAX = 0x7fff_ffff;

/** Encodes the rows by partition and takes them out of the table. Both ends of a conversation get the same partition. */
export function takeRows(
  table: FlowTable,
  identities: IdentityTable,
  paired: PairedRows,
  partitionCount: number,
  format: MessageFormat,
): RowMessage[] {
  const { rows } = paired;
  const byPartition: number[][] = Array.from({ length: partitionCount }, () => []);
  for (let i = 0; i < rows.length; i++) byPartition[paired.hashes[i]! % partitionCount]!.push(i);
  const messages: RowMessage[] = [];
  for (const [partition, all] of byPartition.entries()) {
    for (let start = 0; start < all.length; start += MESSAGE_ROWS) {
      messages.push(...encodeRows(table, identities, paired, all.slice(start, start + MESSAGE_ROWS), partition, format));
    }
  }
  for (const row of rows) table.remove(row);
  return messages;
}

/** One message, or more where long lists of ports make it too large. */
function encodeRows(
  table: FlowTable,
  identities: IdentityTable,
  paired: PairedRows,
  indexes: readonly number[],
  partition: number,
  format: MessageFormat,
): RowMessage[] {
  const batch = new RowBatch(table, identities, paired, indexes);
  if (format === "flowmessage") return encodeFlowMessages(batch.columns(), Date.now()).map((message) => ({ partition, ...message }));
  const value = encodeFlowBatch(batch.columns()) as Uint8Array<ArrayBuffer>;
  if (value.length > MESSAGE_BYTES_MAX && indexes.length > 1) {
    const half = indexes.length >> 1;
    return [indexes.slice(0, half), indexes.slice(half)].flatMap((some) => encodeRows(table, identities, paired, some, partition, format));
  }
  return [{ partition, value, rows: batch.rowCount, events: batch.events() }];
}

/** Columns of some of the rows. What a row says of its process is looked up once for each process. */
class RowBatch {
  readonly #table: FlowTable;
  readonly #paired: PairedRows;
  /** Of the rows, in what was paired. */
  readonly #indexes: readonly number[];
  readonly #rows: Int32Array;
  readonly #processes: ProcessIdentity[] = [];
  /** Index of the row's process in `#processes`. */
  readonly #processOf: Int32Array;
  readonly #roles: Uint8Array;
  /** A number of each row, for the next column. */
  readonly #scratch: Float64Array;

  constructor(table: FlowTable, identities: IdentityTable, paired: PairedRows, indexes: readonly number[]) {
    this.#table = table;
    this.#paired = paired;
    this.#indexes = indexes;
    this.#rows = Int32Array.from(indexes, (i) => paired.rows[i]!);
    this.#roles = Uint8Array.from(this.#rows, (row) => table.role(row));
    this.#scratch = new Float64Array(indexes.length);
    const known = new Map<number, number>();
    this.#processOf = this.#rows.map((row) => {
      const id = table.value(row, VALUE.identity);
      let index = known.get(id);
      if (index === undefined) {
        index = this.#processes.push(identities.get(id)) - 1;
        known.set(id, index);
      }
      return index;
    });
  }

  get rowCount(): number {
    return this.#rows.length;
  }

  events(): number {
    return this.#rows.reduce((sum, row) => sum + this.#table.value(row, VALUE.event_count), 0);
  }

  columns(): FlowBatch {
    const n = this.rowCount;
    return {
      rowCount: n,
      columns: {
        window_start: this.#amounts(VALUE.window_start),
        window_end: this.#amounts(VALUE.window_end),
        observer_host_id: this.#texts((p) => p.host.hostId),
        observer_host_name: this.#texts((p) => p.host.hostName),
        observer_boot_id: this.#texts((p) => p.host.bootId),
        observer_address: this.#texts((p) => p.host.address),
        observer_role: this.#names(ROLES, (_, i) => this.#roles[i]!),
        direction_source: this.#names(DIRECTION_SOURCES, (row) => (this.#table.value(row, VALUE.role_source) + 3) % 4),
        attribution_source: this.#names(ATTRIBUTION_SOURCES, (row) => this.#table.value(row, VALUE.attribution_source)),
        network_transport: this.#names(TRANSPORTS, (row) => this.#table.transport(row) === TRANSPORT_UDP ? 1 : 0),
        client_ip: this.#addresses((row, out, at) => this.#table.copyClient(row, out, at)),
        server_ip: this.#addresses((row, out, at) => this.#table.copyServer(row, out, at)),
        server_port: this.#integers((row) => this.#table.serverPort(row)),
        client_ports: this.#ports(),
        client_port_count: this.#integers((row) => this.#table.portCount(row)),
        client_service_name: this.#texts((p) => p.serviceName, ROLE_CLIENT),
        server_service_name: this.#texts((p) => p.serviceName, ROLE_SERVER),
        client_process_executable_name: this.#texts((p) => p.executableName, ROLE_CLIENT),
        server_process_executable_name: this.#texts((p) => p.executableName, ROLE_SERVER),
        process_pid: this.#integersOf((p) => p.pid),
        process_executable_path: this.#texts((p) => p.executablePath),
        process_command_line: this.#texts((p) => p.commandLine),
        process_user_id: this.#integersOf((p) => p.userId),
        process_cgroup: this.#texts((p) => p.cgroupPath),
        process_network_namespace: this.#bigintsOf((p) => p.networkNamespace),
        ...Object.fromEntries(AMOUNTS.map((name) => [name, this.#amounts(VALUE[name])])) as AmountColumns,
        srtt_us_min: this.#gauges(VALUE.srtt_us_min),
        srtt_us_max: this.#gauges(VALUE.srtt_us_max),
        min_rtt_us: this.#gauges(VALUE.min_rtt_us),
        connect_us_max: this.#gauges(VALUE.connect_us_max),
        snd_cwnd_min: this.#gauges(VALUE.snd_cwnd_min),
        flow_source: this.#texts((p) => p.flowSource),
        sampling_rate: this.#integers((_, i) => this.#processes[this.#processOf[i]!]!.samplingRate),
        reporter: this.#names(
          REPORTERS,
          (_, i) => this.#paired.isPaired[this.#indexes[i]!] === 1 ? 2 : this.#roles[i] === ROLE_SERVER ? 1 : 0,
        ),
        peer_bytes_sent: this.#peerBytes(this.#paired.peerBytesSent),
        peer_bytes_received: this.#peerBytes(this.#paired.peerBytesReceived),
        fold_level: this.#integers((row) => this.#table.foldLevel(row)),
        late_count: this.#amounts(VALUE.late_count),
        schema_version: { values: new Int32Array(n).fill(FLOW_SCHEMA_VERSION) },
      },
    };
  }

  #amounts(place: number): { readonly values: BigInt64Array } {
    this.#table.copyValues(this.#rows, place, this.#scratch);
    return { values: bigintsOf(this.#scratch) };
  }

  /** 0 is no measurement. Values above 2^31 - 1 microseconds (36 minutes) are written as that. */
  #gauges(place: number): IntegerColumn {
    this.#table.copyValues(this.#rows, place, this.#scratch);
    const values = new Int32Array(this.rowCount), valid = new Uint8Array(this.rowCount);
    for (let i = 0; i < values.length; i++) {
      values[i] = Math.min(this.#scratch[i]!, INT32_MAX);
      if (values[i] !== 0) valid[i] = 1;
    }
    return { values, valid };
  }

  #integers(of: (row: number, i: number) => number): { readonly values: Int32Array } {
    return { values: this.#rows.map(of) };
  }

  #integersOf(of: (process: ProcessIdentity) => number | null): IntegerColumn {
    const values = this.#processes.map(of);
    return {
      values: this.#processOf.map((p) => values[p] ?? 0),
      valid: Uint8Array.from(this.#processOf, (p) => values[p] === null ? 0 : 1),
    };
  }

  #bigintsOf(of: (process: ProcessIdentity) => number | null): BigintColumn {
    const numbers = Float64Array.from(this.#processes, (process) => of(process) ?? -1);
    for (let i = 0; i < this.#scratch.length; i++) this.#scratch[i] = numbers[this.#processOf[i]!]!;
    return bigintsOrNull(this.#scratch);
  }

  #peerBytes(bytes: Float64Array): BigintColumn {
    for (let i = 0; i < this.#scratch.length; i++) this.#scratch[i] = bytes[this.#indexes[i]!]!;
    return bigintsOrNull(this.#scratch);
  }

  /** A code for each row, of names that all messages have. */
  #names(dictionary: readonly string[], code: (row: number, i: number) => number): TextColumn {
    return { codes: this.#rows.map(code), dictionary };
  }

  /** A text of each row's process; with a role, only of rows of that end. */
  #texts(of: (process: ProcessIdentity) => string | null, role?: number): TextColumn {
    const known = new Map<string, number>();
    const codes = Int32Array.from(this.#processes, (process) => {
      const text = of(process);
      if (text === null) return -1;
      if (!known.has(text)) known.set(text, known.size);
      return known.get(text)!;
    });
    return {
      codes: this.#processOf.map((p, i) => role === undefined || this.#roles[i] === role ? codes[p]! : -1),
      dictionary: [...known.keys()],
    };
  }

  #addresses(copy: (row: number, out: DataView, at: number) => void): { bytes: Uint8Array } {
    const bytes = new Uint8Array(16 * this.rowCount), view = new DataView(bytes.buffer);
    for (let i = 0; i < this.rowCount; i++) copy(this.#rows[i]!, view, 16 * i);
    return { bytes };
  }

  #ports(): ListColumn {
    const offsets = new Int32Array(this.rowCount + 1);
    for (let i = 0; i < this.rowCount; i++) offsets[i + 1] = offsets[i]! + this.#table.storedPortCount(this.#rows[i]!);
    const values = new Int32Array(offsets[this.rowCount]!);
    for (let i = 0; i < this.rowCount; i++) this.#table.copyPorts(this.#rows[i]!, values, offsets[i]!);
    return { offsets, values };
  }
}

/** As `bigintsOf()`; -1 is null, and leaves 0. */
function bigintsOrNull(numbers: Float64Array): BigintColumn {
  const valid = new Uint8Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i]! < 0) numbers[i] = 0;
    else valid[i] = 1;
  }
  return { values: bigintsOf(numbers), valid };
}

/** Whole numbers from 0 to 2^53 as 64 bits, without a bigint for each. */
function bigintsOf(numbers: Float64Array): BigInt64Array {
  const values = new BigInt64Array(numbers.length), words = new Uint32Array(values.buffer);
  for (let i = 0; i < numbers.length; i++) {
    words[2 * i] = numbers[i]!; // modulo 2^32
    words[2 * i + 1] = numbers[i]! / 4_294_967_296;
  }
  return values;
}
