/** Knows the agent's own datagrams, so that they are not observed: a report of each would be another one to report. */

import { readKernelLink } from "../ffi/libc.ts";
import type { HostPort } from "../lib/ip_address.ts";
import { isUnspecified, sameBytes } from "./addresses.ts";
import type { UdpRecord } from "./udp_record.ts";

/** The socket that the agent sends by; addresses of 16 bytes. */
export interface OwnSocket {
  readonly cookie: number;
  readonly localAddress: Uint8Array;
  readonly localPort: number;
}

/** The agent's end of its conversation with the collector. */
export interface OwnEnd {
  readonly socket: OwnSocket;
  readonly collector: HostPort;
}

/** Sockets that the agent sends by, or has sent by and closed since. */
const COOKIES_MAX = 256;

/** The agent's ends of its conversations with collectors, and the collectors' where they are on this host. */
export class OwnTraffic {
  readonly #ownEnds: () => readonly OwnEnd[];
  readonly #networkNamespace = ownNetworkNamespace();
  readonly #cookies: number[] = [];

  /** @param ownEnds As they are now: the agent changes them with its collectors. */
  constructor(ownEnds: () => readonly OwnEnd[]) {
    this.#ownEnds = ownEnds;
  }

  /** A collector that does not ask who sent to it is left out whole: its datagrams may be ours. */
  includes(record: UdpRecord): boolean {
    const ends = this.#ownEnds();
    for (const { socket } of ends) if (!this.#cookies.includes(socket.cookie)) this.#remember(socket.cookie);
    return this.#cookies.includes(record.socket_cookie) || ends.some((end) => this.#isAtCollector(record, end));
  }

  #isAtCollector(record: UdpRecord, { socket, collector }: OwnEnd): boolean {
    // Who speaks to an address of its own speaks from it, but for the many addresses of loopback.
    const collectorIsHere = sameBytes(socket.localAddress, collector.address) || collector.address[12] === 127;
    const { local_address, local_port, remote_address, remote_port, network_namespace } = record;
    if (!collectorIsHere || local_port !== collector.port || network_namespace !== this.#networkNamespace) return false;
    if (!isUnspecified(local_address) && !sameBytes(local_address, collector.address)) return false;
    return remote_port === 0 || remote_port === socket.localPort && sameBytes(remote_address, socket.localAddress);
  }

  #remember(cookie: number): void {
    this.#cookies.unshift(cookie);
    if (this.#cookies.length > COOKIES_MAX) this.#cookies.pop();
  }
}

/** Inode number of /proc/self/ns/net; 0 where it cannot be read. */
export function ownNetworkNamespace(): number {
  return Number(/^net:\[(\d+)\]$/.exec(readKernelLink("/proc/self/ns/net") ?? "")?.[1] ?? 0);
}
