/** Restates flows in the structures of sFlow.org, for readers that do not know ours. */

import { isMappedIpv4 } from "../lib/ip_address.ts";
import {
  DATA_SOURCE_MIRROR,
  dataFormat,
  EXTENDED_SOCKET_IPV4,
  EXTENDED_SOCKET_IPV6,
  EXTENDED_TCP_INFO,
  FLOW_SAMPLE,
  SAMPLED_IPV4,
  SAMPLED_IPV6,
} from "../lib/sflow/datagram.ts";
import { SKYFALL_MIRROR } from "../lib/sflow/skyfall.gen.ts";
import { type Flow, TRANSPORT_TCP } from "./flow.ts";

/** `extended_tcp_info.dirn`. */
const DIRECTION = { received: 1, sent: 2 } as const;
type Direction = typeof DIRECTION[keyof typeof DIRECTION];

/**
 * Makes the samples of data source 3:2. A reader multiplies a packet's length by the sampling rate; so that it gets the
 * exact bytes and segments, n segments of b bytes are told as n - r segments of floor(b / n) bytes and r segments of one
 * byte more, where r = b mod n.
 */
export class MirrorSamples {
  #sequence = 0;
  #samplePool = 0;

  /** Samples of one flow: at most two for each direction in which anything was sent. */
  encode(flow: Flow, enterprise: number, drops: number): Uint8Array[] {
    return [
      ...this.#direction(flow, DIRECTION.sent, flow.tx_bytes, flow.tx_segments, enterprise, drops),
      ...this.#direction(flow, DIRECTION.received, flow.rx_bytes, flow.rx_segments, enterprise, drops),
    ];
  }

  #direction(flow: Flow, direction: Direction, bytes: number, segments: number, enterprise: number, drops: number): Uint8Array[] {
    if (bytes === 0 && segments === 0) return [];
    const count = Math.max(1, segments);
    const length = Math.floor(bytes / count), longer = bytes % count;
    return [
      { rate: count - longer, length },
      { rate: longer, length: length + 1 },
    ].filter(({ rate }) => rate > 0).map(({ rate, length }) => this.#sample(flow, direction, rate, length, enterprise, drops));
  }

  /** Order of records: a reader that cannot skip 0:2100 has by then read all that it knows. */
  #sample(flow: Flow, direction: Direction, rate: number, length: number, enterprise: number, drops: number): Uint8Array {
    this.#samplePool += rate;
    const records = [
      packetRecord(flow, direction, length),
      record(dataFormat(enterprise, SKYFALL_MIRROR.format), [Math.floor(flow.flow_id / 4_294_967_296), flow.flow_id]),
      socketRecord(flow),
      ...(flow.transport_protocol === TRANSPORT_TCP ? [tcpInfoRecord(flow, direction)] : []),
    ];
    const head = [++this.#sequence, DATA_SOURCE_MIRROR, rate, this.#samplePool, drops, 0, 0, records.length];
    return record(FLOW_SAMPLE, head, ...records);
  }
}

function packetRecord(flow: Flow, direction: Direction, length: number): Uint8Array {
  const sent = direction === DIRECTION.sent;
  const from = sent ? flow.local_address : flow.remote_address, to = sent ? flow.remote_address : flow.local_address;
  const fromPort = sent ? flow.local_port : flow.remote_port, toPort = sent ? flow.remote_port : flow.local_port;
  const isIpv4 = isMappedIpv4(from);
  return record(
    isIpv4 ? SAMPLED_IPV4 : SAMPLED_IPV6,
    [length, flow.transport_protocol],
    address(from, isIpv4),
    address(to, isIpv4),
    words([fromPort, toPort, 0, 0]),
  );
}

function socketRecord(flow: Flow): Uint8Array {
  const isIpv4 = isMappedIpv4(flow.local_address);
  return record(
    isIpv4 ? EXTENDED_SOCKET_IPV4 : EXTENDED_SOCKET_IPV6,
    [flow.transport_protocol],
    address(flow.local_address, isIpv4),
    address(flow.remote_address, isIpv4),
    words([flow.local_port, flow.remote_port]),
  );
}

/** What a flow does not hold (segment sizes, unacknowledged and lost segments, path MTU, reordering) is 0: absent. */
function tcpInfoRecord(flow: Flow, direction: Direction): Uint8Array {
  const { retrans_segments, srtt_us, rttvar_us, snd_cwnd_segments, min_rtt_us } = flow;
  return record(EXTENDED_TCP_INFO, [direction, 0, 0, 0, 0, retrans_segments, 0, srtt_us, rttvar_us, snd_cwnd_segments, 0, min_rtt_us]);
}

function address(bytes: Uint8Array, isIpv4: boolean): Uint8Array {
  return isIpv4 ? bytes.subarray(12) : bytes;
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(i * 4, value));
  return bytes;
}

function record(tag: number, head: readonly number[], ...tail: readonly Uint8Array[]): Uint8Array {
  const body = [words(head), ...tail];
  const length = body.reduce((bytes, part) => bytes + part.length, 0);
  const out = new Uint8Array(8 + length);
  out.set(words([tag, length]));
  let at = 8;
  for (const part of body) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
