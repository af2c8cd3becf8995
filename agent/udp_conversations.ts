/** Turns what the kernel programs counted of UDP into flows, with their roles and owners. */

import { sourceAddressTowards } from "../ffi/libc_route.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { addressKey, isUnspecified, sameBytes } from "./addresses.ts";
import { AMOUNTS_KNOWN, ATTRIBUTION_SOURCE, END_REASON, type Flow, ROLE, ROLE_SOURCE, TRANSPORT_UDP } from "./flow.ts";
import { NamespaceAddresses, sourceAmong } from "./namespace_addresses.ts";
import { ownNetworkNamespace, type OwnTraffic } from "./own_traffic.ts";
import type { ProcessTable } from "./processes.ts";
import { RecentMap } from "./recent_map.ts";
import type { UdpRecord, UdpSocket } from "./udp_record.ts";
import { type Role, rollUp } from "./udp_roll_up.ts";

type PortTable = ReadonlyMap<string, readonly UdpSocket[]>;

/** Peers whose roles are remembered, and peers whose route is. */
const ROLES_MAX = 65_536, ROUTES_MAX = 16_384, NAMESPACES_MAX = 4_096;
/** Beyond so many flows at once a server's are told by the peer's address alone. */
const APART_MAX = 16_384;
const ROUTES_KEPT_MS = 60_000;
/** TCP_* states, which the kernel gives UDP sockets too. */
const STATE_CONNECTED = 1, STATE_NOT_CONNECTED = 7;

/** What UDP flows have nothing of. */
const NONE_OF_TCP = {
  retrans_bytes: 0,
  retrans_segments: 0,
  lost_segments: 0,
  reordering_count: 0,
  busy_us: 0,
  rwnd_limited_us: 0,
  sndbuf_limited_us: 0,
  srtt_us: 0,
  rttvar_us: 0,
  min_rtt_us: 0,
  snd_cwnd_segments: 0,
  connect_us: 0,
} as const satisfies Partial<Flow>;

/**
 * What every UDP socket of the host said to whom. Every delta leaves through `onFlow`, once; only the agent's own
 * datagrams are left out.
 */
export class UdpConversations {
  readonly #processes: ProcessTable;
  readonly #unixOffsetNs: () => number;
  readonly #onFlow: (flow: Flow) => void;
  readonly #own: OwnTraffic;
  readonly #networkNamespace = ownNetworkNamespace();
  /** Sockets that were open before the programs: who spoke first was not seen. */
  #older: ReadonlySet<number> = new Set();
  /** Sockets that are not connected, by network namespace and port: the listening table of now, and the one before it. */
  #byPort: PortTable = new Map();
  #byPortBefore: PortTable = new Map();
  readonly #roles = new RecentMap<string, Role>(ROLES_MAX);
  /** A packet's own address by peer; null where there is no route. */
  readonly #routes = new RecentMap<string, { readonly source: Uint8Array | null }>(ROUTES_MAX);
  /** Other network namespaces, forgotten with the routes. */
  readonly #namespaces = new RecentMap<number, NamespaceAddresses>(NAMESPACES_MAX);
  #routesSinceMs = 0;

  /** @param unixOffsetNs What to add to a time of the kernel's monotonic clock to get one since 1970 UTC. */
  constructor(processes: ProcessTable, unixOffsetNs: () => number, onFlow: (flow: Flow) => void, own: OwnTraffic) {
    this.#processes = processes;
    this.#unixOffsetNs = unixOffsetNs;
    this.#onFlow = onFlow;
    this.#own = own;
  }

  /** Takes in the sockets that were open before the agent. */
  seed(sockets: readonly UdpSocket[]): void {
    this.#older = new Set(sockets.map(({ socket_cookie }) => socket_cookie));
    this.#listen(sockets);
  }

