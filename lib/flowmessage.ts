/** Topic messages that goflow2's readers take: each direction of a flow row as one protobuf FlowMessage (flowmessage.proto). */

import protobuf from "protobufjs/minimal";
import type { AddressColumn, BigintColumn, FlowBatch, IntegerColumn } from "./flow_batch.ts";
import { FLOWMESSAGE } from "./flowmessage.gen.ts";
import { isMappedIpv4, parseAddress } from "./ip_address.ts";

/** A message, and what it stands for: each row and its events count in the first of its messages alone. */
export interface FlowMessage {
  readonly value: Uint8Array<ArrayBuffer>;
  readonly rows: number;
  readonly events: number;
}

type FieldName = keyof typeof FLOWMESSAGE.nested.flowpb.nested.FlowMessage.fields;
const FIELDS = FLOWMESSAGE.nested.flowpb.nested.FlowMessage.fields;
/** Types of fields that are written with their length; the others are varints. */
const WITH_LENGTH: readonly string[] = ["bytes", "string"];
/** Numbers of fields as they stand before their values (protobuf.dev/programming-guides/encoding). */
const TAGS = tagsOf();
const SFLOW_5 = 1;
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };
const ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd;

/** Columns that have a field of their own: texts in both messages of a row, numbers in the first. */
const TEXTS = [
  "observer_host_id",
  "observer_host_name",
  "observer_boot_id",
  "observer_role",
  "direction_source",
  "attribution_source",
  "client_service_name",
  "server_service_name",
  "client_process_executable_name",
  "server_process_executable_name",
  "process_executable_path",
  "process_command_line",
  "process_cgroup",
  "flow_source",
  "reporter",
] as const satisfies readonly (keyof FlowBatch["columns"])[];
const NUMBERS = [
  "client_port_count",
  "process_pid",
  "process_user_id",
  "process_network_namespace",
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
  "connections_timed_out",
  "connections_failed_refused",
  "connections_failed_timeout",
  "connections_failed_unreachable",
  "connections_failed_other",
  "srtt_us_sum",
  "srtt_samples",
  "srtt_us_min",
  "srtt_us_max",
  "rttvar_us_sum",
  "min_rtt_us",
  "connect_us_sum",
  "connect_samples",
  "connect_us_max",
  "snd_cwnd_sum",
  "snd_cwnd_min",
  "event_count",
  "schema_version",
  "peer_bytes_sent",
  "peer_bytes_received",
  "fold_level",
  "late_count",
] as const satisfies readonly (keyof FlowBatch["columns"])[];

type Uint64 = Parameters<protobuf.Writer["uint64"]>[0];

/**
 * Encodes each row as a message from the client to the server, and where anything came back one from the server to the client. A
 * value that is null or 0 is left out.
 *
 * @param nowMs When the rows leave the collector.
 */
export function encodeFlowMessages(batch: FlowBatch, nowMs: number): FlowMessage[] {
  const encoder = new RowEncoder(batch, nowMs);
  const ends: { readonly end: number; readonly rows: number; readonly events: number }[] = [];
  for (let row = 0; row < batch.rowCount; row++) {
    ends.push({ end: encoder.writeForward(row), rows: 1, events: Number(batch.columns.event_count.values[row]!) });
    if (encoder.hasBackward(row)) ends.push({ end: encoder.writeBackward(row), rows: 0, events: 0 });
  }
  const bytes = encoder.finish();
  let start = 0;
  return ends.map(({ end, rows, events }) => {
    const value = bytes.subarray(start, end);
    start = end;
    return { value, rows, events };
  });
}

/** Writes messages one behind the other; what is the same for many rows is made once. */
class RowEncoder {
  readonly #writer = new protobuf.Writer();
  readonly #columns: FlowBatch["columns"];
  readonly #received: Uint64;
  readonly #observers: readonly Uint8Array[];
  readonly #protocols: readonly number[];
  readonly #texts: readonly { readonly tag: number; readonly codes: Int32Array; readonly bytes: readonly Uint8Array[] }[];
  readonly #numbers: readonly { readonly tag: number; readonly column: IntegerColumn | BigintColumn }[];

