/** Builds what other sFlow agents send, for tests: packets layer by layer, the records that tell of them, and their samples. */

import {
  EXTENDED_SOCKET_IPV4,
  EXTENDED_SOCKET_IPV6,
  EXTENDED_TCP_INFO,
  FLOW_SAMPLE,
  FLOW_SAMPLE_EXPANDED,
  SAMPLED_HEADER,
  SAMPLED_IPV4,
  SAMPLED_IPV6,
} from "../../lib/sflow/datagram.ts";
import { concat, tagged, words } from "./datagram.ts";

export const HEADER = { ethernet: 1, ipv4: 11, ipv6: 12, mpls: 13, wireless: 15 } as const;
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, mpls: 0x8847, serviceVlan: 0x88a8 } as const;
export const FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10 } as const;
export const TCP: number = 6, UDP: number = 17, ICMP: number = 1;

/** Numbers of 16 bits, big-endian. */
export function halves(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >> 8 & 0xff, value & 0xff]));
}

export function ethernet(type: number, payload: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2), halves(type), payload);
}

/** A tag and the type of what is behind it; goes behind an Ethernet header or a tag whose type says so. */
export function vlanTag(id: number, type: number, payload: Uint8Array): Uint8Array {
  return concat(halves(id, type), payload);
}

/** Labels, the last of them the stack's bottom. */
export function mplsLabels(labels: readonly number[], payload: Uint8Array): Uint8Array {
  return concat(...labels.map((label, i) => words(label * 4096 + (i === labels.length - 1 ? 0x100 : 0) + 64)), payload);
}

export interface IpOptions {
  /** IPv4: words of options. IPv6: extension headers with their own numbers, first to last. */
  readonly optionWords?: number;
  readonly extensions?: readonly (readonly [number, Uint8Array])[];
  readonly fragmentOffset?: number;
  /** In place of the true length, as senders write 0 before a segment is cut. */
  readonly totalLength?: number;
}

/** An IPv4 packet of addresses of 4 bytes; `payloadBytes` may be more than is captured of the payload. */
export function ipv4(
  [source, destination]: readonly [Uint8Array, Uint8Array],
  transport: number,
  payload: Uint8Array,
  payloadBytes = payload.length,
  { optionWords = 0, fragmentOffset = 0, totalLength }: IpOptions = {},
): Uint8Array {
  const headerBytes = 20 + 4 * optionWords;
  return concat(
    Uint8Array.of(0x40 | headerBytes / 4, 0),
    halves(totalLength ?? headerBytes + payloadBytes, 7, fragmentOffset / 8),
    Uint8Array.of(64, transport, 0, 0),
    source,
    destination,
    new Uint8Array(4 * optionWords).fill(1), // no operation
    payload,
  );
}

/** An IPv6 packet; an extension's first byte is overwritten with the number of the next. */
export function ipv6(
  [source, destination]: readonly [Uint8Array, Uint8Array],
  transport: number,
  payload: Uint8Array,
  payloadBytes = payload.length,
  { extensions = [], totalLength }: IpOptions = {},
): Uint8Array {
  const numbers = [...extensions.map(([number]) => number), transport];
  const headers = extensions.map(([, bytes], i) => concat(Uint8Array.of(numbers[i + 1]!), bytes.subarray(1)));
  const length = headers.reduce((sum, { length }) => sum + length, payloadBytes);
  return concat(words(0x6000_0000), halves(totalLength ?? length), Uint8Array.of(numbers[0]!, 64), source, destination, ...headers, payload);
}

/** A TCP header of 20 bytes and options. */
export function tcp([source, destination]: readonly [number, number], flags: number, optionWords = 0): Uint8Array {
  return concat(halves(source, destination), words(1, 2), Uint8Array.of((5 + optionWords) << 4, flags), halves(512, 0, 0), new Uint8Array(4 * optionWords).fill(1));
}

export function udp([source, destination]: readonly [number, number], payloadBytes: number): Uint8Array {
  return halves(source, destination, 8 + payloadBytes, 0);
}

/** A sampled_header; the frame was `frameBytes` long, of which the check sequence of 4 bytes was stripped. */
export function sampledHeader(header: Uint8Array, frameBytes = header.length + 4, protocol: number = HEADER.ethernet, headerBytes = header.length): Uint8Array {
  return tagged(SAMPLED_HEADER, concat(words(protocol, frameBytes, 4, headerBytes), header, new Uint8Array((4 - header.length % 4) % 4)));
}

/** A sampled_ipv4 or sampled_ipv6, by the addresses' length. */
export function sampledIp(
  [source, destination]: readonly [Uint8Array, Uint8Array],
  [sourcePort, destinationPort]: readonly [number, number],
  { length = 1_500, transport = TCP, flags = FLAGS.ack }: { readonly length?: number; readonly transport?: number; readonly flags?: number } = {},
): Uint8Array {
  const tag = source.length === 4 ? SAMPLED_IPV4 : SAMPLED_IPV6;
  return tagged(tag, concat(words(length, transport), source, destination, words(sourcePort, destinationPort, flags, 0)));
}

/** An extended_socket of the end that comes first. */
export function socket([local, remote]: readonly [Uint8Array, Uint8Array], [localPort, remotePort]: readonly [number, number], transport = TCP): Uint8Array {
  const tag = local.length === 4 ? EXTENDED_SOCKET_IPV4 : EXTENDED_SOCKET_IPV6;
  return tagged(tag, concat(words(transport), local, remote, words(localPort, remotePort)));
}

/** An extended_tcp_info, fields in the order of the wire. */
export function tcpInfo({ direction = 2, rttUs = 0, rttvarUs = 0, cwnd = 0, minRttUs = 0 }): Uint8Array {
  return tagged(EXTENDED_TCP_INFO, words(direction, 1_448, 1_448, 0, 0, 3, 1_500, rttUs, rttvarUs, cwnd, 3, minRttUs));
}

/** A flow_sample of interface 5. */
export function standardSample(records: readonly Uint8Array[], samplingRate = 1_000): Uint8Array {
  return tagged(FLOW_SAMPLE, concat(words(1, 5, samplingRate, 1, 0, 5, 6, records.length), ...records));
}

/** A flow_sample_expanded of interface 5. */
export function expandedSample(records: readonly Uint8Array[], samplingRate = 1_000): Uint8Array {
  return tagged(FLOW_SAMPLE_EXPANDED, concat(words(1, 0, 5, samplingRate, 1, 0, 0, 5, 0, 6, records.length), ...records));
}
