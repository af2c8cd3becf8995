/** Reads what the kernel programs report, by the layouts of their own BTF. */

import { ATTRIBUTION, EVENT_KIND, FIRST_FIN, PROCESS_EVENT, TCP_EVENT } from "../bpf/tcp_event.gen.ts";
import { getUint64Le } from "../lib/u64.ts";
import { copyAddress } from "./addresses.ts";

/** Identifies one program run by one process: `pid` alone is used again, and exec keeps it. */
export interface ProcessKey {
  readonly pid: number;
  readonly process_start_ns: number;
  readonly exec_id: number;
}

/** The process that owns a socket, as the kernel knows it. */
export interface SocketOwner extends ProcessKey {
  readonly cgroup_id: number;
  readonly user_id: number;
  readonly network_namespace: number;
}

/** `struct tcp_event` of bpf/tcp_event.h: what a socket did in a period; units and corrections as there. */
export interface TcpEvent extends SocketOwner {
  readonly period_start_ktime_ns: number;
  readonly ktime_ns: number;
  readonly socket_cookie: number;
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly bytes_retrans: number;
  /** 16 bytes, IPv4 mapped. */
  readonly local_address: Uint8Array;
  readonly remote_address: Uint8Array;
  readonly segs_out: number;
  readonly segs_in: number;
  readonly total_retrans: number;
  readonly lost: number;
  readonly reord_seen: number;
  /** In ticks of the kernel's clock; `tickUs()` of ffi/libc.ts is their length. */
  readonly busy_ticks: number;
  readonly rwnd_limited_ticks: number;
  readonly sndbuf_limited_ticks: number;
  readonly srtt_us: number;
  readonly rttvar_us: number;
  readonly min_rtt_us: number;
  readonly snd_cwnd: number;
  readonly connect_us: number;
  readonly socket_error: number;
  readonly local_port: number;
  readonly remote_port: number;
  readonly kind: number;
  readonly state: number;
  readonly active_open: boolean;
  readonly passive_open: boolean;
  readonly attribution: number;
  readonly seen_from_start: boolean;
  readonly first_fin: number;
  readonly opened: boolean;
}

/** `struct process_event`: a process in its own words. */
export interface ProcessEvent extends SocketOwner {
  readonly comm: string;
  readonly executable_name: string;
  /** Arguments separated by NUL, which holds secrets still. */
  readonly command_line: string;
  /** Of the unified hierarchy; "" for the root, or where it is unknown. */
  readonly cgroup_path: string;
}

export { ATTRIBUTION, EVENT_KIND, FIRST_FIN };
export const TCP_EVENT_BYTES = TCP_EVENT.size;
export const PROCESS_EVENT_BYTES = PROCESS_EVENT.size;

const T = TCP_EVENT.fields;
const P = PROCESS_EVENT.fields;
const decoder = new TextDecoder();

/** Reads a `struct tcp_event` at `at`; the addresses are copied out. */
export function readTcpEvent(view: DataView, at: number): TcpEvent {
  return {
    pid: view.getUint32(at + T.pid.offset, true),
    process_start_ns: getUint64Le(view, at + T.process_start_ns.offset),
    exec_id: view.getUint32(at + T.exec_id.offset, true),
    period_start_ktime_ns: getUint64Le(view, at + T.period_start_ktime_ns.offset),
    ktime_ns: getUint64Le(view, at + T.ktime_ns.offset),
    socket_cookie: getUint64Le(view, at + T.socket_cookie.offset),
    bytes_sent: getUint64Le(view, at + T.bytes_sent.offset),
    bytes_received: getUint64Le(view, at + T.bytes_received.offset),
    bytes_retrans: getUint64Le(view, at + T.bytes_retrans.offset),
    cgroup_id: getUint64Le(view, at + T.cgroup_id.offset),
    local_address: copyAddress(view, at + T.local_address.offset),
    remote_address: copyAddress(view, at + T.remote_address.offset),
    user_id: view.getUint32(at + T.user_id.offset, true),
    network_namespace: view.getUint32(at + T.network_namespace.offset, true),
    segs_out: view.getUint32(at + T.segs_out.offset, true),
    segs_in: view.getUint32(at + T.segs_in.offset, true),
    total_retrans: view.getUint32(at + T.total_retrans.offset, true),
    lost: view.getUint32(at + T.lost.offset, true),
    reord_seen: view.getUint32(at + T.reord_seen.offset, true),
    busy_ticks: view.getUint32(at + T.busy_ticks.offset, true),
    rwnd_limited_ticks: view.getUint32(at + T.rwnd_limited_ticks.offset, true),
    sndbuf_limited_ticks: view.getUint32(at + T.sndbuf_limited_ticks.offset, true),
    srtt_us: view.getUint32(at + T.srtt_us.offset, true),
    rttvar_us: view.getUint32(at + T.rttvar_us.offset, true),
    min_rtt_us: view.getUint32(at + T.min_rtt_us.offset, true),
    snd_cwnd: view.getUint32(at + T.snd_cwnd.offset, true),
    connect_us: view.getUint32(at + T.connect_us.offset, true),
    socket_error: view.getUint32(at + T.socket_error.offset, true),
    local_port: view.getUint16(at + T.local_port.offset, true),
    remote_port: view.getUint16(at + T.remote_port.offset, true),
    kind: view.getUint8(at + T.kind.offset),
    state: view.getUint8(at + T.state.offset),
    active_open: view.getUint8(at + T.active_open.offset) === 1,
    passive_open: view.getUint8(at + T.passive_open.offset) === 1,
    attribution: view.getUint8(at + T.attribution.offset),
    seen_from_start: view.getUint8(at + T.seen_from_start.offset) === 1,
    first_fin: view.getUint8(at + T.first_fin.offset),
    opened: view.getUint8(at + T.opened.offset) === 1,
  };
}

/** Reads a `struct process_event` at `at`. */
export function readProcessEvent(view: DataView, at: number): ProcessEvent {
  const cgroupNamesBytes = Math.min(view.getUint32(at + P.cgroup_names_bytes.offset, true), P.cgroup_names.size);
  const commandLineBytes = Math.min(view.getUint32(at + P.command_line_bytes.offset, true), P.command_line.size);
  return {
    pid: view.getUint32(at + P.pid.offset, true),
    process_start_ns: getUint64Le(view, at + P.process_start_ns.offset),
    exec_id: view.getUint32(at + P.exec_id.offset, true),
    cgroup_id: getUint64Le(view, at + P.cgroup_id.offset),
    user_id: view.getUint32(at + P.user_id.offset, true),
    network_namespace: view.getUint32(at + P.network_namespace.offset, true),
    comm: cString(copy(view, at + P.comm.offset, P.comm.size)),
    executable_name: cString(copy(view, at + P.executable_name.offset, P.executable_name.size)),
    command_line: readArguments(copy(view, at + P.command_line.offset, commandLineBytes)),
    cgroup_path: readCgroupPath(copy(view, at + P.cgroup_names.offset, cgroupNamesBytes)),
  };
}

/** Names from the innermost outwards, each ended by a NUL, as a path. */
function readCgroupPath(names: Uint8Array): string {
  return decoder.decode(names).split("\0").slice(0, -1).map((name) => `/${name}`).reverse().join("");
}

/** Arguments as the kernel keeps them, each ended by a NUL, separated by NUL. */
export function readArguments(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return decoder.decode(bytes.subarray(0, end));
}

function copy(view: DataView, at: number, bytes: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice();
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
