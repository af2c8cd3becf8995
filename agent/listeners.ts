/** What listens on this host: it decides which port is the service, and names owners of last resort. */

import { isUnspecified, sameBytes } from "./addresses.ts";
import type { TcpEvent } from "./event.ts";
import type { ProcessDescription } from "./processes.ts";

interface Listener {
  readonly address: Uint8Array;
  readonly process: ProcessDescription | null;
}

/** Listening sockets by network namespace and port; several may share a port (SO_REUSEPORT, different addresses). */
export class ListenerTable {
  readonly #byPort = new Map<string, Map<number, Listener>>();

  add(event: TcpEvent, process: ProcessDescription | null): void {
    const key = portKey(event.network_namespace, event.local_port);
    const listeners = this.#byPort.get(key) ?? new Map<number, Listener>();
    listeners.set(event.socket_cookie, { address: event.local_address, process });
    this.#byPort.set(key, listeners);
  }

  remove(event: TcpEvent): void {
    const key = portKey(event.network_namespace, event.local_port);
    const listeners = this.#byPort.get(key);
    listeners?.delete(event.socket_cookie);
    if (listeners?.size === 0) this.#byPort.delete(key);
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
}

function portKey(networkNamespace: number, port: number): string {
  return `${networkNamespace}:${port}`;
}
