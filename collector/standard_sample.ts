/** Makes flows of standard samples: what another sFlow agent tells of one packet, as a `skyfall_flow` that stands for many. */

import {
  EXTENDED_SOCKET_IPV4,
  EXTENDED_SOCKET_IPV6,
  EXTENDED_TCP_INFO,
  FLOW_SAMPLE_EXPANDED,
  SAMPLED_HEADER,
  SAMPLED_IPV4,
  SAMPLED_IPV6,
} from "../lib/sflow/datagram.ts";
import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { EXPECTED_MAX } from "./expected_flows.ts";
import { ROLE_CLIENT, ROLE_SERVER } from "./flow_key.ts";
import { type PacketProblem, SampledPacket, TCP, TCP_ACK, TCP_SYN } from "./packet_header.ts";
import { ServiceEndpoints } from "./service_endpoints.ts";

/** Why a standard sample is no flow. */
export type StandardProblem = PacketProblem | "no_packet" | "sampling_rate" | "service_port";

const F = SKYFALL_FLOW.fields;
const SOCKET_IPV4_BYTES = 20, SOCKET_IPV6_BYTES = 44, TCP_INFO_BYTES = 48;
/** What the column for it holds. */
const SAMPLING_RATE_MAX = 0x7fff_ffff;
const ROLE_UNKNOWN = 0;
/** `skyfall_flow.role_source`. */
const BY_CONNECT = 1, BY_ACCEPT = 2, BY_LISTEN = 3, BY_HEURISTIC = 4;
const AMOUNTS_KNOWN = 3;
/** What Linux has before it has measured one. */
const MIN_RTT_UNKNOWN = 0xffff_ffff;

/** Ends of a packet. */
const NEITHER = 0, SOURCE = 1, DESTINATION = 2;
type End = typeof NEITHER | typeof SOURCE | typeof DESTINATION;

/**
 * The sample that is being walked. Its flow is an estimate: one packet, and the bytes behind its transport header, times the
 * sampling rate. Nothing is allocated for a sample.
 *
 * The local end is the socket's owner, where the agent tells it (extended_socket). A packet with SYN shows which end connects,
 * and an end that was seen to accept is the server from then on. Where an agent in between sees the packet, the client is
 * taken for the local end; where nothing tells the client, the role is unknown.
 */
export class StandardSample {
  /** What `translate()` made, one behind the other. */
  readonly flows = new DataView(new ArrayBuffer(EXPECTED_MAX * SKYFALL_FLOW.fixedSize));
  readonly #slots: readonly DataView[];
  /** The one that is being made. */
  #flow: DataView;
  samplingRate = 0;
  readonly #packet = new SampledPacket();
  readonly #services = new ServiceEndpoints();
  #headerAt = -1;
  #headerBytes = 0;
  #ipTag = 0;
  #ipAt = -1;
  #ipBytes = 0;
  #socketAt = -1;
  #socketAddressBytes = 0;
  #tcpInfoAt = -1;

