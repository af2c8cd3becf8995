/** Sends datagrams to the collector, finds it again when it is gone, and counts what could not be sent. */

import { DatagramSender, LibcError } from "../ffi/libc.ts";
import { ResolveError, resolveHost } from "../ffi/libc_resolve.ts";
import { formatAddress, isMappedIpv4 } from "../lib/ip_address.ts";
import { describeError, log, type LogLevel } from "../lib/log.ts";
import { type CollectorAddress, formatCollectorAddress } from "./collector_address.ts";
import type { Datagram } from "./encode.ts";
import type { OwnEnd } from "./own_traffic.ts";

/** Datagrams sent in a row before the collector gets a moment to read them. */
const BURST_DATAGRAMS = 64;
const BURST_PAUSE_MS = 1;
const EAGAIN = 11, ECONNREFUSED = 111;
const RETRIES_MAX = 100;
/** The wait after a failed look-up; it doubles. */
const BACKOFF_MIN_MS = 1_000, BACKOFF_MAX_MS = 60_000;
/** How often a name is looked up again while all is well, and how often while nobody answers there. */
const LOOK_UP_AGAIN_MS = 300_000, LOOK_UP_REFUSED_MS = 30_000;
/** In this time a problem is logged once, and that it is over so many times. */
const LOG_INTERVAL_MS = 60_000, FOUND_LOGS_MAX = 3;
/** `::ffff:0.0.0.0`: not known yet. */
const NO_ADDRESS = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);

export interface LinkCounts {
  readonly sentDatagrams: number;
  /** Datagrams that the host could not send, or for which there was no collector. */
  readonly lostDatagrams: number;
  /** Flow records in them. */
  readonly lostFlows: number;
  /** Datagrams that found nobody listening. */
  readonly refusals: number;
  /** Look-ups of the collector's name, or connections to it, that failed. */
  readonly resolveFailures: number;
}

export class CollectorLink implements Disposable {
  #collector: CollectorAddress;
  #socket: DatagramSender | null = null;
  #address: Uint8Array | null = null;
  #isLookingUp = false;
  #nextLookUpMs = 0;
  #backoffMs = BACKOFF_MIN_MS;
  /** By message, when it was logged lately. */
  readonly #logTimesMs = new Map<string, readonly number[]>();
  /** Since it was last found. */
  #wasGone = false;
  #isDisposed = false;
  #counts = { sentDatagrams: 0, lostDatagrams: 0, lostFlows: 0, refusals: 0, resolveFailures: 0 };

  /** Inert: the collector is looked for when there is something to send, or by `find()`. */
  constructor(collector: CollectorAddress) {
    this.#collector = collector;
  }

  /** The address that the collector sees: 16 bytes; zero as long as there is no collector. */
  get localAddress(): Uint8Array {
    return this.#socket?.localAddress ?? NO_ADDRESS;
  }

