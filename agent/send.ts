/** The way to one collector: finds it, finds it again when it is gone, and tells what could not be sent. */

import { DatagramSender, LibcError } from "../ffi/libc.ts";
import { ResolveError, resolveHost } from "../ffi/libc_resolve.ts";
import { formatAddress, isMappedIpv4 } from "../lib/ip_address.ts";
import { describeError, log, type LogLevel } from "../lib/log.ts";
import type { SharedKey } from "../lib/sflow/authentication.ts";
import { isLeave } from "../lib/sflow/leave.ts";
import { type CollectorAddress, formatCollectorAddress } from "./collector_address.ts";
import type { OwnEnd } from "./own_traffic.ts";

const FULL_PAUSE_MS = 1;
const EAGAIN = 11, ECONNREFUSED = 111;
const RETRIES_MAX = 100;
/** The wait after a failed look-up; it doubles. */
const BACKOFF_MIN_MS = 1_000, BACKOFF_MAX_MS = 60_000;
/** How often a name is looked up again while all is well, and how often while nobody answers there. */
const LOOK_UP_AGAIN_MS = 300_000, LOOK_UP_REFUSED_MS = 30_000;
/** How often a collector that refused is asked whether it is back. */
const PROBE_INTERVAL_MS = 2_000;
/** When one that said it leaves is first asked: it may take datagrams for up to 4 s more, but not after. */
const PROBE_AFTER_LEAVE_MS = 5_000;
/** Room for a leave, and a byte, so that a longer datagram is none; and how many are read at a time. */
const HEARD_BYTES = 33, HEARD_DATAGRAMS = 64;
/** In this time a problem is logged once, and that it is over so many times. */
const LOG_INTERVAL_MS = 60_000, FOUND_LOGS_MAX = 3;

export class CollectorLink implements Disposable {
  /** Address as the operator has written it. */
  readonly name: string;
  readonly #collector: CollectorAddress;
  readonly #key: SharedKey | null;
  readonly #heard = new Uint8Array(HEARD_BYTES);
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
  /** Nobody listened, or who did is about to stop, and nothing since then says otherwise. */
  #isShut = false;
  /** When that was last heard. */
  shutMs = -Infinity;
  #nextProbeMs = 0;
  /** The last probe left without an error. */
  #isProbed = false;
  /** Datagrams that found nobody listening. */
  refusals = 0;
  /** Look-ups of the collector's name, or connections to it, that failed. */
  resolveFailures = 0;
  /** Times that the collector said that it is about to stop, and the link was shut. */
  leaves = 0;
  /** Datagrams from it that said so where there is no other collector, or without a right to, or said anything else. */
  ignoredAnswers = 0;

  /**
   * Inert: the collector is looked for by `find()`.
   *
   * @param key What a collector that is about to stop has to know; null where it needs nothing.
   */
  constructor(collector: CollectorAddress, key: SharedKey | null) {
    this.#collector = collector;
    this.#key = key;
    this.name = formatCollectorAddress(collector);
  }

  /** The address that the collector sees: 16 bytes; null as long as there is no collector. */
  get localAddress(): Uint8Array | null {
    return this.#socket?.localAddress ?? null;
  }

