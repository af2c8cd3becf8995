/** Makes topic messages of table rows. */

import type { AgentLoss } from "../lib/agent_loss.ts";
import { encodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { encodeFlowMessages } from "../lib/flowmessage.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { type FlowTable, ROLE_CLIENT, ROLE_SERVER, VALUE } from "./aggregate.ts";
import type { MessageFormat } from "./config.ts";
import type { IdentityTable } from "./identities.ts";
import { bigintsOrNull, type IdentityColumns, TEXT } from "./identity_columns.ts";
import type { PairedRows } from "./pair_ends.ts";
import { RowColumns } from "./row_columns.ts";
import { Scratch } from "./scratch.ts";

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

/** Bytes of a row as long as none has been encoded, and what a message is to be filled to: rows differ. */
const ROW_BYTES_START = 600, FILLED = 0.93;
/** Rows in a message at most. */
const MESSAGE_ROWS_MAX = 4_096;
/** Weight of the newest message in what a row is expected to take, where it is not mostly schema. */
const NEWEST_WEIGHT = 0.25, TELLING_ROWS = 256;

/** Makes messages of the rows that leave a table. */
export class RowMessages {
  readonly #table: FlowTable;
  readonly #identities: IdentityTable;
  readonly #partitionCount: number;
  readonly #format: MessageFormat;
  readonly #scratch = new Scratch();
  /** Bytes that a row takes in a message, of late. */
  #rowBytes = ROW_BYTES_START;

  constructor(table: FlowTable, identities: IdentityTable, partitionCount: number, format: MessageFormat) {
    this.#table = table;
    this.#identities = identities;
    this.#partitionCount = partitionCount;
    this.#format = format;
  }

  /**
   * Encodes the rows by partition and takes them out of the table. Both ends of a conversation get the same partition.
   *
   * @param losses What the first message tells beside its rows.
   */
  take(paired: PairedRows, losses: readonly AgentLoss[] = []): RowMessage[] {
    const byPartition: number[][] = Array.from({ length: this.#partitionCount }, () => []);
    for (let i = 0; i < paired.rows.length; i++) byPartition[paired.hashes[i]! % this.#partitionCount]!.push(i);
    const messages: RowMessage[] = [];
    for (const [partition, all] of byPartition.entries()) {
      // As few as will do, and of one size: each costs as much as a thousand rows.
      for (let start = 0; start < all.length;) {
        const left = all.length - start, count = Math.ceil(left * this.#rowBytes / (FILLED * MESSAGE_BYTES_MAX));
        const end = start + Math.min(MESSAGE_ROWS_MAX, Math.ceil(left / count));
        messages.push(...this.#encode(paired, all.slice(start, end), partition, messages.length === 0 ? losses : []));
        start = end;
      }
    }
    this.#table.removeAll(paired.rows);
    return messages;
  }

  /** One message, or more where long lists of ports make it too large. */
  #encode(paired: PairedRows, indexes: readonly number[], partition: number, losses: readonly AgentLoss[]): RowMessage[] {
    this.#scratch.reset();
    const rows = new RowColumns(this.#table, Int32Array.from(indexes, (i) => paired.rows[i]!), this.#scratch);
    const batch = batchOf(rows, this.#identities.columns, paired, indexes, this.#scratch);
    if (this.#format === "flowmessage") return encodeFlowMessages(batch, Date.now()).map((message) => ({ partition, ...message }));
    const value = encodeFlowBatch(losses.length === 0 ? batch : { ...batch, agentLosses: losses }) as Uint8Array<ArrayBuffer>;
    if (indexes.length >= TELLING_ROWS) this.#rowBytes += NEWEST_WEIGHT * (value.length / indexes.length - this.#rowBytes);
    if (value.length > MESSAGE_BYTES_MAX && indexes.length > 1) {
      const half = indexes.length >> 1;
      return [indexes.slice(0, half), indexes.slice(half)].flatMap((some, i) =>
        this.#encode(paired, some, partition, i === 0 ? losses : [])
      );
    }
    return [{ partition, value, rows: rows.rowCount, events: rows.numbers(VALUE.event_count).reduce((sum, events) => sum + events, 0) }];
  }
}

function batchOf(
  rows: RowColumns,
  processes: IdentityColumns,
  paired: PairedRows,
  indexes: readonly number[],
  scratch: Scratch,
): FlowBatch {
  const n = rows.rowCount, ids = rows.identities;
  const amounts = (place: number) => ({ values: rows.bigints(place) });
  const isRole = (wanted: number) => filled(scratch.bytes(n), (i) => rows.role(i) === wanted ? 1 : 0);
  const isClient = isRole(ROLE_CLIENT), isServer = isRole(ROLE_SERVER);
  const roleSources = rows.integers(VALUE.role_source);
  const integers = (of: (i: number) => number) => ({ values: filled(scratch.int32s(n), of) });
  return {
    rowCount: n,
    columns: {
      window_start: amounts(VALUE.window_start),
      window_end: amounts(VALUE.window_end),
      observer_host_id: processes.texts(TEXT.host_id, ids, scratch),
      observer_host_name: processes.texts(TEXT.host_name, ids, scratch),
      observer_boot_id: processes.texts(TEXT.boot_id, ids, scratch),
      observer_address: processes.texts(TEXT.address, ids, scratch),
      observer_role: { codes: integers((i) => rows.role(i)).values, dictionary: ROLES },
      direction_source: { codes: integers((i) => (roleSources[i]! + 3) % 4).values, dictionary: DIRECTION_SOURCES },
      attribution_source: { codes: rows.integers(VALUE.attribution_source), dictionary: ATTRIBUTION_SOURCES },
      network_transport: { codes: integers((i) => rows.isUdp(i) ? 1 : 0).values, dictionary: TRANSPORTS },
      client_ip: { bytes: rows.clientAddresses() },
      server_ip: { bytes: rows.serverAddresses() },
      server_port: integers((i) => rows.serverPort(i)),
      client_ports: rows.ports(),
      client_port_count: { values: rows.portCounts() },
      client_service_name: processes.texts(TEXT.service_name, ids, scratch, isClient),
      server_service_name: processes.texts(TEXT.service_name, ids, scratch, isServer),
      client_process_executable_name: processes.texts(TEXT.executable_name, ids, scratch, isClient),
      server_process_executable_name: processes.texts(TEXT.executable_name, ids, scratch, isServer),
      process_pid: processes.pids(ids, scratch),
      process_executable_path: processes.texts(TEXT.executable_path, ids, scratch),
      process_command_line: processes.texts(TEXT.command_line, ids, scratch),
      process_user_id: processes.userIds(ids, scratch),
      process_cgroup: processes.texts(TEXT.cgroup_path, ids, scratch),
      process_network_namespace: processes.networkNamespaces(ids, scratch),
      ...Object.fromEntries(AMOUNTS.map((name) => [name, amounts(VALUE[name])])) as AmountColumns,
      srtt_us_min: rows.gauges(VALUE.srtt_us_min),
      srtt_us_max: rows.gauges(VALUE.srtt_us_max),
      min_rtt_us: rows.gauges(VALUE.min_rtt_us),
      connect_us_max: rows.gauges(VALUE.connect_us_max),
      snd_cwnd_min: rows.gauges(VALUE.snd_cwnd_min),
      flow_source: processes.flowSources(ids, scratch),
      sampling_rate: processes.samplingRates(ids, scratch),
      reporter: {
        codes: integers((i) => paired.isPaired[indexes[i]!] === 1 ? 2 : isServer[i]!).values,
        dictionary: REPORTERS,
      },
      peer_bytes_sent: bigintsOrNull(filled(scratch.float64s(n), (i) => paired.peerBytesSent[indexes[i]!]!), scratch),
      peer_bytes_received: bigintsOrNull(filled(scratch.float64s(n), (i) => paired.peerBytesReceived[indexes[i]!]!), scratch),
      fold_level: integers((i) => rows.foldLevel(i)),
      late_count: amounts(VALUE.late_count),
      schema_version: { values: scratch.int32s(n).fill(FLOW_SCHEMA_VERSION) },
    },
  };
}

function filled<A extends Uint8Array | Int32Array | Float64Array>(values: A, of: (i: number) => number): A {
  for (let i = 0; i < values.length; i++) values[i] = of(i);
  return values;
}
