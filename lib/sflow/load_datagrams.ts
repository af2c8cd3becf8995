/** Datagrams as our agents send them, made for measuring whoever receives them (sflow_version_5.txt, section 5). */

import {
  ADDRESS_TYPE_IPV4,
  DATA_SOURCE_SKYFALL,
  dataFormat,
  DATAGRAM_BYTES_MAX,
  DEFAULT_ENTERPRISE,
  FLOW_SAMPLE,
  SFLOW_VERSION,
} from "./datagram.ts";
import { SKYFALL_FLOW, SKYFALL_HOST, SKYFALL_PROCESS } from "./skyfall.gen.ts";
import { encodeStruct } from "./xdr_encode.ts";

/** What the flows are like. */
export interface DatagramLoad {
  readonly flows: number;
  /** Of a client, a server and a service port; each has as many flows as the others. */
  readonly conversations: number;
  /** Processes of the one host; a conversation belongs to one. */
  readonly processes: number;
}

const F = SKYFALL_FLOW.fields;
const AGENT_ADDRESS = 0x0a00_0001, SUB_AGENT_ID = 1;
const DATAGRAM_HEADER_BYTES = 28, SAMPLE_HEADER_BYTES = 40, RECORD_HEADER_BYTES = 8;
const FLOW_BYTES = RECORD_HEADER_BYTES + SKYFALL_FLOW.fixedSize;
const CLIENT_PORTS = 28_000;
/** Spreads neighbours over the table, as traffic does; no number of conversations below 2^24 has it as a factor. */
const STRIDE = 16_777_259;

const HOST = encodeStruct(SKYFALL_HOST.fields, {
  host_id: new Uint8Array(16).fill(1),
  boot_id: new Uint8Array(16).fill(2),
  host_name: "load-test",
});

const FLOW = encodeStruct(F, {
  flow_id: 0,
  period_start_unix_us: 0,
  period_end_unix_us: 0,
  local_address: new Uint8Array(16).fill(0xff, 10, 12),
  remote_address: new Uint8Array(16).fill(0xff, 10, 12),
  local_port: 0,
  remote_port: 0,
  transport_protocol: 6,
  process_index: 1,
  role: 1,
  role_source: 1,
  attribution_source: 1,
  state: 4,
  end_reason: 1,
  opened_count: 1,
  amounts_known: 3,
  tx_bytes: 1_000,
  rx_bytes: 10_000,
  retrans_bytes: 0,
  tx_segments: 5,
  rx_segments: 9,
  retrans_segments: 0,
  lost_segments: 0,
  reordering_count: 0,
  busy_us: 500,
  rwnd_limited_us: 0,
  sndbuf_limited_us: 0,
  srtt_us: 300,
  rttvar_us: 50,
  min_rtt_us: 90,
  snd_cwnd_segments: 10,
  connect_us: 200,
});

/** A process of a load, as an agent describes it. */
export function loadProcess(i: number) {
  return {
    pid: 1_000 + i,
    user_id: 33,
    network_namespace: 4_026_531_840,
    cgroup_id: 100 + i,
    service_source: 2,
    service_name: `service-${i}`,
    executable_name: "server",
    executable_path: "/usr/lib/service/server",
    command_line: `/usr/lib/service/server --config /etc/service-${i}.conf`,
    cgroup_path: `/system.slice/service-${i}.service`,
    container_id: "",
    container_name: "",
    k8s_namespace: "",
    k8s_pod_name: "",
  };
}

/**
 * Makes all datagrams of a load in the order of sending, each as full as an agent makes it: a host, a process and its flows.
 *
 * @param unixUs When the flows were.
 */
export function makeLoadDatagrams({ flows, conversations, processes }: DatagramLoad, unixUs: number): Uint8Array<ArrayBuffer>[] {
  const bodies = Array.from({ length: processes }, (_, i) => encodeStruct(SKYFALL_PROCESS.fields, { index: 1, ...loadProcess(i) }));
  const datagrams: Uint8Array<ArrayBuffer>[] = [];
  for (let made = 0; made < flows;) {
    const process = bodies[datagrams.length % processes]!;
    const head = DATAGRAM_HEADER_BYTES + SAMPLE_HEADER_BYTES + 2 * RECORD_HEADER_BYTES + HOST.length + process.length;
    const count = Math.min(flows - made, Math.floor((DATAGRAM_BYTES_MAX - head) / FLOW_BYTES));
    datagrams.push(makeDatagram(datagrams.length + 1, head + count * FLOW_BYTES, process, made, count, conversations, unixUs));
    made += count;
  }
  return datagrams;
}

function makeDatagram(
  sequence: number,
  bytes: number,
  process: Uint8Array,
  first: number,
  count: number,
  conversations: number,
  unixUs: number,
): Uint8Array<ArrayBuffer> {
  const datagram = new Uint8Array(bytes), view = new DataView(datagram.buffer);
  let at = 0;
  const put = (...values: readonly number[]) => {
    for (const value of values) view.setUint32(at, value >>> 0), at += 4;
  };
  const record = (format: number, body: Uint8Array) => {
    put(dataFormat(DEFAULT_ENTERPRISE, format), body.length);
    datagram.set(body, at);
    at += body.length;
  };
  put(SFLOW_VERSION, ADDRESS_TYPE_IPV4, AGENT_ADDRESS, SUB_AGENT_ID, sequence, sequence, 1);
  put(FLOW_SAMPLE, bytes - at - 8, sequence, DATA_SOURCE_SKYFALL, 1, first + count, 0, 0, 0, 2 + count);
  record(SKYFALL_HOST.format, HOST);
  record(SKYFALL_PROCESS.format, process);
  for (let flow = first; flow < first + count; flow++) {
    record(SKYFALL_FLOW.format, FLOW);
    fillFlow(view, at - FLOW.length, flow, flow * STRIDE % conversations, unixUs);
  }
  return datagram;
}

/** The conversation decides addresses and service port, the flow the client's port. */
function fillFlow(view: DataView, at: number, flow: number, conversation: number, unixUs: number): void {
  view.setBigUint64(at + F.flow_id.offset, BigInt(flow + 1));
  view.setBigUint64(at + F.period_start_unix_us.offset, BigInt(unixUs));
  view.setBigUint64(at + F.period_end_unix_us.offset, BigInt(unixUs + 1_000));
  view.setUint32(at + F.local_address.offset + 12, 0x0a40_0000 + conversation);
  view.setUint32(at + F.remote_address.offset + 12, 0x0a20_0000 + (conversation >> 4 & 0xffff));
  view.setUint32(at + F.local_port.offset, 32_768 + flow % CLIENT_PORTS);
  view.setUint32(at + F.remote_port.offset, 8_000 + conversation % 16);
}

/** Datagrams one behind the other. */
export interface PackedDatagrams {
  readonly view: DataView<ArrayBuffer>;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

export function packDatagrams(datagrams: readonly Uint8Array[]): PackedDatagrams {
  const lengths = Int32Array.from(datagrams, ({ length }) => length), starts = new Int32Array(datagrams.length);
  for (let i = 1; i < starts.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  datagrams.forEach((datagram, i) => bytes.set(datagram, starts[i]!));
  return { view: new DataView(bytes.buffer), starts, lengths };
}
