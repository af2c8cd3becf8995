/**
 * Reads what a sample tells of one packet, down to its ports and without an allocation: the raw header of sFlow's sampled_header
 * (Ethernet with IEEE 802.1Q tags, MPLS of RFC 3032, IPv4 of RFC 791, IPv6 of RFC 8200, TCP, UDP), sampled_ipv4 or sampled_ipv6
 * (sflow_version_5.txt, section 5.3).
 */

/** Why a packet cannot be a flow. */
export type PacketProblem =
  | "record_cut"
  | "header_protocol"
  | "header_cut"
  | "not_ip"
  | "ip_header"
  | "fragment"
  | "not_tcp_or_udp"
  | "transport_header"
  | "packet_length"
  | "packet_port";

export const TCP = 6, UDP = 17;
export const TCP_SYN = 0x02, TCP_ACK = 0x10;

/** `header_protocol` of sampled_header; some agents send 0 for Ethernet. */
const HEADER_UNTOLD = 0, HEADER_ETHERNET = 1, HEADER_IPV4 = 11, HEADER_IPV6 = 12, HEADER_MPLS = 13;
const ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_MPLS = 0x8847, ETHERTYPE_MPLS_MULTICAST = 0x8848;
/** IEEE 802.1Q, 802.1ad, and what was used for outer tags before it. */
const ETHERTYPE_VLAN = 0x8100, ETHERTYPE_SERVICE_VLAN = 0x88a8, ETHERTYPE_OLD_SERVICE_VLAN = 0x9100;
/** Extension headers (RFC 8200, section 4; RFC 4302; RFC 6275; RFC 7401; RFC 5533). */
const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60, MOBILITY = 135, HOST_IDENTITY = 139, SHIM6 = 140;

const SAMPLED_HEADER_FIXED = 16, SAMPLED_IPV4_BYTES = 32, SAMPLED_IPV6_BYTES = 56;
const ETHERNET_BYTES = 14, TAG_BYTES = 4, LABEL_BYTES = 4, IPV4_BYTES = 20, IPV6_BYTES = 40, TCP_BYTES = 20, UDP_BYTES = 8;
/** Most tags, labels or extension headers of one packet; each is at least 4 bytes. */
const STACKED_MAX = 16;
/** Above what any offload builds; times the greatest sampling rate it is below 2^53. */
const PACKET_BYTES_MAX = 1 << 20;
const PORT_MAX = 65_535;

/** One packet. Its fields are those of the last reading that returned null. */
export class SampledPacket {
  /** 4 or 16. */
  addressBytes = 4;
  /** Places in the view that was read. */
  sourceAt = 0;
  destinationAt = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** `TCP` or `UDP`. */
  transport = 0;
  /** 0 where the header is cut before them. */
  tcpFlags = 0;
  /** Bytes behind the transport header. */
  applicationBytes = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #start = 0;
  #end = 0;
  /** Bytes of the packet from `#start` on, by the sample. */
  #packetBytes = 0;

  /**
   * Reads a sampled_header of `bytes` bytes: unsigned int protocol, frame_length, stripped; opaque header<>. A header that
   * claims more bytes than there are has those that there are.
   */
  readHeader(view: DataView, at: number, bytes: number): PacketProblem | null {
    if (bytes < SAMPLED_HEADER_FIXED) return "record_cut";
    this.#view = view;
    this.#start = at + SAMPLED_HEADER_FIXED;
    this.#end = this.#start + Math.min(view.getUint32(at + 12), bytes - SAMPLED_HEADER_FIXED);
    this.#packetBytes = view.getUint32(at + 4) - view.getUint32(at + 8);
    switch (view.getUint32(at)) {
      case HEADER_UNTOLD:
      case HEADER_ETHERNET:
        return this.#readEthernet(this.#start);
      case HEADER_IPV4:
        return this.#readIpv4(this.#start);
      case HEADER_IPV6:
        return this.#readIpv6(this.#start);
      case HEADER_MPLS:
        return this.#readMpls(this.#start);
      default:
        return "header_protocol";
    }
  }

  /**
   * Reads a sampled_ipv4: unsigned int length, protocol; ip_v4 src_ip, dst_ip; unsigned int src_port, dst_port, tcp_flags, tos.
   * It does not tell how long the packet's headers are: the shortest are taken off.
   */
  readSampledIpv4(view: DataView, at: number, bytes: number): PacketProblem | null {
    return bytes < SAMPLED_IPV4_BYTES ? "record_cut" : this.#readSampledIp(view, at, 4, IPV4_BYTES);
  }

  /** Reads a sampled_ipv6: as above with addresses of 16 bytes, and the priority in place of the type of service. */
  readSampledIpv6(view: DataView, at: number, bytes: number): PacketProblem | null {
    return bytes < SAMPLED_IPV6_BYTES ? "record_cut" : this.#readSampledIp(view, at, 16, IPV6_BYTES);
  }

