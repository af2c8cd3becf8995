/** Turns kernel events into flows: the deltas of each socket's periods, with its role and its owner. */

import { ATTRIBUTION, type SocketOwner, type TcpEvent } from "./event.ts";
import { ATTRIBUTION_SOURCE, END_REASON, type Flow, ROLE, ROLE_SOURCE, TRANSPORT_TCP } from "./flow.ts";
import type { ListenerTable } from "./listeners.ts";
import type { ProcessDescription, ProcessTable } from "./processes.ts";

/** A socket that was reported, or found, while open. */
interface LiveSocket {
  /** Totals up to which everything is reported. */
  reported: TcpEvent;
  openReported: boolean;
  /** Who holds it open, where connect(2) did not tell. */
  owner: SocketOwner | null;
}

/** A connection that ended before its owner was known. */
interface UnownedEnd {
  readonly event: TcpEvent;
  readonly deadlineMs: number;
}

/** How long an ended connection waits for the close(2) that names its owner. */
const OWNER_WAIT_MS = 2_000;

/** errno values of sock.sk_err. */
const EPIPE = 32, ECONNRESET = 104, ECONNREFUSED = 111, ETIMEDOUT = 110;
/** TCP_* states of the kernel. */
const TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE_WAIT = 8;

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

/** The sockets that are open or wait for their owner. Every delta leaves through `onFlow`, once. */
export class Conversations {
  readonly #live = new Map<number, LiveSocket>();
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

  /** Sockets that are open, and known. */
  get liveCount(): number {
    return this.#live.size;
  }

  /** Takes in a socket that was open before the agent: what it did until now is not the agent's to report. */
  seed(event: TcpEvent, owner: SocketOwner | null): void {
    if (event.seen_from_start) return;
    this.#live.set(event.socket_cookie, { reported: event, openReported: true, owner });
  }

  /** Reports what an open socket did since it was last reported, if anything. */
  reportOpen(event: TcpEvent, owner: SocketOwner | null): void {
    if (event.state === TCP_SYN_SENT) return;
    const live = this.#live.get(event.socket_cookie) ?? this.#beginning(event);
    live.owner = owner ?? live.owner;
    const changed = !live.openReported || event.segs_out !== live.reported.segs_out || event.segs_in !== live.reported.segs_in;
    if (changed) this.#report(event, live, END_REASON.open, this.#ownerOf(event, live.owner));
    this.#live.set(event.socket_cookie, { reported: event, openReported: true, owner: live.owner });
  }

  /** Whether an open socket's owner is still to be found. */
  needsOwner(event: TcpEvent): boolean {
    return event.pid === 0 && (this.#live.get(event.socket_cookie)?.owner ?? null) === null;
  }

  /** Reports the end of a connection, or holds it until its owner is known. */
  end(event: TcpEvent, nowMs: number): void {
    const owner = this.#live.get(event.socket_cookie)?.owner ?? null;
    if (event.pid === 0 && owner === null) this.#unowned.set(event.socket_cookie, { event, deadlineMs: nowMs + OWNER_WAIT_MS });
    else this.#reportEnd(event, this.#ownerOf(event, owner));
  }

  /** Names the owner of a connection that has ended. */
  own(event: TcpEvent): void {
    const unowned = this.#unowned.get(event.socket_cookie);
    if (unowned === undefined) return;
    this.#unowned.delete(event.socket_cookie);
    const { pid, exec_id, process_start_ns, user_id, cgroup_id, attribution } = event;
    const owned = { ...unowned.event, pid, exec_id, process_start_ns, user_id, cgroup_id, attribution };
    this.#reportEnd(owned, this.#ownerOf(owned, null));
  }

  /** Reports the ended connections whose owner did not show up by `nowMs`, with who listens there as the guess that it is. */
  expire(nowMs: number): void {
    for (const [cookie, { event, deadlineMs }] of this.#unowned) {
      if (deadlineMs > nowMs) return; // in order of arrival, hence of deadline
      this.#unowned.delete(cookie);
      this.#reportEnd(event, this.#ownerOf(event, null));
    }
  }

  #ownerOf(event: TcpEvent, found: SocketOwner | null): Owner {
    if (event.pid !== 0) {
      const process = this.#processes.find(event);
      if (process !== null) return { process, attribution_source: ATTRIBUTION_SOURCES[event.attribution]! };
    }
    const holder = found === null ? null : this.#processes.find(found);
    if (holder !== null) return { process: holder, attribution_source: ATTRIBUTION_SOURCE.task_file };
    const listener = event.active_open ? null : this.#listeners.find(event.network_namespace, event.local_address, event.local_port);
    if (listener?.process) return { process: listener.process, attribution_source: ATTRIBUTION_SOURCE.listener };
    return { process: null, attribution_source: ATTRIBUTION_SOURCE.unknown };
  }