  constructor({ columns }: FlowBatch, nowMs: number) {
    const utf8 = new TextEncoder();
    this.#columns = columns;
    this.#received = nanoseconds(BigInt(nowMs) * 1_000n);
    this.#observers = columns.observer_address.dictionary.map((text) => shortAddress(parseAddress(text)));
    this.#protocols = columns.network_transport.dictionary.map((text) => PROTOCOLS[text]!);
    this.#texts = TEXTS.map((name) => {
      const { codes, dictionary } = columns[name];
      return { tag: TAGS[name], codes, bytes: dictionary.map((text) => utf8.encode(text)) };
    });
    this.#numbers = [...NUMBERS.map((name) => ({ tag: TAGS[name], column: columns[name] })), {
      tag: TAGS.row_sampling_rate,
      column: columns.sampling_rate,
    }];
  }

  hasBackward(row: number): boolean {
    return this.#columns.bytes_received.values[row] !== 0n || this.#columns.segments_received.values[row] !== 0n;
  }

  /** Returns where the message ends. */
  writeForward(row: number): number {
    const { client_ip, server_ip, server_port, bytes_sent, segments_sent } = this.#columns;
    this.#writeShared(row);
    this.#writeEnds(client_ip, this.#clientPort(row), server_ip, server_port.values[row]!, row);
    this.#writeNumber(TAGS.bytes, Number(bytes_sent.values[row]!));
    this.#writeNumber(TAGS.packets, Number(segments_sent.values[row]!));
    const ports = this.#ports(row), writer = this.#writer;
    if (ports.length > 0) {
      writer.uint32(TAGS.client_ports).fork();
      for (const port of ports) writer.uint32(port);
      writer.ldelim();
    }
    for (const { tag, column: { values, valid } } of this.#numbers) {
      if (valid === undefined || valid[row] === 1) this.#writeNumber(tag, Number(values[row]!));
    }
    return writer.len;
  }

  /** Returns where the message ends. */
  writeBackward(row: number): number {
    const { client_ip, server_ip, server_port, bytes_received, segments_received } = this.#columns;
    this.#writeShared(row);
    this.#writeEnds(server_ip, server_port.values[row]!, client_ip, this.#clientPort(row), row);
    this.#writeNumber(TAGS.bytes, Number(bytes_received.values[row]!));
    this.#writeNumber(TAGS.packets, Number(segments_received.values[row]!));
    this.#writer.uint32(TAGS.from_server).bool(true);
    return this.#writer.len;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#writer.finish()); // its own buffer may be a piece of a pool
  }

  #writeShared(row: number): void {
    const writer = this.#writer, columns = this.#columns;
    writer.uint32(TAGS.type).uint32(SFLOW_5).uint32(TAGS.sampling_rate).uint32(1);
    writer.uint32(TAGS.sampler_address).bytes(this.#observers[columns.observer_address.codes[row]!]!);
    writer.uint32(TAGS.proto).uint32(this.#protocols[columns.network_transport.codes[row]!]!);
    writer.uint32(TAGS.time_received_ns).uint64(this.#received);
    writer.uint32(TAGS.time_flow_start_ns).uint64(nanoseconds(columns.window_start.values[row]!));
    writer.uint32(TAGS.time_flow_end_ns).uint64(nanoseconds(columns.window_end.values[row]!));
    for (const { tag, codes, bytes } of this.#texts) {
      const code = codes[row]!;
      if (code >= 0) writer.uint32(tag).bytes(bytes[code]!);
    }
  }

  #writeEnds(from: AddressColumn, fromPort: number, to: AddressColumn, toPort: number, row: number): void {
    const source = addressAt(from, row), destination = addressAt(to, row);
    this.#writer.uint32(TAGS.etype).uint32(source.length === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    this.#writer.uint32(TAGS.src_addr).bytes(source).uint32(TAGS.dst_addr).bytes(destination);
    this.#writeNumber(TAGS.src_port, fromPort);
    this.#writeNumber(TAGS.dst_port, toPort);
  }

  /** Amounts stay below 2^53. */
  #writeNumber(tag: number, value: number): void {
    if (value !== 0) this.#writer.uint32(tag).uint64(value);
  }

  #ports(row: number): Int32Array {
    const { offsets, values } = this.#columns.client_ports;
    return values.subarray(offsets[row]!, offsets[row + 1]!);
  }

  /** The client's port where it was one, else 0. */
  #clientPort(row: number): number {
    const { client_port_count, client_ports: { offsets, values } } = this.#columns;
    return client_port_count.values[row] === 1 && offsets[row + 1]! > offsets[row]! ? values[offsets[row]!]! : 0;
  }
}

function tagsOf(): { readonly [F in FieldName]: number } {
  const tags = Object.entries(FIELDS).map((
    [name, field],
  ) => [name, field.id * 8 + ("rule" in field || WITH_LENGTH.includes(field.type) ? 2 : 0)]);
  return Object.fromEntries(tags);
}

/** Address of a row, IPv4 in 4 bytes. */
function addressAt({ bytes }: AddressColumn, row: number): Uint8Array {
  return shortAddress(bytes.subarray(16 * row, 16 * row + 16));
}

function shortAddress(address: Uint8Array): Uint8Array {
  return isMappedIpv4(address) ? address.subarray(12) : address;
}

/** A double does not hold them. */
function nanoseconds(us: bigint): Uint64 {
  const ns = us * 1_000n;
  return new protobuf.util.LongBits(Number(ns & 0xffff_ffffn), Number(ns >> 32n)).toLong(true);
}
