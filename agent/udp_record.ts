/** Reads what the kernel programs keep of UDP, by the layouts of their own BTF. */

import { UDP_FLAG, UDP_FLOW, UDP_KEY, UDP_SOCKET } from "../bpf/udp_flow.gen.ts";
import { tickUs } from "../ffi/libc.ts";
import { getUint64Le } from "../lib/u64.ts";
import { copyAddress } from "./addresses.ts";
import type { SocketOwner } from "./event.ts";

/** `struct udp_key` and `struct udp_flow` of bpf/udp_flow.h: what one process did on one socket with one peer in one period. */
export interface UdpRecord extends SocketOwner {
  readonly socket_cookie: number;
  readonly first_ktime_ns: number;
  /** Exact to a tick of the kernel's clock. */
  readonly last_ktime_ns: number;
  readonly tx_bytes: number;
  readonly rx_bytes: number;
  readonly tx_datagrams: number;
  readonly rx_datagrams: number;
  /** 16 bytes, IPv4 mapped; zero or 0.0.0.0 where the socket is bound to every address. */
  readonly local_address: Uint8Array;
  /** Zero where the peer is unknown, and its port with it. */
  readonly remote_address: Uint8Array;
  readonly local_port: number;
  readonly remote_port: number;
  readonly connected: boolean;
  readonly sent_first: boolean;
  /** The program asked for the port by number; `bound`: for the port or for an address. */
  readonly port_bound: boolean;
  readonly bound: boolean;
  readonly amounts_known: boolean;
}

/** `struct udp_socket`: a socket as it is now; `remote_port` is 0 where it is not connected. */
export interface UdpSocket {
  readonly socket_cookie: number;
  readonly local_address: Uint8Array;
  readonly remote_address: Uint8Array;
  readonly network_namespace: number;
  readonly local_port: number;
  readonly remote_port: number;
  readonly port_bound: boolean;
}

export const UDP_KEY_BYTES = UDP_KEY.size;
export const UDP_FLOW_BYTES = UDP_FLOW.size;
export const UDP_SOCKET_BYTES = UDP_SOCKET.size;

const K = UDP_KEY.fields;
const F = UDP_FLOW.fields;
const S = UDP_SOCKET.fields;

/** Reads an entry of the map of flows; the addresses are copied out. */
export function readUdpRecord(key: DataView, keyAt: number, flow: DataView, at: number): UdpRecord {
  const first_ktime_ns = getUint64Le(flow, at + F.first_ktime_ns.offset);
  // The kernel counts ticks in 32 bits that wrap around.
  const ticks = (flow.getUint32(at + F.last_ticks.offset, true) - flow.getUint32(at + F.first_ticks.offset, true)) >>> 0;
  const flags = flow.getUint8(at + F.flags.offset);
  return {
    socket_cookie: getUint64Le(key, keyAt + K.socket_cookie.offset),
    remote_address: copyAddress(key, keyAt + K.remote_address.offset),
    pid: key.getUint32(keyAt + K.pid.offset, true),
    remote_port: key.getUint16(keyAt + K.remote_port.offset, true),
    first_ktime_ns,
    last_ktime_ns: first_ktime_ns + ticks * tickUs() * 1_000,
    tx_bytes: getUint64Le(flow, at + F.tx_bytes.offset),
    rx_bytes: getUint64Le(flow, at + F.rx_bytes.offset),
    tx_datagrams: getUint64Le(flow, at + F.tx_datagrams.offset),
    rx_datagrams: getUint64Le(flow, at + F.rx_datagrams.offset),
    process_start_ns: getUint64Le(flow, at + F.process_start_ns.offset),
    cgroup_id: getUint64Le(flow, at + F.cgroup_id.offset),
    local_address: copyAddress(flow, at + F.local_address.offset),
    exec_id: flow.getUint32(at + F.exec_id.offset, true),
    user_id: flow.getUint32(at + F.user_id.offset, true),
    network_namespace: flow.getUint32(at + F.network_namespace.offset, true),
    local_port: flow.getUint16(at + F.local_port.offset, true),
    connected: (flags & UDP_FLAG.UDP_FLAG_CONNECTED) !== 0,
    sent_first: (flags & UDP_FLAG.UDP_FLAG_SENT_FIRST) !== 0,
    port_bound: (flags & UDP_FLAG.UDP_FLAG_PORT_BOUND) !== 0,
    bound: (flags & UDP_FLAG.UDP_FLAG_BOUND) !== 0,
    amounts_known: (flags & UDP_FLAG.UDP_FLAG_AMOUNTS_KNOWN) !== 0,
  };
}

/** Reads a `struct udp_socket` at `at`. */
export function readUdpSocket(view: DataView, at: number): UdpSocket {
  return {
    socket_cookie: getUint64Le(view, at + S.socket_cookie.offset),
    local_address: copyAddress(view, at + S.local_address.offset),
    remote_address: copyAddress(view, at + S.remote_address.offset),
    network_namespace: view.getUint32(at + S.network_namespace.offset, true),
    local_port: view.getUint16(at + S.local_port.offset, true),
    remote_port: view.getUint16(at + S.remote_port.offset, true),
    port_bound: view.getUint8(at + S.port_bound.offset) === 1,
  };
}
