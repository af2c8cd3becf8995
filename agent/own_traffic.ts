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

/** The agent's end of its conversation with the collector, and the collector's where that is on this host. */
export class OwnTraffic {
  readonly #socket: OwnSocket;
  readonly #collector: HostPort;
  readonly #collectorIsHere: boolean;
  readonly #networkNamespace: number;

  constructor(socket: OwnSocket, collector: HostPort) {
    this.#socket = socket;
    this.#collector = collector;
    // Who speaks to an address of its own speaks from it, but for the many addresses of loopback.
    this.#collectorIsHere = sameBytes(socket.localAddress, collector.address) || collector.address[12] === 127;
    this.#networkNamespace = ownNetworkNamespace();
  }

  /** A collector that does not ask who sent to it is left out whole: its datagrams may be ours. */
  includes(record: UdpRecord): boolean {
    if (record.socket_cookie === this.#socket.cookie) return true;
    const { local_address, local_port, remote_address, remote_port, network_namespace } = record;
    if (!this.#collectorIsHere || local_port !== this.#collector.port || network_namespace !== this.#networkNamespace) return false;
    if (!isUnspecified(local_address) && !sameBytes(local_address, this.#collector.address)) return false;
    return remote_port === 0 || remote_port === this.#socket.localPort && sameBytes(remote_address, this.#socket.localAddress);
  }
}

/** Inode number of /proc/self/ns/net; 0 where it cannot be read. */
export function ownNetworkNamespace(): number {
  return Number(/^net:\[(\d+)\]$/.exec(readKernelLink("/proc/self/ns/net") ?? "")?.[1] ?? 0);
}