  constructor() {
    const { buffer } = this.flows, bytes = SKYFALL_FLOW.fixedSize;
    this.#slots = Array.from({ length: EXPECTED_MAX }, (_, slot) => new DataView(buffer, slot * bytes, bytes));
    for (const flow of this.#slots) flow.setUint32(F.amounts_known.offset, AMOUNTS_KNOWN);
    this.#flow = this.#slots[0]!;
  }

  /** Begins with the flow_sample or flow_sample_expanded whose body is at `at`. */
  begin(view: DataView, sampleTag: number, at: number): void {
    this.samplingRate = view.getUint32(at + (sampleTag === FLOW_SAMPLE_EXPANDED ? 12 : 8));
    this.#headerAt =
      this.#ipAt =
      this.#socketAt =
      this.#tcpInfoAt =
        -1;
  }

  /** Notes a flow record; false where it is none that a flow is made of, or is a second one. */
  take(tag: number, at: number, bytes: number): boolean {
    switch (tag) {
      case SAMPLED_HEADER:
        if (this.#headerAt >= 0) return false;
        this.#headerAt = at;
        this.#headerBytes = bytes;
        return true;
      case SAMPLED_IPV4:
      case SAMPLED_IPV6:
        if (this.#ipAt >= 0) return false;
        this.#ipTag = tag;
        this.#ipAt = at;
        this.#ipBytes = bytes;
        return true;
      case EXTENDED_SOCKET_IPV4:
      case EXTENDED_SOCKET_IPV6: {
        const isIpv4 = tag === EXTENDED_SOCKET_IPV4;
        if (this.#socketAt >= 0 || bytes < (isIpv4 ? SOCKET_IPV4_BYTES : SOCKET_IPV6_BYTES)) return false;
        this.#socketAt = at;
        this.#socketAddressBytes = isIpv4 ? 4 : 16;
        return true;
      }
      case EXTENDED_TCP_INFO:
        if (this.#tcpInfoAt >= 0 || bytes < TCP_INFO_BYTES) return false;
        this.#tcpInfoAt = at;
        return true;
      default:
        return false;
    }
  }

  /**
   * Makes a flow of the records that were noted, the one number `slot` of `flows`.
   *
   * @param nowUs When it arrived: an agent does not say when it saw a packet, which is taken for when it told.
   */
  translate(view: DataView, slot: number, nowUs: number): StandardProblem | null {
    this.#flow = this.#slots[slot]!;
    if (this.samplingRate === 0 || this.samplingRate > SAMPLING_RATE_MAX) return "sampling_rate";
    const problem = this.#readPacket(view);
    if (problem !== null) return problem;
    const packet = this.#packet, flow = this.#flow;
    const local = this.#decideEnds(view);
    const isSent = local === SOURCE;
    const localPort = isSent ? packet.sourcePort : packet.destinationPort, remotePort = isSent ? packet.destinationPort : packet.sourcePort;
    const role = flow.getUint32(F.role.offset);
    if ((role === ROLE_CLIENT ? remotePort : role === ROLE_SERVER ? localPort : localPort | remotePort) === 0) return "service_port";
    copyAddress(view, isSent ? packet.sourceAt : packet.destinationAt, packet.addressBytes, flow, F.local_address.offset);
    copyAddress(view, isSent ? packet.destinationAt : packet.sourceAt, packet.addressBytes, flow, F.remote_address.offset);
    flow.setUint32(F.local_port.offset, localPort);
    flow.setUint32(F.remote_port.offset, remotePort);
    flow.setUint32(F.transport_protocol.offset, packet.transport);
    const amountAt = isSent ? F.tx_bytes.offset : F.rx_bytes.offset, otherAt = isSent ? F.rx_bytes.offset : F.tx_bytes.offset;
    setUint64(flow, amountAt, packet.applicationBytes * this.samplingRate);
    setUint64(flow, otherAt, 0);
    flow.setUint32(F.tx_segments.offset, isSent ? this.samplingRate : 0);
    flow.setUint32(F.rx_segments.offset, isSent ? 0 : this.samplingRate);
    setUint64(flow, F.period_start_unix_us.offset, nowUs);
    setUint64(flow, F.period_end_unix_us.offset, nowUs);
    this.#fillTcpInfo(view);
    return null;
  }

  /** The raw header tells more than sampled_ipv4 does; where it is cut or of a kind that is not read, that may still tell the ports. */
  #readPacket(view: DataView): StandardProblem | null {
    const problem = this.#headerAt < 0 ? "no_packet" : this.#packet.readHeader(view, this.#headerAt, this.#headerBytes);
    if (problem === null || this.#ipAt < 0) return problem;
    return this.#ipTag === SAMPLED_IPV4
      ? this.#packet.readSampledIpv4(view, this.#ipAt, this.#ipBytes)
      : this.#packet.readSampledIpv6(view, this.#ipAt, this.#ipBytes);
  }

  /** Writes the role, and returns the local end. */
  #decideEnds(view: DataView): End {
    const { sourcePort, destinationPort } = this.#packet;
    const owner = this.#socketEnd(view), connecting = this.#connectingEnd(view);
    const client = connecting === NEITHER ? this.#clientOfService(view) : connecting;
    if (client !== NEITHER) {
      const local = owner === NEITHER ? client : owner, isClient = local === client;
      this.#setRole(isClient ? ROLE_CLIENT : ROLE_SERVER, connecting === NEITHER ? BY_LISTEN : isClient ? BY_CONNECT : BY_ACCEPT);
      return local;
    }
    if (owner !== NEITHER && sourcePort !== destinationPort) {
      this.#setRole((sourcePort < destinationPort) === (owner === SOURCE) ? ROLE_SERVER : ROLE_CLIENT, BY_HEURISTIC);
      return owner;
    }
    this.#setRole(ROLE_UNKNOWN, BY_HEURISTIC);
    if (owner !== NEITHER) return owner;
    // Of equal ports the table takes the local one for the service: the same for packets of both directions.
    return sourcePort === destinationPort && this.#isDestinationLower(view) ? DESTINATION : SOURCE;
  }

  #setRole(role: number, source: number): void {
    this.#flow.setUint32(F.role.offset, role);
    this.#flow.setUint32(F.role_source.offset, source);
  }

  /** The end that sent the SYN, which the other, if it accepts, answers with SYN and ACK (RFC 9293, section 3.5). */
  #connectingEnd(view: DataView): End {
    const { tcpFlags, sourceAt, addressBytes, sourcePort } = this.#packet;
    if ((tcpFlags & TCP_SYN) === 0) return NEITHER;
    if ((tcpFlags & TCP_ACK) === 0) return SOURCE;
    this.#services.learn(view, sourceAt, addressBytes, sourcePort);
    return DESTINATION;
  }

  /** The end whose peer, and not itself, was seen to accept. */
  #clientOfService(view: DataView): End {
    const { transport, sourceAt, destinationAt, addressBytes, sourcePort, destinationPort } = this.#packet;
    if (transport !== TCP) return NEITHER;
    const isFrom = this.#services.has(view, sourceAt, addressBytes, sourcePort);
    const isTo = this.#services.has(view, destinationAt, addressBytes, destinationPort);
    return isFrom === isTo ? NEITHER : isFrom ? DESTINATION : SOURCE;
  }

  /** The end that extended_socket calls local; neither where it is of other addresses, as behind a translation. */
  #socketEnd(view: DataView): End {
    const { addressBytes, sourceAt, destinationAt, sourcePort, destinationPort } = this.#packet;
    const at = this.#socketAt;
    if (at < 0 || this.#socketAddressBytes !== addressBytes) return NEITHER;
    const localAt = at + 4, remoteAt = localAt + addressBytes, portsAt = remoteAt + addressBytes;
    const localPort = view.getUint32(portsAt), remotePort = view.getUint32(portsAt + 4);
    const isSent = localPort === sourcePort && remotePort === destinationPort &&
      equal(view, localAt, sourceAt, addressBytes) && equal(view, remoteAt, destinationAt, addressBytes);
    if (isSent) return SOURCE;
    const isReceived = localPort === destinationPort && remotePort === sourcePort &&
      equal(view, localAt, destinationAt, addressBytes) && equal(view, remoteAt, sourceAt, addressBytes);
    return isReceived ? DESTINATION : NEITHER;
  }

  #isDestinationLower(view: DataView): boolean {
    const { addressBytes, sourceAt, destinationAt } = this.#packet;
    for (let i = 0; i < addressBytes; i += 4) {
      const source = view.getUint32(sourceAt + i), destination = view.getUint32(destinationAt + i);
      if (source !== destination) return destination < source;
    }
    return false;
  }

