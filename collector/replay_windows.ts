/** Knows the signed datagrams that came before, so that nobody can send them again (RFC 4303, section 3.4.3, is alike). */

import type { Signature } from "../lib/sflow/authentication.ts";

/** How far a sender's clock may be from ours, with the time on the way; what is older is not taken. */
const SENT_MS_MAX = 30_000;
/** Datagrams behind the newest that are still taken, once. */
const WINDOW_DATAGRAMS = 1_024;
/** Streams that are remembered. Only who has a key begins one. */
const STREAMS_MAX = 65_536;

/** One stream in one session of its sender. */
interface Window {
  readonly sessionUnixUs: number;
  /** Sequence numbers seen, by number modulo the window. */
  readonly seen: Uint32Array;
  highest: number;
}

export class ReplayWindows {
  readonly #windows = new Map<string, Window>();

  /** Whether a signed datagram is new: sent lately, of the newest session, and of a sequence number that did not come before. */
  isNew(stream: string, { sessionUnixUs, sentUnixUs }: Signature, sequenceNumber: number, receivedUnixMs: number): boolean {
    if (Math.abs(receivedUnixMs - sentUnixUs / 1_000) > SENT_MS_MAX) return false;
    let window = this.#windows.get(stream);
    if (window === undefined || sessionUnixUs > window.sessionUnixUs) {
      window = { sessionUnixUs, seen: new Uint32Array(WINDOW_DATAGRAMS / 32), highest: sequenceNumber };
      this.#windows.delete(stream);
      this.#windows.set(stream, window);
      if (this.#windows.size > STREAMS_MAX) this.#forgetOldest();
    } else if (sessionUnixUs < window.sessionUnixUs) return false;
    return take(window, sequenceNumber);
  }

  #forgetOldest(): void {
    for (const stream of this.#windows.keys()) return void this.#windows.delete(stream);
  }
}

function take(window: Window, sequenceNumber: number): boolean {
  const ahead = (sequenceNumber - window.highest) | 0; // RFC 1982
  if (ahead <= -WINDOW_DATAGRAMS) return false;
  if (ahead > 0) {
    if (ahead >= WINDOW_DATAGRAMS) window.seen.fill(0);
    else for (let number = 1; number < ahead; number++) window.seen[wordOf(window.highest + number)]! &= ~bitOf(window.highest + number);
    window.highest = sequenceNumber;
  } else if ((window.seen[wordOf(sequenceNumber)]! & bitOf(sequenceNumber)) !== 0) return false;
  window.seen[wordOf(sequenceNumber)]! |= bitOf(sequenceNumber);
  return true;
}

/** The window's size divides 2^32, so that numbers wrap in it as they do on the wire. */
function wordOf(number: number): number {
  return (number >>> 5) % (WINDOW_DATAGRAMS / 32);
}

function bitOf(number: number): number {
  return 1 << (number & 31);
}