  #readSampledIp(view: DataView, at: number, addressBytes: number, ipBytes: number): PacketProblem | null {
    const length = view.getUint32(at), portsAt = at + 8 + 2 * addressBytes;
    if (length > PACKET_BYTES_MAX) return "packet_length";
    this.transport = view.getUint32(at + 4);
    if (this.transport !== TCP && this.transport !== UDP) return "not_tcp_or_udp";
    this.sourcePort = view.getUint32(portsAt);
    this.destinationPort = view.getUint32(portsAt + 4);
    if (this.sourcePort > PORT_MAX || this.destinationPort > PORT_MAX) return "packet_port";
    this.addressBytes = addressBytes;
    this.sourceAt = at + 8;
    this.destinationAt = at + 8 + addressBytes;
    this.tcpFlags = this.transport === TCP ? view.getUint32(portsAt + 8) & 0xff : 0;
    this.applicationBytes = Math.max(0, length - ipBytes - (this.transport === TCP ? TCP_BYTES : UDP_BYTES));
    return null;
  }

  #readEthernet(start: number): PacketProblem | null {
    let at = start + ETHERNET_BYTES;
    if (at > this.#end) return "header_cut";
    let type = this.#view.getUint16(at - 2);
    for (let tags = 0; isVlan(type) && tags < STACKED_MAX; tags++) {
      at += TAG_BYTES;
      if (at > this.#end) return "header_cut";
      type = this.#view.getUint16(at - 2);
    }
    switch (type) {
      case ETHERTYPE_IPV4:
        return this.#readIpv4(at);
      case ETHERTYPE_IPV6:
        return this.#readIpv6(at);
      case ETHERTYPE_MPLS:
      case ETHERTYPE_MPLS_MULTICAST:
        return this.#readMpls(at);
      default:
        return "not_ip";
    }
  }

  /** Labels do not tell what is behind them; the version of an IP header does. */
  #readMpls(start: number): PacketProblem | null {
    let at = start;
    for (let labels = 0, isBottom = false; !isBottom; labels++) {
      at += LABEL_BYTES;
      if (at >= this.#end) return "header_cut";
      if (labels >= STACKED_MAX) return "not_ip";
      isBottom = (this.#view.getUint8(at - 2) & 1) === 1;
    }
    const version = this.#view.getUint8(at) >> 4;
    return version === 4 ? this.#readIpv4(at) : version === 6 ? this.#readIpv6(at) : "not_ip";
  }

  #readIpv4(at: number): PacketProblem | null {
    const view = this.#view;
    if (this.#end - at < IPV4_BYTES) return "header_cut";
    const headerBytes = (view.getUint8(at) & 0xf) * 4;
    if (view.getUint8(at) >> 4 !== 4 || headerBytes < IPV4_BYTES) return "ip_header";
    if ((view.getUint16(at + 6) & 0x1fff) !== 0) return "fragment";
    this.addressBytes = 4;
    this.sourceAt = at + 12;
    this.destinationAt = at + 16;
    const ipBytes = view.getUint16(at + 2) || this.#packetBytesFrom(at);
    return this.#readTransport(view.getUint8(at + 9), at + headerBytes, ipBytes - headerBytes);
  }

  #readIpv6(start: number): PacketProblem | null {
    const view = this.#view;
    let at = start + IPV6_BYTES;
    if (at > this.#end) return "header_cut";
    if (view.getUint8(start) >> 4 !== 6) return "ip_header";
    this.addressBytes = 16;
    this.sourceAt = start + 8;
    this.destinationAt = start + 24;
    const behind = at + (view.getUint16(start + 4) || this.#packetBytesFrom(at));
    let next = view.getUint8(start + 6);
    for (let headers = 0; isExtension(next); headers++) {
      if (headers >= STACKED_MAX) return "ip_header";
      if (this.#end - at < 8) return "header_cut";
      if (next === FRAGMENT && (view.getUint16(at + 2) & 0xfff8) !== 0) return "fragment";
      const bytes = next === FRAGMENT ? 8 : next === AUTHENTICATION ? 4 * view.getUint8(at + 1) + 8 : 8 * view.getUint8(at + 1) + 8;
      next = view.getUint8(at);
      at += bytes;
    }
    return this.#readTransport(next, at, behind - at);
  }

  /** What the frame's length leaves for a header that does not tell its own: segments before they are cut, jumbograms (RFC 2675). */
  #packetBytesFrom(at: number): number {
    return this.#packetBytes - (at - this.#start);
  }

  /** @param bytes Of the packet from `at` on. */
  #readTransport(transport: number, at: number, bytes: number): PacketProblem | null {
    if (transport !== TCP && transport !== UDP) return "not_tcp_or_udp";
    if (bytes > PACKET_BYTES_MAX) return "packet_length";
    const view = this.#view, left = this.#end - at;
    if (left < 4) return "header_cut";
    this.transport = transport;
    this.sourcePort = view.getUint16(at);
    this.destinationPort = view.getUint16(at + 2);
    let headerBytes = UDP_BYTES;
    this.tcpFlags = 0;
    if (transport === TCP) {
      headerBytes = left > 12 ? (view.getUint8(at + 12) >> 4) * 4 : TCP_BYTES;
      if (headerBytes < TCP_BYTES) return "transport_header";
      if (left > 13) this.tcpFlags = view.getUint8(at + 13);
    }
    this.applicationBytes = Math.max(0, bytes - headerBytes);
    return null;
  }
}

function isVlan(type: number): boolean {
  return type === ETHERTYPE_VLAN || type === ETHERTYPE_SERVICE_VLAN || type === ETHERTYPE_OLD_SERVICE_VLAN;
}

function isExtension(next: number): boolean {
  switch (next) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT:
    case AUTHENTICATION:
    case DESTINATION:
    case MOBILITY:
    case HOST_IDENTITY:
    case SHIM6:
      return true;
    default:
      return false;
  }
}
