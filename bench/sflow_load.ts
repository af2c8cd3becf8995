/** Datagrams as an agent sends them, and a sender that keeps to a rate. */

import type { Flow } from "../agent/flow.ts";
import { LanedEncoder } from "../agent/lanes.ts";
import type { ProcessDescription } from "../agent/processes.ts";
import { DatagramSender } from "../ffi/libc.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { LANES_DEFAULT } from "../lib/lanes.ts";
import { ADDRESS_TYPE_IPV4, DEFAULT_ENTERPRISE, FLOW_SAMPLE, SAMPLED_IPV4, SFLOW_VERSION } from "../lib/sflow/datagram.ts";
import { loadProcess } from "../lib/sflow/load_datagrams.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { traceMinute } from "./article_trace.ts";
import type { EventFields } from "./flow_event.ts";
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
/** Flows that fill a datagram. */
const FLOWS_PER_DATAGRAM = 5;
const NO_DROPS = { otherDrops: 0, unsentOf: () => 0 };
const SAMPLES_PER_DATAGRAM = 16;
/** Of a flow_sample with one sampled_ipv4: tag and length, eight of its own, tag and length, eight of the record. */
const STANDARD_SAMPLE_WORDS = 20;
const STEP_MS = 2;
/** A prime that no number of conversations is a multiple of. */
const SCATTER = 7_919_111;

/** All datagrams of a load, in the order of sending. */
export function makeDatagrams({ flows, conversations, processes, interop, everyConversation = false }: Load): Uint8Array<ArrayBuffer>[] {
  const encoder = encoderFor(parseHostPort("127.0.0.1:1").address, interop, LANES_DEFAULT);
  const owners = Array.from({ length: processes }, (_, i) => loadProcess(i));
  const random = randomNumbers(1);
  const datagrams: Uint8Array<ArrayBuffer>[] = [];
  for (let first = 0; first < flows; first += FLOWS_PER_SEND) {
    for (let i = first; i < Math.min(first + FLOWS_PER_SEND, flows); i++) {
      const conversation = everyConversation && i < conversations ? i * SCATTER % conversations : random(conversations);
      encoder.add(makeFlow(i, conversation, owners, random));
    }
    for (const { bytes } of encoder.flush(first, NO_DROPS, true)) datagrams.push(bytes.slice());
  }
  return datagrams;
}

function encoderFor(agentAddress: Uint8Array, interop: boolean, lanes: number): LanedEncoder {
  const host = { host_id: new Uint8Array(16).fill(1), boot_id: new Uint8Array(16).fill(2), host_name: "bench-host" };
  return new LanedEncoder({ agentAddress, host, enterprise: DEFAULT_ENTERPRISE, interop, key: null }, lanes);
}

/** A client's flow of two segments and more each way; the conversation decides addresses, port and process. */
function makeFlow(i: number, conversation: number, owners: readonly ProcessDescription[], random: (below: number) => number): Flow {
  return flowOf(i, owners[conversation % owners.length]!, random, {
    isServer: false,
    client: 0x0a01_0000 + (conversation & 0xffff),
    server: 0x0a02_0000 + (conversation >> 4 & 0xffff),
    clientPort: 32_768 + random(28_000),
    serverPort: 8_000 + conversation % 16,
    startUnixUs: START_UNIX_US + 100 * i,
    sentBytes: random(5_000),
    receivedBytes: random(50_000),
  });
}

