/** Datagrams as an agent sends them, and a sender that keeps to a rate. */

import type { Flow } from "../agent/flow.ts";
import { LanedEncoder } from "../agent/lanes.ts";
import type { ProcessDescription } from "../agent/processes.ts";
import { DatagramSender } from "../ffi/libc.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { LANES_DEFAULT } from "../lib/lanes.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { pause } from "./processes.ts";

/** What the flows are like. */
export interface Load {
  readonly flows: number;
  /** Of a client, a server and a service port. */
  readonly conversations: number;
  readonly processes: number;
  /** Whether the standard structures go along, that other readers know. */
  readonly interop: boolean;
  /** Whether the first flows are of every conversation once, in an order that scatters them; else all are drawn at random. */
  readonly everyConversation?: boolean;
}

const FLOWS_PER_SEND = 200;
const START_UNIX_US = 1_767_323_045_000_000;
const STEP_MS = 2;
/** A prime that no number of conversations is a multiple of. */
const SCATTER = 7_919_111;

/** All datagrams of a load, in the order of sending. */
export function makeDatagrams({ flows, conversations, processes, interop, everyConversation = false }: Load): Uint8Array<ArrayBuffer>[] {
  const source = {
    agentAddress: parseHostPort("127.0.0.1:1").address,
    host: { host_id: new Uint8Array(16).fill(1), boot_id: new Uint8Array(16).fill(2), host_name: "bench-host" },
    enterprise: DEFAULT_ENTERPRISE,
    interop,
    key: null,
  };
  const encoder = new LanedEncoder(source, LANES_DEFAULT);
  const owners = Array.from({ length: processes }, (_, i) => describeProcess(i));
  const random = randomNumbers(1);
  const datagrams: Uint8Array<ArrayBuffer>[] = [];
  for (let first = 0; first < flows; first += FLOWS_PER_SEND) {
    for (let i = first; i < Math.min(first + FLOWS_PER_SEND, flows); i++) {
      const conversation = everyConversation && i < conversations ? i * SCATTER % conversations : random(conversations);
      encoder.add(makeFlow(i, conversation, owners, random));
    }
    for (const { bytes } of encoder.flush(first, { otherDrops: 0, unsentOf: () => 0 }, true)) datagrams.push(bytes.slice());
  }
  return datagrams;
}

function describeProcess(i: number): ProcessDescription {
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

/** A client's flow of two segments and more each way; the conversation decides addresses, port and process. */
function makeFlow(i: number, conversation: number, owners: readonly ProcessDescription[], random: (below: number) => number): Flow {
  const address = (network: number, host: number) =>
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, network, host >> 8 & 0xff, host & 0xff);
  const periodUs = START_UNIX_US + 100 * i;
  return {
    flow_id: i + 1,
    period_start_unix_us: periodUs,
    period_end_unix_us: periodUs + 1_000,
    local_address: address(1, conversation),
    remote_address: address(2, conversation >> 4),
    local_port: 32_768 + random(28_000),
    remote_port: 8_000 + conversation % 16,
    transport_protocol: 6,
    process: owners[conversation % owners.length]!,
    role: 1,
    role_source: 1,
    attribution_source: 1,
    state: 4,
    end_reason: 1,
    opened_count: 1,
    amounts_known: 3,
    tx_bytes: random(5_000),
    rx_bytes: random(50_000),
    retrans_bytes: 0,
    tx_segments: 2 + random(10),
    rx_segments: 2 + random(30),
    retrans_segments: 0,
    lost_segments: 0,
    reordering_count: 0,
    busy_us: 500,
    rwnd_limited_us: 0,
    sndbuf_limited_us: 0,
    srtt_us: 100 + random(1_000),
    rttvar_us: random(100),
    min_rtt_us: 90,
    snd_cwnd_segments: 10,
    connect_us: 200,
  };
}

/** Sends to a port of 127.0.0.1, at most so many a second; returns the seconds that it took. */
export async function sendAtRate(datagrams: readonly Uint8Array<ArrayBuffer>[], port: number, perSecond: number): Promise<number> {
  using sender = new DatagramSender(parseHostPort(`127.0.0.1:${port}`).address, port, true);
  const startMs = performance.now();
  for (let next = 0; next < datagrams.length;) {
    const due = Math.min(datagrams.length, Math.floor((performance.now() - startMs) * perSecond / 1_000));
    for (; next < due; next++) {
      const errno = sender.send(datagrams[next]!);
      if (errno !== 0) throw new Error(`Cannot send datagram ${next} to port ${port}: errno ${errno}`);
    }
    await pause(STEP_MS);
  }
  return (performance.now() - startMs) / 1_000;
}
