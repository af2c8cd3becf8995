/** Sends datagrams to the collector, and counts those that it could not send. */

import { DatagramSender } from "../ffi/libc.ts";
import type { OwnSocket } from "./own_traffic.ts";
import { type HostPort, isMappedIpv4 } from "../lib/ip_address.ts";

/** Datagrams sent in a row before the collector gets a moment to read them. */
const BURST_DATAGRAMS = 64;
const BURST_PAUSE_MS = 1;
const EAGAIN = 11, ECONNREFUSED = 111;
const RETRIES_MAX = 100;

export class CollectorLink implements Disposable {
  readonly #socket: DatagramSender;
  #sentDatagrams = 0;
  #lostDatagrams = 0;
  #lostFlows = 0;
  #refusals = 0;

  constructor(collector: HostPort) {
    this.#socket = new DatagramSender(collector.address, collector.port, isMappedIpv4(collector.address));
  }

  /** The address that the collector sees: 16 bytes. */
  get localAddress(): Uint8Array {
    return this.#socket.localAddress;
  }

  /** What the datagrams leave by. */
  get socket(): OwnSocket {
    return this.#socket;
  }

  /** `lostFlows` are the flow records in the `lostDatagrams`; `refusals` are datagrams that found nobody listening. */
  get counts(): { readonly sentDatagrams: number; readonly lostDatagrams: number; readonly lostFlows: number; readonly refusals: number } {
    return { sentDatagrams: this.#sentDatagrams, lostDatagrams: this.#lostDatagrams, lostFlows: this.#lostFlows, refusals: this.#refusals };
  }

  /** Sends in order, with a pause after each burst. */
  async send(datagrams: readonly { readonly bytes: Uint8Array<ArrayBuffer>; readonly flowCount: number }[]): Promise<void> {
    for (const [i, { bytes, flowCount }] of datagrams.entries()) {
      if (i > 0 && i % BURST_DATAGRAMS === 0) await pause();
      if (await this.#sendOne(bytes)) {
        this.#sentDatagrams++;
      } else {
        this.#lostDatagrams++;
        this.#lostFlows += flowCount;
      }
    }
  }

  async #sendOne(datagram: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const errno = this.#socket.send(datagram);
      if (errno === 0) return true;
      if (errno === ECONNREFUSED) this.#refusals++; // the answer to an earlier datagram; this one was not sent yet
      else if (errno === EAGAIN) await pause();
      else return false;
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, BURST_PAUSE_MS));
}
