/** The rows of bench/flow_generator.ts as messages of a topic. */

import { encodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import type { TopicRecord } from "../lib/topic/topic.ts";
import {
  type Conversation,
  conversationsAMinute,
  Fleet,
  type FlowShape,
  type Host,
  hostOf,
  MESSAGE_CONVERSATIONS,
} from "./flow_generator.ts";

/** Rows of a message stand apart by this prime. */
export const INDEX_STEP = 1_237;
const WORD = 2 ** 32;

/** A row: a conversation as one of its ends tells it. */
interface EndRow {
  readonly seen: Conversation;
  readonly isServer: boolean;
}

/** Messages in the order of minutes; both ends of a conversation are in one partition. */
export function* flowMessages(shape: FlowShape, partitionCount = 1): Generator<TopicRecord> {
  const perMinute = conversationsAMinute(shape), fleet = new Fleet(shape.seed);
  const hosts = new Map<number, Host>();
  const known = (host: number) => {
    let found = hosts.get(host);
    if (found === undefined) hosts.set(host, found = hostOf(host));
    return found;
  };
  for (let minute = 0; minute < shape.minutes; minute++) {
    const byPartition: Conversation[][] = Array.from({ length: partitionCount }, () => []);
    for (let i = 0; i < perMinute; i++) {
      const seen = fleet.conversation(minute * perMinute + i, perMinute);
      byPartition[(seen.clientHost * 31 + seen.serverHost) % partitionCount]!.push(seen);
    }
    for (const [partition, all] of byPartition.entries()) {
      for (let start = 0; start < all.length; start += MESSAGE_CONVERSATIONS) {
        const rows = endRows(all.slice(start, start + MESSAGE_CONVERSATIONS));
        yield { partition, value: encodeFlowBatch(toBatch(rows, known)) };
      }
    }
  }
}

/** Where in its message the row stands that is number `i` of `2 * conversations`: ends of a conversation are not neighbours. */
function endRows(conversations: readonly Conversation[]): EndRow[] {
  const n = conversations.length, step = n % INDEX_STEP === 0 ? 1 : INDEX_STEP;
  return Array.from({ length: 2 * n }, (_, i) => {
    const place = i * step % (2 * n);
    return { seen: conversations[place % n]!, isServer: place >= n };
  });
}

/** `values` as 64 bits, without a bigint for each. */
function bigints(values: Float64Array): BigInt64Array {
  const out = new BigInt64Array(values.length), words = new Uint32Array(out.buffer);
  for (let i = 0; i < values.length; i++) {
    words[2 * i] = values[i]! % WORD;
    words[2 * i + 1] = Math.floor(values[i]! / WORD);
  }
  return out;
}

const later = ({ isServer }: EndRow) => isServer ? 7 : 0;

/** Columns of values of each row. */
const longsOf = (rows: readonly EndRow[]) => (of: (row: EndRow) => number) => ({ values: bigints(Float64Array.from(rows, of)) });
const integersOf = (rows: readonly EndRow[]) => (of: (row: EndRow) => number) => ({ values: Int32Array.from(rows, of) });
const sameOf = (rows: readonly EndRow[]) => (name: string) => ({ codes: new Int32Array(rows.length), dictionary: [name] });

function toBatch(rows: readonly EndRow[], hostOf: (host: number) => Host): FlowBatch {
  return { rowCount: rows.length, columns: { ...whoTalks(rows, hostOf), ...amounts(rows) } };
}

function whoTalks(rows: readonly EndRow[], hostOf: (host: number) => Host) {
  const hosts = rows.map(({ seen, isServer }) => hostOf(isServer ? seen.serverHost : seen.clientHost));
  const longs = longsOf(rows), integers = integersOf(rows), same = sameOf(rows), all = new Uint8Array(rows.length).fill(1);
  const text = (of: (host: Host) => string) => texts(hosts.map(of));
  const side = (isServer: boolean, of: (host: Host) => string) =>
    texts(hosts.map((host, i) => rows[i]!.isServer === isServer ? of(host) : null));
  const names = (client: string, server: string) => ({
    codes: Int32Array.from(rows, (row) => Number(row.isServer)),
    dictionary: [client, server],
  });
  return {
    window_start: longs((row) => row.seen.startUs + later(row)),
    window_end: longs((row) => row.seen.endUs + later(row)),
    observer_host_id: text((host) => host.id),
    observer_host_name: text((host) => host.name),
    observer_boot_id: text((host) => host.bootId),
    observer_address: text((host) => host.addressText),
    observer_role: names("client", "server"),
    direction_source: names("connect", "accept"),
    attribution_source: names("connect", "accept"),
    network_transport: same("tcp"),
    client_ip: addresses(rows, ({ seen }) => hostOf(seen.clientHost).address),
    server_ip: addresses(rows, ({ seen }) => hostOf(seen.serverHost).address),
    server_port: integers(({ seen }) => seen.edge.port),
    client_ports: ports(rows),
    client_port_count: integers(({ seen }) => seen.portCount),
    client_service_name: side(false, (host) => host.service),
    server_service_name: side(true, (host) => host.service),
    client_process_executable_name: side(false, (host) => host.executable),
    server_process_executable_name: side(true, (host) => host.executable),
    process_pid: { values: Int32Array.from(hosts, (host) => host.pid), valid: all },
    process_executable_path: text((host) => host.path),
    process_command_line: text((host) => host.commandLine),
    process_user_id: { values: Int32Array.from(hosts, (host) => host.userId), valid: all },
    process_cgroup: text((host) => host.cgroup),
    process_network_namespace: { values: bigints(Float64Array.from(hosts, (host) => host.networkNamespace)), valid: all },
  };
}

function amounts(rows: readonly EndRow[]) {
  const longs = longsOf(rows), integers = integersOf(rows), same = sameOf(rows), all = new Uint8Array(rows.length).fill(1);
  // Each its own: the encoder writes a buffer once where columns in a row share it.
  const zeros = () => ({ values: new BigInt64Array(rows.length) });
  const retransmits = ({ seen, isServer }: EndRow) => isServer ? seen.serverRetransmits : seen.clientRetransmits;
  const opened = Uint8Array.from(rows, ({ seen }) => seen.opened > 0 ? 1 : 0);
  return {
    bytes_sent: longs(({ seen }) => seen.bytesSent),
    bytes_received: longs(({ seen }) => seen.bytesReceived),
    segments_sent: longs(({ seen }) => 3 * seen.events + Math.floor(seen.bytesReceived / 2_896)),
    segments_received: longs(({ seen }) => 2 * seen.events + Math.floor(seen.bytesReceived / 1_448)),
    retransmits: longs(retransmits),
    bytes_retrans: longs((row) => 1_448 * retransmits(row)),
    lost: longs(retransmits),
    reordering_seen: zeros(),
    busy_us: longs(({ seen }) => seen.busyUs),
    rwnd_limited_us: zeros(),
    sndbuf_limited_us: zeros(),
    amounts_unknown: zeros(),
    connections_opened: longs(({ seen }) => seen.opened),
    connections_closed: longs(({ seen }) => seen.opened),
    connections_reset: zeros(),
    connections_timed_out: zeros(),
    connections_failed_refused: longs(({ seen, isServer }) => isServer ? 0 : seen.failed),
    connections_failed_timeout: zeros(),
    connections_failed_unreachable: zeros(),
    connections_failed_other: zeros(),
    srtt_us_sum: longs((row) => row.seen.events * (row.seen.srttUs + later(row))),
    srtt_samples: longs(({ seen }) => seen.events),
    srtt_us_min: { ...integers((row) => row.seen.srttUsMin + later(row)), valid: all },
    srtt_us_max: { ...integers((row) => row.seen.srttUsMax + later(row)), valid: all },
    rttvar_us_sum: longs(({ seen }) => seen.events * (seen.srttUs >> 2)),
    min_rtt_us: { ...integers((row) => row.seen.srttUsMin + later(row)), valid: all },
    connect_us_sum: longs(({ seen }) => seen.opened * seen.srttUs),
    connect_samples: longs(({ seen }) => seen.opened),
    connect_us_max: { ...integers(({ seen }) => seen.opened > 0 ? seen.srttUsMax : 0), valid: opened },
    snd_cwnd_sum: longs(({ seen }) => 10 * seen.events),
    snd_cwnd_min: { ...integers(() => 10), valid: all },
    event_count: longs(({ seen }) => seen.events),
    flow_source: same("skyfall"),
    sampling_rate: integers(() => 1),
    reporter: same("both"),
    peer_bytes_sent: { ...longs(({ seen }) => seen.bytesSent), valid: all },
    peer_bytes_received: { ...longs(({ seen }) => seen.bytesReceived), valid: all },
    fold_level: integers(() => 0),
    late_count: zeros(),
    schema_version: integers(() => FLOW_SCHEMA_VERSION),
  };
}

function texts(values: readonly (string | null)[]): { codes: Int32Array; dictionary: string[] } {
  const known = new Map<string, number>();
  const codes = Int32Array.from(values, (value) => {
    if (value === null) return -1;
    let code = known.get(value);
    if (code === undefined) known.set(value, code = known.size);
    return code;
  });
  return { codes, dictionary: [...known.keys()] };
}

function addresses(rows: readonly EndRow[], of: (row: EndRow) => number): { bytes: Uint8Array } {
  const bytes = new Uint8Array(16 * rows.length), view = new DataView(bytes.buffer);
  for (const [i, row] of rows.entries()) {
    view.setUint16(16 * i + 10, 0xffff);
    view.setUint32(16 * i + 12, of(row));
  }
  return { bytes };
}

function ports(rows: readonly EndRow[]): { offsets: Int32Array; values: Int32Array } {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, { seen }] of rows.entries()) offsets[i + 1] = offsets[i]! + seen.portCount;
  const values = new Int32Array(offsets[rows.length]!);
  for (const [i, { seen }] of rows.entries()) {
    for (let port = 0; port < seen.portCount; port++) values[offsets[i]! + port] = seen.firstPort + port * seen.portStep;
  }
  return { offsets, values };
}
