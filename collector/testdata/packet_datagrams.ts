/** Datagrams of another agent, each with one raw header, by what is below its ports. */

import { datagram } from "./datagram.ts";
import { ETHERTYPE, ethernet, FLAGS, HEADER, ipv4, ipv6, mplsLabels, sampledHeader, standardSample, TCP, tcp, UDP, udp, vlanTag } from "./packet.ts";

const ADDRESSES = [Uint8Array.of(10, 0, 0, 7), Uint8Array.of(192, 0, 2, 9)] as const;
const address6 = (last: number) => Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), last);
const ADDRESSES6 = [address6(1), address6(2)] as const;
const PORTS = [40_000, 443] as const;
/** Behind the transport header; hardly any of it is captured. */
const PAYLOAD_BYTES = 700;
const HOP_BY_HOP = [0, Uint8Array.of(0, 0, 1, 4, 0, 0, 0, 0)] as const, DESTINATION = [60, Uint8Array.of(0, 1, 1, 12, ...new Uint8Array(12))] as const;

/** All of them, made anew. */
export function packetDatagrams(): Readonly<Record<string, Uint8Array<ArrayBuffer>>> {
  const segment = tcp(PORTS, FLAGS.ack | FLAGS.psh, 3), message = udp(PORTS, PAYLOAD_BYTES);
  const tcp4 = ipv4(ADDRESSES, TCP, segment, segment.length + PAYLOAD_BYTES), udp4 = ipv4(ADDRESSES, UDP, message, message.length + PAYLOAD_BYTES);
  const tcp6 = ipv6(ADDRESSES6, TCP, segment, segment.length + PAYLOAD_BYTES), udp6 = ipv6(ADDRESSES6, UDP, message, message.length + PAYLOAD_BYTES);
  const options = ipv4(ADDRESSES, TCP, segment, segment.length + PAYLOAD_BYTES, { optionWords: 4 });
  const extensions = ipv6(ADDRESSES6, UDP, message, message.length + PAYLOAD_BYTES, { extensions: [HOP_BY_HOP, DESTINATION] });
  const records = {
    "Ethernet, IPv4, TCP": framed(ethernet(ETHERTYPE.ipv4, tcp4)),
    "Ethernet, IPv4, UDP": framed(ethernet(ETHERTYPE.ipv4, udp4)),
    "Ethernet, IPv4 with options, TCP": framed(ethernet(ETHERTYPE.ipv4, options)),
    "Ethernet, IPv6, TCP": framed(ethernet(ETHERTYPE.ipv6, tcp6)),
    "Ethernet, IPv6, UDP": framed(ethernet(ETHERTYPE.ipv6, udp6)),
    "Ethernet, VLAN, IPv4, TCP": framed(ethernet(ETHERTYPE.vlan, vlanTag(7, ETHERTYPE.ipv4, tcp4))),
    "Ethernet, MPLS, IPv4, TCP": framed(ethernet(ETHERTYPE.mpls, mplsLabels([16_000, 16_001], tcp4))),
    "IPv4, TCP": framed(tcp4, HEADER.ipv4),
    "IPv6, UDP": framed(udp6, HEADER.ipv6),
    "IPv6 with extension headers, UDP": framed(extensions, HEADER.ipv6),
    "MPLS, IPv4, UDP": framed(mplsLabels([16_000], udp4), HEADER.mpls),
  };
  return Object.fromEntries(Object.entries(records).map(([name, record], i) => [name, datagram([standardSample([record])], { sequence: i + 1 })]));
}

function framed(header: Uint8Array, protocol: number = HEADER.ethernet): Uint8Array {
  return sampledHeader(header, header.length + PAYLOAD_BYTES + 4, protocol);
}
