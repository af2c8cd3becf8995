/** Turns kernel events into flows, each with its role and its owner. */

import { tickUs } from "../ffi/libc.ts";
import { ATTRIBUTION, FIRST_FIN, type TcpEvent } from "./event.ts";
import { AMOUNTS_KNOWN, ATTRIBUTION_SOURCE, END_REASON, type Flow, ROLE, ROLE_SOURCE, TRANSPORT_TCP } from "./flow.ts";
import type { ListenerTable } from "./listeners.ts";
import type { ProcessDescription, ProcessTable } from "./processes.ts";

/** A connection that ended before its owner was known. */
interface UnownedEnd {
  readonly event: TcpEvent;
  readonly deadlineMs: number;
}

/** How long an ended connection waits for the close(2) that names its owner. */
const OWNER_WAIT_MS = 2_000;

/** errno values of sock.sk_err. */
const EPIPE = 32, ENETUNREACH = 101, ECONNRESET = 104, ETIMEDOUT = 110, ECONNREFUSED = 111, EHOSTUNREACH = 113;
/** TCP_* states of the kernel. */
const TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE_WAIT = 8;
const UINT32_MAX = 2 ** 32 - 1;

const ATTRIBUTION_SOURCES: Readonly<Record<number, number>> = {
  [ATTRIBUTION.ATTRIBUTION_UNKNOWN]: ATTRIBUTION_SOURCE.unknown,
  [ATTRIBUTION.ATTRIBUTION_CONNECT]: ATTRIBUTION_SOURCE.connect,
  [ATTRIBUTION.ATTRIBUTION_CLOSE]: ATTRIBUTION_SOURCE.close,
  [ATTRIBUTION.ATTRIBUTION_RELEASE]: ATTRIBUTION_SOURCE.release,
  [ATTRIBUTION.ATTRIBUTION_TASK_FILE]: ATTRIBUTION_SOURCE.task_file,
  [ATTRIBUTION.ATTRIBUTION_ACCEPT]: ATTRIBUTION_SOURCE.accept,
};

interface Owner {
  readonly process: ProcessDescription | null;
  readonly attribution_source: number;
}

/** Makes a flow of each event, once its owner is known or waited for in vain; it leaves through `onFlow`. */
export class Conversations {
  readonly #unowned = new Map<number, UnownedEnd>();
  readonly #processes: ProcessTable;
  readonly #listeners: ListenerTable;
  readonly #unixOffsetNs: () => number;
  readonly #onFlow: (flow: Flow) => void;
  #unattributed = 0;

  /** @param unixOffsetNs What to add to a time of the kernel's monotonic clock to get one since 1970 UTC. */
  constructor(processes: ProcessTable, listeners: ListenerTable, unixOffsetNs: () => number, onFlow: (flow: Flow) => void) {
    this.#processes = processes;
    this.#listeners = listeners;
    this.#unixOffsetNs = unixOffsetNs;
    this.#onFlow = onFlow;
  }

  /** Connections that ended with their process unknown. */
  get unattributedCount(): number {
    return this.#unattributed;
  }

  /** Reports what an open socket did in a period. */
  reportOpen(event: TcpEvent): void {
    this.#report(event, END_REASON.open, this.#ownerOf(event));
  }

  /** Reports the end of a connection, or holds it until its owner is known. */
  end(event: TcpEvent, nowMs: number): void {
    if (event.pid === 0) this.#unowned.set(event.socket_cookie, { event, deadlineMs: nowMs + OWNER_WAIT_MS });
    else this.#reportEnd(event);
  }

  /** Names the owner of a connection that has ended. */
  own(event: TcpEvent): void {
    const unowned = this.#unowned.get(event.socket_cookie);
    if (unowned === undefined) return;
    this.#unowned.delete(event.socket_cookie);
    const { pid, exec_id, process_start_ns, user_id, cgroup_id, attribution } = event;
    this.#reportEnd({ ...unowned.event, pid, exec_id, process_start_ns, user_id, cgroup_id, attribution });
  }

  /** Whether an ended connection has waited for its owner as long as it may. */
  isDue(nowMs: number): boolean {
    const oldest = this.#unowned.values().next(); // in order of arrival, hence of deadline
    return !oldest.done && oldest.value.deadlineMs <= nowMs;
  }

  /** Reports the ended connections whose owner did not show up by `nowMs`, with who listens there as the guess that it is. */
  expire(nowMs: number): void {
    for (const [cookie, { event, deadlineMs }] of this.#unowned) {
      if (deadlineMs > nowMs) return; // in order of arrival, hence of deadline
      this.#unowned.delete(cookie);
      this.#reportEnd(event);
    }
  }