  /** What the datagrams leave by, and where they go; null as long as there is no collector. */
  get ownEnd(): OwnEnd | null {
    if (this.#socket === null || this.#address === null) return null;
    return { socket: this.#socket, collector: { address: this.#address, port: this.#collector.port } };
  }

  get counts(): LinkCounts {
    return { ...this.#counts };
  }

  /** Sends to another collector from now on. */
  redirect(collector: CollectorAddress): void {
    if (formatCollectorAddress(collector) === formatCollectorAddress(this.#collector)) return;
    this.#collector = collector;
    this.#disconnect();
    this.#nextLookUpMs = 0;
    this.#logTimesMs.clear();
    this.#backoffMs = BACKOFF_MIN_MS;
  }

  /** Whether it is time to look for the collector. */
  isDue(nowMs: number): boolean {
    return !this.#isLookingUp && nowMs >= this.#nextLookUpMs;
  }

  /** Looks for the collector if it is time to. Where that fails, that is logged, and tried again later. */
  async find(nowMs: number): Promise<void> {
    if (!this.isDue(nowMs)) return;
    this.#isLookingUp = true;
    const collector = this.#collector;
    try {
      const address = await resolveHost(collector.host);
      if (collector === this.#collector && !this.#isDisposed) this.#connect(address);
    } catch (error) {
      if (!(error instanceof ResolveError || error instanceof LibcError)) throw error;
      this.#counts.resolveFailures++;
      this.#wasGone = true;
      this.#nextLookUpMs = nowMs + this.#backoffMs;
      this.#backoffMs = Math.min(2 * this.#backoffMs, BACKOFF_MAX_MS);
      this.#logSometimes("warn", "no collector", { error: describeError(error), collector: formatCollectorAddress(collector) }, 1);
    } finally {
      this.#isLookingUp = false;
    }
  }

  /** Sends in order, with a pause after each burst. Does not wait for a collector that has to be found first. */
  async send(datagrams: Iterable<Datagram>): Promise<void> {
    const refusalsBefore = this.#counts.refusals;
    let sent = 0;
    for (const { bytes, flowCount } of datagrams) {
      if (sent > 0 && sent % BURST_DATAGRAMS === 0) await pause();
      sent++;
      if (await this.#sendOne(bytes)) {
        this.#counts.sentDatagrams++;
      } else {
        this.#counts.lostDatagrams++;
        this.#counts.lostFlows += flowCount;
      }
    }
    if (this.#counts.refusals > refusalsBefore) this.#onRefused(performance.now());
  }

  #connect(address: Uint8Array): void {
    const nowMs = performance.now();
    this.#nextLookUpMs = nowMs + LOOK_UP_AGAIN_MS;
    if (this.#socket !== null && this.#address !== null && this.#address.every((byte, i) => byte === address[i])) return;
    const socket = new DatagramSender(address, this.#collector.port, isMappedIpv4(address));
    this.#disconnect();
    [this.#socket, this.#address] = [socket, address];
    this.#backoffMs = BACKOFF_MIN_MS;
  }

  #disconnect(): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = this.#address = null;
  }

  #onSent(): true {
    if (!this.#wasGone || this.#socket === null || this.#address === null) return true;
    this.#wasGone = false;
    const [address, localAddress] = [this.#address, this.#socket.localAddress].map(formatAddress);
    const fields = { collector: formatCollectorAddress(this.#collector), address: address!, local_address: localAddress! };
    this.#logSometimes("info", "collector found", fields, FOUND_LOGS_MAX);
    return true;
  }

  #onRefused(nowMs: number): void {
    this.#nextLookUpMs = Math.min(this.#nextLookUpMs, nowMs + LOOK_UP_REFUSED_MS);
    this.#logSometimes("warn", "collector does not listen", { refused_datagrams: this.#counts.refusals }, 1);
  }

  /** The way to the collector, or the address that we had, is gone: another socket may find another way. */
  #onUnreachable(errno: number): false {
    const nowMs = performance.now();
    this.#address = null;
    this.#wasGone = true;
    this.#nextLookUpMs = Math.min(this.#nextLookUpMs, nowMs + BACKOFF_MIN_MS);
    this.#logSometimes("warn", "collector cannot be reached", { errno, lost_datagrams: this.#counts.lostDatagrams + 1 }, 1);
    return false;
  }

  #logSometimes(level: LogLevel, message: string, fields: Readonly<Record<string, string | number>>, timesMax: number): void {
    const nowMs = performance.now();
    const recent = (this.#logTimesMs.get(message) ?? []).filter((atMs) => nowMs - atMs < LOG_INTERVAL_MS);
    if (recent.length >= timesMax) return;
    this.#logTimesMs.set(message, [...recent, nowMs]);
    log(level, "agent", message, fields);
  }

  async #sendOne(datagram: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const errno = this.#socket?.send(datagram);
      if (errno === undefined) return false;
      if (errno === 0) return this.#onSent();
      if (errno === ECONNREFUSED) this.#counts.refusals++; // the answer to an earlier datagram; this one was not sent yet
      else if (errno === EAGAIN) await pause();
      else return this.#onUnreachable(errno);
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#disconnect();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, BURST_PAUSE_MS));
}