/** A short connection, as one of its ends tells of it. */
function flowOf(i: number, process: ProcessDescription, random: (below: number) => number, event: EventFields): Flow {
  const { isServer, startUnixUs } = event;
  const client = addressOf(event.client), server = addressOf(event.server);
  return {
    flow_id: i + 1,
    period_start_unix_us: startUnixUs,
    period_end_unix_us: startUnixUs + 1_000,
    local_address: isServer ? server : client,
    remote_address: isServer ? client : server,
    local_port: isServer ? event.serverPort : event.clientPort,
    remote_port: isServer ? event.clientPort : event.serverPort,
    transport_protocol: 6,
    process,
    role: isServer ? 2 : 1,
    role_source: isServer ? 2 : 1,
    attribution_source: isServer ? 6 : 1,
    state: 4,
    end_reason: 1,
    opened_count: 1,
    amounts_known: 3,
    tx_bytes: isServer ? event.receivedBytes : event.sentBytes,
    rx_bytes: isServer ? event.sentBytes : event.receivedBytes,
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

function addressOf(ipv4: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ipv4 >>> 24, ipv4 >>> 16 & 0xff, ipv4 >>> 8 & 0xff, ipv4 & 0xff);
}

/**
 * A minute of some fleets (article_trace.ts) as their hosts send it, each with an agent of its own: datagrams as full as they
 * get, in order of time.
 *
 * @param fleets Their numbers: each has hosts of its own.
 */
export function makeTraceDatagrams(
  fleets: readonly number[],
  minuteUnixUs: number,
): { readonly flows: number; readonly datagrams: Uint8Array<ArrayBuffer>[] } {
  const made = fleets.map((fleet) => makeFleetDatagrams(fleet, minuteUnixUs));
  const datagrams = made.flatMap(({ datagrams }) => datagrams).sort((a, b) => a.sentUnixUs - b.sentUnixUs).map(({ bytes }) => bytes);
  return { flows: made.reduce((sum, { flows }) => sum + flows, 0), datagrams };
}

interface SentDatagram {
  readonly sentUnixUs: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function makeFleetDatagrams(fleet: number, minuteUnixUs: number): { readonly flows: number; readonly datagrams: readonly SentDatagram[] } {
  const events = [...traceMinute(1 + fleet, minuteUnixUs, fleet)].sort((a, b) => a.startUnixUs - b.startUnixUs);
  const random = randomNumbers(1), datagrams: SentDatagram[] = [];
  const hosts = new Map<number, { readonly encoder: LanedEncoder; readonly process: ProcessDescription; pending: number }>();
  const flush = (host: { readonly encoder: LanedEncoder; pending: number }, i: number) => {
    const sentUnixUs = events[i]!.startUnixUs;
    for (const { bytes } of host.encoder.flush(i, NO_DROPS, true)) datagrams.push({ sentUnixUs, bytes: bytes.slice() });
    host.pending = 0;
  };
  for (const [i, event] of events.entries()) {
    const address = event.isServer ? event.server : event.client;
    let host = hosts.get(address);
    if (host === undefined) {
      host = { encoder: encoderFor(addressOf(address), false, 1), process: loadProcess(event.reporter), pending: 0 };
      hosts.set(address, host);
    }
    host.encoder.add(flowOf(i, host.process, random, event));
    if (++host.pending === FLOWS_PER_DATAGRAM) flush(host, i);
  }
  for (const host of hosts.values()) if (host.pending > 0) flush(host, events.length - 1);
  return { flows: events.length, datagrams };
}

/** Datagrams of a switch: flow samples with one sampled_ipv4 record each, 16 of them in 1,308 bytes. */
export function makeStandardDatagrams(samples: number, conversations: number): Uint8Array<ArrayBuffer>[] {
  const random = randomNumbers(1);
  return Array.from({ length: Math.ceil(samples / SAMPLES_PER_DATAGRAM) }, (_, datagram) => {
    const words = new DataView(new ArrayBuffer(4 * (7 + SAMPLES_PER_DATAGRAM * STANDARD_SAMPLE_WORDS)));
    let at = 0;
    const put = (...values: number[]) => values.forEach((value) => words.setUint32(4 * at++, value));
    put(SFLOW_VERSION, ADDRESS_TYPE_IPV4, 0x0a00_0001, 0, datagram + 1, datagram, SAMPLES_PER_DATAGRAM);
    for (let i = 0; i < SAMPLES_PER_DATAGRAM; i++) {
      const conversation = random(conversations), sequence = datagram * SAMPLES_PER_DATAGRAM + i + 1;
      put(FLOW_SAMPLE, 4 * (STANDARD_SAMPLE_WORDS - 2), sequence, 1, 1, sequence, 0, 1, 2, 1);
      put(SAMPLED_IPV4, 32, 40 + random(1_400), 6, 0x0a01_0000 + (conversation & 0xffff), 0x0a02_0000 + (conversation >> 4 & 0xffff));
      put(32_768 + random(28_000), 8_000 + conversation % 16, 0x10, 0);
    }
    return new Uint8Array(words.buffer);
  });
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