  #ownerOf(event: TcpEvent): Owner {
    if (event.pid !== 0) {
      const process = this.#processes.find(event);
      if (process !== null) return { process, attribution_source: ATTRIBUTION_SOURCES[event.attribution]! };
    }
    const listener = event.active_open ? null : this.#listeners.find(event.network_namespace, event.local_address, event.local_port);
    if (listener?.process) return { process: listener.process, attribution_source: ATTRIBUTION_SOURCE.listener };
    return { process: null, attribution_source: ATTRIBUTION_SOURCE.unknown };
  }

  #reportEnd(event: TcpEvent): void {
    const owner = this.#ownerOf(event);
    if (owner.process === null) this.#unattributed++;
    this.#report(event, endReason(event), owner);
  }

  #report(event: TcpEvent, end_reason: number, owner: Owner): void {
    this.#onFlow({
      flow_id: event.socket_cookie,
      period_start_unix_us: this.#unixUs(event.period_start_ktime_ns),
      period_end_unix_us: this.#unixUs(event.ktime_ns),
      local_address: event.local_address,
      remote_address: event.remote_address,
      local_port: event.local_port,
      remote_port: event.remote_port,
      transport_protocol: TRANSPORT_TCP,
      ...owner,
      ...this.#roleOf(event),
      state: event.state,
      end_reason,
      opened_count: event.opened ? 1 : 0,
      amounts_known: AMOUNTS_KNOWN.both,
      tx_bytes: event.bytes_sent,
      rx_bytes: event.bytes_received,
      retrans_bytes: event.bytes_retrans,
      tx_segments: event.segs_out,
      rx_segments: event.segs_in,
      retrans_segments: event.total_retrans,
      lost_segments: event.lost,
      reordering_count: event.reord_seen,
      busy_us: ticksUs(event.busy_ticks),
      rwnd_limited_us: ticksUs(event.rwnd_limited_ticks),
      sndbuf_limited_us: ticksUs(event.sndbuf_limited_ticks),
      srtt_us: event.srtt_us,
      rttvar_us: event.rttvar_us,
      min_rtt_us: event.min_rtt_us,
      snd_cwnd_segments: event.snd_cwnd,
      connect_us: event.connect_us,
    });
  }

  #roleOf(event: TcpEvent): { role: number; role_source: number } {
    if (event.active_open) return { role: ROLE.client, role_source: ROLE_SOURCE.connect };
    if (event.seen_from_start || event.passive_open) return { role: ROLE.server, role_source: ROLE_SOURCE.accept };
    const { network_namespace: namespace, local_address, local_port, remote_address, remote_port } = event;
    if (this.#listeners.find(namespace, local_address, local_port) !== null) return { role: ROLE.server, role_source: ROLE_SOURCE.listen };
    if (this.#listeners.find(namespace, remote_address, remote_port) !== null) {
      return { role: ROLE.client, role_source: ROLE_SOURCE.listen };
    }
    return { role: local_port < remote_port ? ROLE.server : ROLE.client, role_source: ROLE_SOURCE.heuristic };
  }

  #unixUs(ktimeNs: number): number {
    return Math.round((ktimeNs + this.#unixOffsetNs()) / 1_000);
  }
}

/** Why a connection, or an attempt, ended: the state before the end, the first FIN and the socket's error tell. */
export function endReason({ state, socket_error, first_fin }: Pick<TcpEvent, "state" | "socket_error" | "first_fin">): number {
  if (state === TCP_SYN_SENT) return FAILURES[socket_error] ?? END_REASON.connect_failed;
  if (socket_error === ECONNRESET || socket_error === EPIPE) return END_REASON.reset_remote;
  if (socket_error !== 0) return END_REASON.timeout;
  // Closed without a FIN of ours: close(2) with data unread or with SO_LINGER of 0 sends a reset.
  if (state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT) return END_REASON.reset_local;
  return first_fin === FIRST_FIN.FIRST_FIN_REMOTE ? END_REASON.closed_remote : END_REASON.closed_local;
}

/** By sock.sk_err; without an error it was this end that gave up. */
const FAILURES: Readonly<Record<number, number>> = {
  0: END_REASON.connect_aborted,
  [ECONNREFUSED]: END_REASON.refused,
  [ETIMEDOUT]: END_REASON.connect_timeout,
  [EHOSTUNREACH]: END_REASON.unreachable,
  [ENETUNREACH]: END_REASON.unreachable,
};

function ticksUs(ticks: number): number {
  return Math.min(UINT32_MAX, ticks * tickUs());
}