  /** Reports what was counted since the last time; `sockets` are those that are open now. */
  report(records: readonly UdpRecord[], sockets: readonly UdpSocket[]): void {
    this.#listen(sockets);
    const nowMs = performance.now();
    if (nowMs - this.#routesSinceMs > ROUTES_KEPT_MS) {
      this.#routes.clear();
      this.#namespaces.clear();
      this.#routesSinceMs = nowMs;
    }
    const others = withPorts(records, sockets).filter((record) => !this.#own.includes(record));
    const told = others.map((record) => ({ record, role: this.#roleOf(record) }));
    for (const { record, role } of told.length > APART_MAX ? rollUp(told) : told) this.#report(record, role);
  }

  /** What was closed since the last report is still needed for it. */
  #listen(sockets: readonly UdpSocket[]): void {
    this.#byPortBefore = this.#byPort;
    this.#byPort = Map.groupBy(sockets.filter(({ remote_port }) => remote_port === 0), (s) => portKey(s.network_namespace, s.local_port));
  }

  #report(record: UdpRecord, role: Role): void {
    const process = this.#processes.find(record);
    const local_address = this.#localAddress(record);
    const isPeerUnknown = record.remote_port === 0 && isUnspecified(record.remote_address);
    this.#onFlow({
      flow_id: record.socket_cookie,
      period_start_unix_us: this.#unixUs(record.first_ktime_ns),
      period_end_unix_us: this.#unixUs(record.last_ktime_ns),
      local_address,
      remote_address: isPeerUnknown && isMappedIpv4(local_address) ? ANY_IPV4 : record.remote_address,
      local_port: record.local_port,
      remote_port: record.remote_port,
      transport_protocol: TRANSPORT_UDP,
      process,
      attribution_source: process === null ? ATTRIBUTION_SOURCE.unknown : ATTRIBUTION_SOURCE.connect,
      ...role,
      state: record.connected ? STATE_CONNECTED : STATE_NOT_CONNECTED,
      end_reason: END_REASON.open,
      opened_count: 0,
      amounts_known: record.amounts_known ? AMOUNTS_KNOWN.both : AMOUNTS_KNOWN.none,
      tx_bytes: record.tx_bytes,
      rx_bytes: record.rx_bytes,
      tx_segments: record.tx_datagrams,
      rx_segments: record.rx_datagrams,
      ...NONE_OF_TCP,
    });
  }

  /** A role once found stays: later periods may begin with either end's datagram. */
  #roleOf(record: UdpRecord): Role {
    const key = `${record.socket_cookie}:${record.remote_port}:${addressKey(record.remote_address)}`;
    return this.#roles.getOrMake(key, () => this.#decideRole(record));
  }

  #decideRole(record: UdpRecord): Role {
    const { network_namespace, local_address, local_port, remote_address, remote_port, sent_first } = record;
    if (record.connected) {
      // A server may give a peer a connected socket of its own on the port where it listens.
      if (record.port_bound && this.#listens(network_namespace, local_address, local_port)) return SERVER_BY_LISTENING;
      return { role: ROLE.client, role_source: ROLE_SOURCE.connect };
    }
    if (remote_port === 0) return record.port_bound ? SERVER_BY_LISTENING : { role: ROLE.unknown, role_source: ROLE_SOURCE.none };
    const seenFromStart = !this.#older.has(record.socket_cookie);
    if (seenFromStart && !sent_first || !seenFromStart && record.port_bound) return SERVER_BY_LISTENING;
    if (seenFromStart && !record.bound) return { role: ROLE.client, role_source: ROLE_SOURCE.connect };
    if (this.#listens(network_namespace, remote_address, remote_port)) return { role: ROLE.client, role_source: ROLE_SOURCE.listen };
    const isClient = seenFromStart ? sent_first : local_port > remote_port;
    return { role: isClient ? ROLE.client : ROLE.server, role_source: ROLE_SOURCE.heuristic };
  }

  /** Whether a socket that is not connected was bound by number to a port of this host. */
  #listens(networkNamespace: number, address: Uint8Array, port: number): boolean {
    const key = portKey(networkNamespace, port);
    return [...this.#byPort.get(key) ?? [], ...this.#byPortBefore.get(key) ?? []].some((socket) =>
      socket.port_bound && (isUnspecified(socket.local_address) || sameBytes(socket.local_address, address))
    );
  }

  /** The packet's own address where it is known, else the one that is used with this peer as far as that can be told. */
  #localAddress({ local_address, remote_address, network_namespace, pid }: UdpRecord): Uint8Array {
    if (!isUnspecified(local_address) || isUnspecified(remote_address)) return local_address;
    const isIpv4 = isMappedIpv4(remote_address), unknown = isIpv4 ? ANY_IPV4 : local_address; // an IPv6 socket may speak IPv4
    if (network_namespace === this.#networkNamespace) {
      const ask = () => ({ source: sourceAddressTowards(remote_address, isIpv4) });
      return this.#routes.getOrMake(addressKey(remote_address), ask).source ?? unknown;
    }
    const namespace = this.#namespaces.getOrMake(network_namespace, () => new NamespaceAddresses());
    const addresses = namespace.read(pid);
    return sourceAmong(addresses, remote_address) ?? unknown;
  }

  #unixUs(ktimeNs: number): number {
    return Math.round((ktimeNs + this.#unixOffsetNs()) / 1_000);
  }
}

const ANY_IPV4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0);
const SERVER_BY_LISTENING: Role = { role: ROLE.server, role_source: ROLE_SOURCE.listen };

/** A socket that was seen in connect(2) alone had no port yet. */
function withPorts(records: readonly UdpRecord[], sockets: readonly UdpSocket[]): readonly UdpRecord[] {
  if (records.every(({ local_port }) => local_port !== 0)) return records;
  const ports = new Map(sockets.map(({ socket_cookie, local_port }) => [socket_cookie, local_port]));
  return records.map((record) => record.local_port === 0 ? { ...record, local_port: ports.get(record.socket_cookie) ?? 0 } : record);
}

function portKey(networkNamespace: number, port: number): string {
  return `${networkNamespace}:${port}`;
}
