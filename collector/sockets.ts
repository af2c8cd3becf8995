/** The sockets of all workers, on one port: who gets what, and how a new collector takes the port over from a running one. */

import { LibcError, readKernelFile } from "../ffi/libc.ts";
import { assertPortFree, UdpSocket } from "../ffi/libc_udp_socket.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import type { CollectorConfig } from "./config.ts";
import { onePlaceProgram, steeringProgram } from "./steering.ts";

const TABLE_BYTES_MAX = 256 * 1024 * 1024;
/** `st`, `local_address` and so on: the columns of proc(5)'s net/udp. */
const LOCAL_ADDRESS = 1;
const TAKE_OVER_LOOK_MS = 100;

/**
 * Bound before the workers start and closed after they have stopped. Places in the kernel's group of a port are those of
 * binding, and a socket that is closed leaves its place to the last one. So of M old sockets and N >= M new ones, the
 * places from M on are always new ones', however many of the old are closed, and where there is no such place any more, all
 * are new. Neither of the two ever has to know of the other how far it is.
 */
export class CollectorSockets implements Disposable {
  readonly sockets: readonly UdpSocket[];
  readonly #listen: CollectorConfig["listen"];
  /** Sockets of the collector that was there before. */
  #others: number;
  #isClosed = false;
  #looking: ReturnType<typeof setInterval> | undefined;

  /**
   * Binds one socket a worker, and has the kernel steer.
   *
   * @throws {BindError} If the port cannot be had, or is another collector's that is not to be taken over.
   */
  constructor(config: Pick<CollectorConfig, "listen" | "listenText" | "workers" | "takeOver">) {
    const { listen: { address, port }, listenText, workers, takeOver } = config;
    const isIpv4 = isMappedIpv4(address);
    if (!takeOver) assertPortFree(address, port, isIpv4, listenText);
    this.#others = takeOver ? countSockets(address, port) : 0;
    if (this.#others > workers) {
      throw new RangeError(
        `Cannot take over UDP ${listenText}: ${workers} workers, needed as many as the running collector's ${this.#others}`,
      );
    }
    const sockets: UdpSocket[] = [];
    try {
      for (let i = 0; i < workers; i++) sockets.push(UdpSocket.bind(address, sockets[0]?.port ?? port, isIpv4, listenText));
    } catch (error) {
      for (const socket of sockets) socket[Symbol.dispose]();
      throw error;
    }
    this.sockets = sockets;
    this.#listen = { address, port: this.port };
    this.#steer();
    if (this.#others > 0) this.#looking = setInterval(() => this.#look(), TAKE_OVER_LOOK_MS);
  }

  get port(): number {
    return this.sockets[0]!.port;
  }

  /** Sockets of the collector that is still there beside this one. */
  get others(): number {
    return this.#others;
  }

  /** Closes all at once, so that nothing comes to one of them while a collector that takes over has sockets there. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#looking);
    const { address, port } = this.#listen, isTakenOver = countSockets(address, port) > this.sockets.length + this.#others;
    if (isTakenOver && this.#others === 0) tell(() => this.sockets[0]!.steer(onePlaceProgram(this.sockets.length)));
    for (const socket of this.sockets) socket[Symbol.dispose]();
  }

  /** The other collector may have gone: from then on the places are our own. */
  #look(): void {
    const { address, port } = this.#listen;
    if (countSockets(address, port) > this.sockets.length) return;
    clearInterval(this.#looking);
    this.#others = 0;
    this.#steer();
    log("info", "collector", "took over", { port });
  }

  #steer(): void {
    tell(() => this.sockets[0]!.steer(steeringProgram(this.sockets.length, this.#others)));
  }
}

/** Where the kernel does not let itself be told, its hash chooses: nothing is lost, but both ends of a conversation may not meet. */
function tell(steer: () => void): void {
  try {
    steer();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    log("warn", "collector", "datagrams are not steered", { error: error.message });
  }
}

/** UDP sockets of this network namespace that are bound to just this address and port. */
function countSockets(address: Uint8Array, port: number): number {
  const isIpv4 = isMappedIpv4(address);
  const table = readKernelFile(isIpv4 ? "/proc/net/udp" : "/proc/net/udp6", TABLE_BYTES_MAX);
  if (table === null) throw new Error("Cannot look for other sockets of the port: /proc/net is not there");
  const wanted = `${kernelHex(isIpv4 ? address.subarray(12) : address)}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = new TextDecoder().decode(table).split("\n");
  return lines.filter((line) => line.trim().split(/\s+/)[LOCAL_ADDRESS] === wanted).length;
}

/** As /proc/net has it: words of 32 bits in the byte order of the host. */
function kernelHex(address: Uint8Array): string {
  let text = "";
  for (let i = 0; i < address.length; i += 4) text += Uint8Array.from(address.subarray(i, i + 4)).reverse().toHex();
  return text.toUpperCase();
}
