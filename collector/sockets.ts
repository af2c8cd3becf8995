/** The sockets of all workers, on one port: who gets what, and how a new collector takes the port over from a running one. */

import { LibcError, readKernelFile } from "../ffi/libc.ts";
import { assertPortFree, UdpSocket } from "../ffi/libc_udp_socket.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import type { CollectorConfig } from "./config.ts";
import { steeringProgram } from "./steering.ts";

const TABLE_BYTES_MAX = 256 * 1024 * 1024;
/** Column of proc(5)'s net/udp. */
const LOCAL_ADDRESS = 1;
/** How often it is looked whether the other collector has gone. */
const TAKE_OVER_LOOK_MS = 100;

/**
 * Bound before the workers start and closed after they have stopped. The kernel numbers the sockets of a port by the order of
 * binding, and when one is closed the last one takes its place. A collector that takes over from one with M sockets binds
 * its own, then M fillers, and has the kernel choose among the places from M on. As the old sockets are closed, whenever and
 * in whatever order, fillers take their places; the workers' own never change. So neither of the two has to know how far the
 * other is, and no stream changes its worker. Nothing is ever sent to a filler.
 */
export class CollectorSockets implements Disposable {
  readonly #address: Uint8Array;
  /** One of each worker. */
  readonly sockets: readonly UdpSocket[];
  readonly #fillers: UdpSocket[] = [];
  #isClosed = false;
  #looking: ReturnType<typeof setInterval> | undefined;

  /**
   * Binds one socket a worker, and has the kernel steer.
   *
   * @throws {BindError} If the port cannot be had, or is another collector's that is not to be taken over.
   * @throws {LibcError} If the port is to be taken over, but the kernel does not let itself be steered.
   */
  constructor(config: Pick<CollectorConfig, "listen" | "listenText" | "workers" | "takeOver">) {
    const { listen: { address, port }, listenText, workers, takeOver } = config;
    const isIpv4 = isMappedIpv4(address);
    this.#address = address;
    if (!takeOver) assertPortFree(address, port, isIpv4, listenText);
    const others = takeOver ? countSockets(address, port) : 0;
    const sockets: UdpSocket[] = this.sockets = [];
    try {
      for (let i = 0; i < workers; i++) sockets.push(UdpSocket.bind(address, sockets[0]?.port ?? port, isIpv4, listenText));
      this.#steer(others);
      for (let i = 0; i < others; i++) this.#fillers.push(UdpSocket.bind(address, port, isIpv4, listenText));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    if (others > 0) this.#looking = setInterval(() => this.#look(), TAKE_OVER_LOOK_MS);
  }

  get port(): number {
    return this.sockets[0]!.port;
  }

  /** Sockets of the collector that was there before. */
  get takenOver(): number {
    return this.#fillers.length;
  }

  /**
   * Whether a newer collector has the port. Beside our own sockets there are at most those of the collector before us, for each
   * of which we have a filler; a newer one binds more than there were.
   */
  get isTakenOver(): boolean {
    return countSockets(this.#address, this.port) > this.sockets.length + 2 * this.#fillers.length;
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#looking);
    for (const socket of [...this.sockets, ...this.#fillers]) socket[Symbol.dispose]();
  }

  /** Where the kernel does not let itself be told, its hash chooses: nothing is lost, but both ends of a conversation may not meet. */
  #steer(firstPlace: number): void {
    try {
      this.sockets[0]!.steer(steeringProgram(this.sockets.length, firstPlace));
    } catch (error) {
      if (!(error instanceof LibcError) || firstPlace > 0) throw error;
      log("warn", "collector", "datagrams are not steered", { error: error.message });
    }
  }

  #look(): void {
    if (countSockets(this.#address, this.port) > this.sockets.length + this.#fillers.length) return;
    clearInterval(this.#looking);
    log("info", "collector", "took over", { port: this.port });
  }
}

/** UDP sockets of this network namespace that are bound to just this address and port. */
function countSockets(address: Uint8Array, port: number): number {
  const isIpv4 = isMappedIpv4(address);
  const table = readKernelFile(isIpv4 ? "/proc/self/net/udp" : "/proc/self/net/udp6", TABLE_BYTES_MAX);
  if (table === null) throw new Error("Cannot look for other sockets of the port: /proc is not there");
  const wanted = `${kernelHex(isIpv4 ? address.subarray(12) : address)}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = new TextDecoder().decode(table).split("\n");
  return lines.filter((line) => line.trim().split(/\s+/)[LOCAL_ADDRESS] === wanted).length;
}

/** As /proc/self/net has it: words of 32 bits in the byte order of the host. */
function kernelHex(address: Uint8Array): string {
  let text = "";
  for (let i = 0; i < address.length; i += 4) text += Uint8Array.from(address.subarray(i, i + 4)).reverse().toHex();
  return text.toUpperCase();
}
