/** Takes UDP payloads out of pcap files (draft-ietf-opsawg-pcap), or a file's bytes as one datagram. */

interface PcapFormat {
  readonly littleEndian: boolean;
  readonly linkType: number;
}

const FILE_HEADER_BYTES = 24, PACKET_HEADER_BYTES = 16;
const MICROSECONDS = 0xa1b2_c3d4, NANOSECONDS = 0xa1b2_3c4d;
const LINK_ETHERNET = 1, LINK_RAW = 101, LINK_COOKED = 113, LINK_COOKED_2 = 276, LINK_NULL = 0;
const ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_VLAN = 0x8100;
const PROTOCOL_UDP = 17, UDP_HEADER_BYTES = 8;

/**
 * Every UDP payload of a pcap file; the whole of any other file. Packets that hold no complete UDP payload are left out.
 *
 * @throws {SyntaxError} If a pcap file is cut, or has a link type other than Ethernet, Linux cooked, loopback and raw IP.
 */
export function* readDatagrams(file: Uint8Array): Generator<Uint8Array> {
  const format = pcapFormat(file);
  if (format === null) return yield file;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = FILE_HEADER_BYTES; at < file.length;) {
    if (file.length - at < PACKET_HEADER_BYTES) throw new SyntaxError(`Cannot read capture: packet header at ${at} is cut`);
    const bytes = view.getUint32(at + 8, format.littleEndian);
    at += PACKET_HEADER_BYTES;
    if (bytes > file.length - at) {
      throw new SyntaxError(`Cannot read capture: packet at ${at} has ${bytes} bytes, ${file.length - at} are left`);
    }
    const payload = udpPayload(file.subarray(at, at + bytes), format.linkType);
    if (payload !== null) yield payload;
    at += bytes;
  }
}

function pcapFormat(file: Uint8Array): PcapFormat | null {
  if (file.length < FILE_HEADER_BYTES) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === MICROSECONDS || magic === NANOSECONDS) return { littleEndian, linkType: view.getUint32(20, littleEndian) & 0xffff };
  }
  return null;
}

function udpPayload(packet: Uint8Array, linkType: number): Uint8Array | null {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const at = networkHeaderAt(view, linkType);
  if (at === null || at >= packet.length) return null;
  const version = packet[at]! >> 4;
  const udpAt = version === 4 ? udpAfterIpv4(view, at) : version === 6 ? udpAfterIpv6(view, at) : null;
  if (udpAt === null || packet.length - udpAt < UDP_HEADER_BYTES) return null;
  const bytes = view.getUint16(udpAt + 4);
  return bytes < UDP_HEADER_BYTES || bytes > packet.length - udpAt ? null : packet.subarray(udpAt + UDP_HEADER_BYTES, udpAt + bytes);
}

function networkHeaderAt(view: DataView, linkType: number): number | null {
  switch (linkType) {
    case LINK_RAW:
      return 0;
    case LINK_NULL:
      return 4;
    case LINK_COOKED:
      return 16;
    case LINK_COOKED_2:
      return 20;
    case LINK_ETHERNET: {
      let at = 12;
      while (at + 2 <= view.byteLength && view.getUint16(at) === ETHERTYPE_VLAN) at += 4;
      if (at + 2 > view.byteLength) return null;
      const type = view.getUint16(at);
      return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ? at + 2 : null;
    }
    default:
      throw new SyntaxError(
        `Cannot read capture: link type ${linkType}, needed Ethernet (1), loopback (0), raw IP (101) or Linux cooked (113, 276)`,
      );
  }
}

/** Null for other protocols, and for fragments, which hold no whole datagram. */
function udpAfterIpv4(view: DataView, at: number): number | null {
  if (view.byteLength - at < 20) return null;
  const isFragment = (view.getUint16(at + 6) & 0x3fff) !== 0;
  return isFragment || view.getUint8(at + 9) !== PROTOCOL_UDP ? null : at + (view.getUint8(at) & 0x0f) * 4;
}

function udpAfterIpv6(view: DataView, at: number): number | null {
  return view.byteLength - at < 40 || view.getUint8(at + 6) !== PROTOCOL_UDP ? null : at + 40;
}