  /** What the datagrams leave by, and where they go; null as long as there is no collector. */
  get ownEnd(): OwnEnd | null {
    if (this.#socket === null || this.#address === null) return null;
    return { socket: this.#socket, collector: { address: this.#address, port: this.#collector.port } };
  }

  /** Whether, by all that is known, somebody listens at its end. */
  get isOpen(): boolean {
    return this.#address !== null && !this.#isShut;
  }

  /** Whether it is time to look for the collector. */
  isDue(nowMs: number): boolean {
    return !this.#isLookingUp && nowMs >= this.#nextLookUpMs;
  }

  /** Looks for the collector if it is time to. Where that fails, that is logged, and tried again later. */
  async find(nowMs: number): Promise<void> {
    if (!this.isDue(nowMs)) return;
    this.#isLookingUp = true;
    try {
      const address = await resolveHost(this.#collector.host);
      if (!this.#isDisposed) this.#connect(address);
    } catch (error) {
      if (!(error instanceof ResolveError || error instanceof LibcError)) throw error;
      this.resolveFailures++;
      this.#wasGone = true;
      this.#nextLookUpMs = nowMs + this.#backoffMs;
      this.#backoffMs = Math.min(2 * this.#backoffMs, BACKOFF_MAX_MS);
      this.#logSometimes("warn", "no collector", { error: describeError(error), collector: this.name }, 1);
    } finally {
      this.#isLookingUp = false;
    }
  }

  isProbeDue(nowMs: number): boolean {
    return this.#isShut && this.#address !== null && nowMs >= this.#nextProbeMs;
  }

  /** The answer to a probe comes with the next one, or does not: then the collector is back. */
  probe(nowMs: number, datagram: Uint8Array<ArrayBuffer>): void {
    this.#nextProbeMs = nowMs + PROBE_INTERVAL_MS;
    const errno = this.#socket?.send(datagram);
    if (errno === 0 && this.#isProbed) {
      this.#isShut = false;
      this.#wasGone = true;
      return;
    }
    this.#isProbed = errno === 0 || this.#socket?.send(datagram) === 0; // the first only fetched the answer to an earlier one
  }

  /**
   * Sends a datagram; false where that is not possible.
   *
   * @param isLast Whether there is no other way, so that it is sent even where an earlier one was refused.
   */
  async send(datagram: Uint8Array<ArrayBuffer>, isLast: boolean): Promise<boolean> {
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const errno = this.#socket?.send(datagram);
      if (errno === undefined) return false;
      if (errno === 0) return this.#onSent();
      if (errno === EAGAIN) {
        await new Promise((resolve) => setTimeout(resolve, FULL_PAUSE_MS));
        continue;
      }
      if (errno !== ECONNREFUSED) return this.#onUnreachable(errno);
      this.#onRefused(); // the answer to an earlier datagram; this one was not sent yet
      if (!isLast) return false;
    }
    return false;
  }

  /**
   * Reads what came back from the collector: that it is about to stop, or that nobody listens, before a datagram is lost on it.
   *
   * @param isOnly Whether there is no other collector, so that it is sent to whatever it says.
   */
  hear(isOnly: boolean): void {
    for (let i = 0; i < HEARD_DATAGRAMS && this.#socket !== null; i++) {
      const { localAddress: address, localPort: port } = this.#socket;
      const bytes = this.#socket.receive(this.#heard);
      if (bytes === -ECONNREFUSED) {
        if (this.#isProbed) this.#isProbed = false; // that was the answer
        else this.#onRefused();
      } else if (bytes < 0) {
        if (bytes !== -EAGAIN) this.#onUnreachable(-bytes);
        return;
      } else if (!isOnly && isLeave(this.#heard.slice(0, bytes), this.#key, { address, port }, Date.now() * 1_000)) {
        this.#onLeave();
      } else {
        this.ignoredAnswers++;
      }
    }
  }

  #connect(address: Uint8Array): void {
    const nowMs = performance.now();
    this.#nextLookUpMs = nowMs + LOOK_UP_AGAIN_MS;
    if (this.#socket !== null && this.#address !== null && this.#address.every((byte, i) => byte === address[i])) return;
    const socket = new DatagramSender(address, this.#collector.port, isMappedIpv4(address));
    this.#disconnect();
    [this.#socket, this.#address] = [socket, address];
    this.#isShut = false;
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
    const fields = { collector: this.name, address: address!, local_address: localAddress! };
    this.#logSometimes("info", "collector found", fields, FOUND_LOGS_MAX);
    return true;
  }

  #onRefused(): void {
    const nowMs = performance.now();
    this.refusals++;
    this.#shut(nowMs, PROBE_INTERVAL_MS);
    this.#logSometimes("warn", "collector does not listen", { collector: this.name, refused_datagrams: this.refusals }, 1);
  }

  #onLeave(): void {
    this.leaves++;
    this.#shut(performance.now(), PROBE_AFTER_LEAVE_MS);
    this.#logSometimes("info", "collector is about to stop", { collector: this.name }, 1);
  }

  #shut(nowMs: number, msUntilProbe: number): void {
    this.#isShut = true;
    this.#isProbed = false;
    this.shutMs = nowMs;
    this.#nextProbeMs = nowMs + msUntilProbe;
    this.#nextLookUpMs = Math.min(this.#nextLookUpMs, nowMs + LOOK_UP_REFUSED_MS);
  }

  /** The way to the collector, or the address that we had, is gone: another socket may find another way. */
  #onUnreachable(errno: number): false {
    const nowMs = performance.now();
    this.#address = null;
    this.#wasGone = true;
    this.#nextLookUpMs = Math.min(this.#nextLookUpMs, nowMs + BACKOFF_MIN_MS);
    this.#logSometimes("warn", "collector cannot be reached", { errno, collector: this.name }, 1);
    return false;
  }

  #logSometimes(level: LogLevel, message: string, fields: Readonly<Record<string, string | number>>, timesMax: number): void {
    const nowMs = performance.now();
    const recent = (this.#logTimesMs.get(message) ?? []).filter((atMs) => nowMs - atMs < LOG_INTERVAL_MS);
    if (recent.length >= timesMax) return;
    this.#logTimesMs.set(message, [...recent, nowMs]);
    log(level, "agent", message, fields);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#disconnect();
  }
}