  /** Gauges of the socket. Its retransmissions are counted since it was opened, and what of them is new is not known. */
  #fillTcpInfo(view: DataView): void {
    const at = this.#tcpInfoAt, flow = this.#flow;
    const minRttUs = at < 0 ? 0 : view.getUint32(at + 44);
    flow.setUint32(F.srtt_us.offset, at < 0 ? 0 : view.getUint32(at + 28));
    flow.setUint32(F.rttvar_us.offset, at < 0 ? 0 : view.getUint32(at + 32));
    flow.setUint32(F.snd_cwnd_segments.offset, at < 0 ? 0 : view.getUint32(at + 36));
    flow.setUint32(F.min_rtt_us.offset, minRttUs === MIN_RTT_UNKNOWN ? 0 : minRttUs);
  }
}

function equal(view: DataView, a: number, b: number, bytes: number): boolean {
  for (let i = 0; i < bytes; i += 4) if (view.getUint32(a + i) !== view.getUint32(b + i)) return false;
  return true;
}

/** IPv4 as ::ffff:a.b.c.d. */
function copyAddress(from: DataView, at: number, bytes: number, to: DataView, toAt: number): void {
  if (bytes === 4) {
    to.setUint32(toAt, 0);
    to.setUint32(toAt + 4, 0);
    to.setUint32(toAt + 8, 0xffff);
    to.setUint32(toAt + 12, from.getUint32(at));
    return;
  }
  for (let i = 0; i < 16; i += 4) to.setUint32(toAt + i, from.getUint32(at + i));
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 4_294_967_296));
  view.setUint32(at + 4, value);
}
