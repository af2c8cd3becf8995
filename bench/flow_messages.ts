/** The rows of bench/flow_generator.ts as messages of a topic. */

import { encodeFlowBatch, type FlowBatch, type TextColumn } from "../lib/flow_batch.ts";
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
const NETWORK_NAMESPACE = 4_026_531_840;

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

/** What makes a column of the rows and their hosts. */
class Columns {
  readonly #rows: readonly EndRow[];
  readonly #hosts: readonly Host[];

  constructor(rows: readonly EndRow[], hosts: readonly Host[]) {
    this.#rows = rows;
    this.#hosts = hosts;
  }

  longs(of: (row: EndRow) => number): { values: BigInt64Array } {
    return { values: bigints(Float64Array.from(this.#rows, of)) };
  }

  /** Each its own: the encoder writes a buffer once where columns in a row share it. */
  zeros(): { values: BigInt64Array } {
    return { values: new BigInt64Array(this.#rows.length) };
  }

  integers(of: (row: EndRow) => number): { values: Int32Array } {
    return { values: Int32Array.from(this.#rows, of) };
  }

  integersOf(of: (host: Host) => number): { values: Int32Array } {
    return { values: Int32Array.from(this.#hosts, of) };
  }

  text(of: (host: Host) => string): TextColumn {
    return texts(this.#hosts.map(of));
  }

  /** Of the observer, where it is that end. */
  side(isServer: boolean, of: (host: Host) => string): TextColumn {
    return texts(this.#hosts.map((host, i) => this.#rows[i]!.isServer === isServer ? of(host) : null));
  }

  names(client: string, server: string): TextColumn {
    return { codes: Int32Array.from(this.#rows, (row) => Number(row.isServer)), dictionary: [client, server] };
  }

  same(name: string): TextColumn {
    return { codes: new Int32Array(this.#rows.length), dictionary: [name] };
  }
}

function toBatch(rows: readonly EndRow[], hostOf: (host: number) => Host): FlowBatch {
  const columns = new Columns(rows, rows.map(({ seen, isServer }) => hostOf(isServer ? seen.serverHost : seen.clientHost)));
  const ends = {
    client_ip: addresses(rows, ({ seen }) => hostOf(seen.clientHost).address),
    server_ip: addresses(rows, ({ seen }) => hostOf(seen.serverHost).address),
    client_ports: ports(rows),
  };
  const all = new Uint8Array(rows.length).fill(1);
  return {
    rowCount: rows.length,
    columns: { ...ends, ...who(columns, all), ...amounts(columns), ...quality(columns, rows, all), ...origin(columns, all) },
  };
}

/** Whose clock is later, by so many microseconds. */
function later({ isServer }: EndRow): number {
  return isServer ? 7 : 0;
}

function who(columns: Columns, all: Uint8Array) {
  return {
    window_start: columns.longs((row) => row.seen.startUs + later(row)),
    window_end: columns.longs((row) => row.seen.endUs + later(row)),
    observer_host_id: columns.text((host) => host.id),
    observer_host_name: columns.text((host) => host.name),
    observer_boot_id: columns.text((host) => host.bootId),
    observer_address: columns.text((host) => host.addressText),
    observer_role: columns.names("client", "server"),
    direction_source: columns.names("connect", "accept"),
    attribution_source: columns.names("connect", "accept"),
    network_transport: columns.same("tcp"),
    server_port: columns.integers(({ seen }) => seen.edge.port),
    client_port_count: columns.integers(({ seen }) => seen.portCount),
    client_service_name: columns.side(false, (host) => host.service),
    server_service_name: columns.side(true, (host) => host.service),
    client_process_executable_name: columns.side(false, (host) => host.executable),
    server_process_executable_name: columns.side(true, (host) => host.executable),
    process_pid: { values: columns.integersOf(({ pid }) => pid).values, valid: all },
    process_executable_path: columns.text((host) => host.path),
    process_command_line: columns.text((host) => host.commandLine),
    process_user_id: { values: columns.integersOf(({ userId }) => userId).values, valid: all },
    process_cgroup: columns.text((host) => host.cgroup),
    process_network_namespace: { values: columns.longs(() => NETWORK_NAMESPACE).values, valid: all },
  };
}

function amounts(columns: Columns) {
  const retransmits = ({ seen, isServer }: EndRow) => isServer ? seen.serverRetransmits : seen.clientRetransmits;
  return {
    bytes_sent: columns.longs(({ seen }) => seen.bytesSent),
    bytes_received: columns.longs(({ seen }) => seen.bytesReceived),
    segments_sent: columns.longs(({ seen }) => 3 * seen.events + Math.floor(seen.bytesReceived / 2_896)),
    segments_received: columns.longs(({ seen }) => 2 * seen.events + Math.floor(seen.bytesReceived / 1_448)),
    retransmits: columns.longs(retransmits),
    bytes_retrans: columns.longs((row) => 1_448 * retransmits(row)),
    lost: columns.longs(retransmits),
    reordering_seen: columns.zeros(),
    busy_us: columns.longs(({ seen }) => seen.busyUs),
    rwnd_limited_us: columns.zeros(),
    sndbuf_limited_us: columns.zeros(),
    amounts_unknown: columns.zeros(),
    connections_opened: columns.longs(({ seen }) => seen.opened),
    connections_closed: columns.longs(({ seen }) => seen.opened),
    connections_reset: columns.zeros(),
    connections_timed_out: columns.zeros(),
    connections_failed_refused: columns.longs(({ seen, isServer }) => isServer ? 0 : seen.failed),
    connections_failed_timeout: columns.zeros(),
    connections_failed_unreachable: columns.zeros(),
    connections_failed_other: columns.zeros(),
  };
}

function quality(columns: Columns, rows: readonly EndRow[], all: Uint8Array) {
  const opened = Uint8Array.from(rows, ({ seen }) => seen.opened > 0 ? 1 : 0);
  return {
    srtt_us_sum: columns.longs((row) => row.seen.events * (row.seen.srttUs + later(row))),
    srtt_samples: columns.longs(({ seen }) => seen.events),
    srtt_us_min: { ...columns.integers((row) => row.seen.srttUsMin + later(row)), valid: all },
    srtt_us_max: { ...columns.integers((row) => row.seen.srttUsMax + later(row)), valid: all },
    rttvar_us_sum: columns.longs(({ seen }) => seen.events * (seen.srttUs >> 2)),
    min_rtt_us: { ...columns.integers((row) => row.seen.srttUsMin + later(row)), valid: all },
    connect_us_sum: columns.longs(({ seen }) => seen.opened * seen.srttUs),
    connect_samples: columns.longs(({ seen }) => seen.opened),
    connect_us_max: { ...columns.integers(({ seen }) => seen.opened > 0 ? seen.srttUsMax : 0), valid: opened },
    snd_cwnd_sum: columns.longs(({ seen }) => 10 * seen.events),
    snd_cwnd_min: { ...columns.integers(() => 10), valid: all },
  };
}

function origin(columns: Columns, all: Uint8Array) {
  return {
    event_count: columns.longs(({ seen }) => seen.events),
    flow_source: columns.same("skyfall"),
    sampling_rate: columns.integers(() => 1),
    reporter: columns.same("both"),
    peer_bytes_sent: { ...columns.longs(({ seen }) => seen.bytesSent), valid: all },
    peer_bytes_received: { ...columns.longs(({ seen }) => seen.bytesReceived), valid: all },
    fold_level: columns.integers(() => 0),
    late_count: columns.zeros(),
    schema_version: columns.integers(() => FLOW_SCHEMA_VERSION),
  };
}

function texts(values: readonly (string | null)[]): TextColumn {
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