  #reportEnd(event: TcpEvent, owner: Owner): void {
    const live = this.#live.get(event.socket_cookie) ?? this.#beginning(event);
    this.#live.delete(event.socket_cookie);
    if (owner.process === null) this.#unattributed++;
    this.#report(event, live, endReason(event), owner);
  }

  /** Where the counting of a socket starts: at zero if its beginning was seen, else at what it had already done. */
  #beginning(event: TcpEvent): LiveSocket {
    if (!event.seen_from_start) return { reported: event, openReported: true, owner: null };
    const start = event.syn_sent_ktime_ns || event.established_ktime_ns;
    const zero = { bytes_sent: 0, bytes_received: 0, bytes_retrans: 0, segs_out: 0, segs_in: 0, total_retrans: 0, lost: 0 };
    return { reported: { ...event, ...zero, ktime_ns: start }, openReported: false, owner: null };
  }

  #report(event: TcpEvent, live: LiveSocket, end_reason: number, owner: Owner): void {
    const last = live.reported;
    const opens = !live.openReported && event.established_ktime_ns !== 0;
    this.#onFlow({
      flow_id: event.socket_cookie,
      period_start_unix_us: this.#unixUs(last.ktime_ns),
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
      opened_count: opens ? 1 : 0,
      tx_bytes: delta(event.bytes_sent, last.bytes_sent),
      rx_bytes: delta(event.bytes_received, last.bytes_received),
      retrans_bytes: delta(event.bytes_retrans, last.bytes_retrans),
      tx_segments: delta32(event.segs_out, last.segs_out),
      rx_segments: delta32(event.segs_in, last.segs_in),
      retrans_segments: delta32(event.total_retrans, last.total_retrans),
      lost_segments: delta32(event.lost, last.lost),
      srtt_us: event.srtt_us,
      rttvar_us: event.rttvar_us,
      min_rtt_us: event.min_rtt_us,
      snd_cwnd_segments: event.snd_cwnd,
      connect_us: opens && event.active_open ? Math.max(1, Math.round((event.established_ktime_ns - event.syn_sent_ktime_ns) / 1_000)) : 0,
    });
  }

  #roleOf(event: TcpEvent): { role: number; role_source: number } {
    if (event.active_open) return { role: ROLE.client, role_source: ROLE_SOURCE.connect };
    if (event.seen_from_start) return { role: ROLE.server, role_source: ROLE_SOURCE.accept };
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

/** Why a connection, or an attempt, ended: the state before the end and the socket's error tell. */
export function endReason(event: Pick<TcpEvent, "state" | "socket_error">): number {
  const { state, socket_error } = event;
  if (state === TCP_SYN_SENT) {
    if (socket_error === ECONNREFUSED) return END_REASON.refused;
    return socket_error === ETIMEDOUT ? END_REASON.connect_timeout : END_REASON.connect_failed;
  }
  if (socket_error === ECONNRESET || socket_error === EPIPE) return END_REASON.reset;
  if (socket_error !== 0) return END_REASON.timeout;
  // Closed without a FIN of ours: close(2) with data unread or with SO_LINGER of 0 sends a reset.
  return state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT ? END_REASON.reset : END_REASON.closed;
}

function delta(now: number, before: number): number {
  return Math.max(0, now - before);
}

/** The kernel's 32-bit counters wrap around. */
function delta32(now: number, before: number): number {
  return (now - before) >>> 0;
}
