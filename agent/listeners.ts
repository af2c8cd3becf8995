/** What listens on this host: it decides which port is the service, names owners of last resort, and is itself reported. */

import { isMappedIpv4 } from "../lib/ip_address.ts";
import type { TcpEvent } from "./event.ts";
import { TRANSPORT_TCP } from "./flow.ts";
import type { ProcessDescription } from "./processes.ts";

/** A socket that listens. */
export interface Listener {
  /** 16 bytes, IPv4 mapped. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly transport_protocol: number;
  readonly network_namespace: number;
  readonly process: ProcessDescription | null;
  readonly first_seen_unix_us: number;
}

/** A listener as it is to be reported. */
export interface ListenerReport extends Listener {
  readonly last_seen_unix_us: number;
  readonly listening: boolean;
}

/** Listening sockets by network namespace and port; several may share a port (SO_REUSEPORT, different addresses). */
export class ListenerTable {
  readonly #byPort = new Map<string, Map<number, Listener>>();
  #changes: ListenerReport[] = [];

  add(event: TcpEvent, process: ProcessDescription | null, nowUnixUs: number): void {
    const key = portKey(event.network_namespace, event.local_port);
    const listeners = this.#byPort.get(key) ?? new Map<number, Listener>();
    const listener = {
      address: event.local_address,
      port: event.local_port,
      transport_protocol: TRANSPORT_TCP,
      network_namespace: event.network_namespace,
      process,
      first_seen_unix_us: nowUnixUs,
    };
    listeners.set(event.socket_cookie, listener);
    this.#byPort.set(key, listeners);
    this.#changes.push({ ...listener, last_seen_unix_us: nowUnixUs, listening: true });
  }

  remove(event: TcpEvent, nowUnixUs: number): void {
    const key = portKey(event.network_namespace, event.local_port);
    const listeners = this.#byPort.get(key);
    const listener = listeners?.get(event.socket_cookie);
    if (listeners === undefined || listener === undefined) return;
    listeners.delete(event.socket_cookie);
    if (listeners.size === 0) this.#byPort.delete(key);
    this.#changes.push({ ...listener, last_seen_unix_us: nowUnixUs, listening: false });
  }

  /** Who accepts connections to an address and port: the one bound to the address itself before one bound to any. */
  find(networkNamespace: number, address: Uint8Array, port: number): Listener | null {
    let any: Listener | null = null;
    for (const listener of this.#byPort.get(portKey(networkNamespace, port))?.values() ?? []) {
      if (sameBytes(listener.address, address)) return listener;
      if (isUnspecified(listener.address)) any = listener;
    }
    return any;
  }

  /** What began or ended to listen since the last call of this or of `all()`. */
  takeChanges(): readonly ListenerReport[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** Everything that listens now, after what no longer does. */
  takeAll(nowUnixUs: number): readonly ListenerReport[] {
    const ended = this.takeChanges().filter(({ listening }) => !listening);
    const now = [...this.#byPort.values()].flatMap((listeners) => [...listeners.values()]);
    return [...ended, ...now.map((listener) => ({ ...listener, last_seen_unix_us: nowUnixUs, listening: true }))];
  }
}

function portKey(networkNamespace: number, port: number): string {
  return `${networkNamespace}:${port}`;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** `::` or `0.0.0.0`, the latter mapped. */
function isUnspecified(address: Uint8Array): boolean {
  return (isMappedIpv4(address) ? address.subarray(12) : address).every((byte) => byte === 0);
}
