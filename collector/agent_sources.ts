/** Where our agents send from, so that a collector that stops can tell them to send elsewhere. */

import type { AgentEnd } from "../lib/sflow/leave.ts";
import { LANE_SUB_AGENT } from "../lib/lanes.ts";
import { ADDRESS_TYPE_IPV4, SFLOW_VERSION } from "../lib/sflow/datagram.ts";

/** Four of the address, one of the port. */
const WORDS = 5, PORT = 4;
/** Sources that are kept: sets of as many places as are looked through for one. */
const SETS = 16_384, WAYS = 4;
/** A source that was silent for so long is not told: agents send their counters every 10 s. */
const SEEN_MS_MAX = 300_000;
/** A source that still sends is told so often. */
const TELL_AGAIN_MS = 1_000;
/** Places of a datagram's head, and its least bytes; see steering.ts. */
const ADDRESS_TYPE_AT = 4, SUB_AGENT_AT_IPV4 = 12, SUB_AGENT_AT_IPV6 = 24, HEAD_BYTES = 28;

/**
 * The sources that were last seen, in memory that does not grow. Only lanes are kept: other sFlow agents, and agents of before
 * lanes, would not understand.
 */
export class AgentSources {
  readonly #sources = new Uint32Array(SETS * WAYS * WORDS);
  /** 0 where there is none. */
  readonly #seenMs = new Float64Array(SETS * WAYS);
  readonly #toldMs = new Float64Array(SETS * WAYS);
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly #last = { words: new Uint32Array(WORDS), place: -1 };
  readonly #tell: (to: AgentEnd) => void;
  #isLeaving = false;
  /** Times that a source was told. */
  told = 0;

  /** @param tell Tells a source to send elsewhere. */
  constructor(tell: (to: AgentEnd) => void) {
    this.#tell = tell;
  }

  /**
   * Keeps the source of the datagram of `bytes` bytes at `at` that was taken in; one that should no longer send is told so.
   *
   * @param source Four words in network order, IPv4 mapped.
   */
  note(source: Uint32Array, port: number, view: DataView, at: number, bytes: number, nowMs: number): void {
    if (!isLane(view, at, bytes)) return;
    const place = this.#place(source, port);
    this.#seenMs[place] = nowMs;
    if (this.#isLeaving && nowMs - this.#toldMs[place]! >= TELL_AGAIN_MS) this.#tellPlace(place, nowMs);
  }

  /** Tells all sources of the last minutes, and from now on those that still send. */
  leave(nowMs: number): void {
    this.#isLeaving = true;
    for (let place = 0; place < SETS * WAYS; place++) {
      if (this.#seenMs[place]! > 0 && nowMs - this.#seenMs[place]! < SEEN_MS_MAX) this.#tellPlace(place, nowMs);
    }
  }

  #tellPlace(place: number, nowMs: number): void {
    const address = new Uint8Array(16), view = new DataView(address.buffer), at = place * WORDS;
    for (let i = 0; i < PORT; i++) view.setUint32(4 * i, this.#sources[at + i]!);
    this.#toldMs[place] = nowMs;
    this.told++;
    this.#tell({ address, port: this.#sources[at + PORT]! });
  }

  /** The place of a source; a new one takes that which was longest without a datagram. */
  #place(source: Uint32Array, port: number): number {
    const last = this.#last, words = last.words;
    // Most come in rows.
    let differs = words[PORT]! ^ port;
    for (let i = 0; i < PORT; i++) differs |= words[i]! ^ source[i]!;
    if (differs === 0 && last.place >= 0) return last.place;
    words.set(source);
    words[PORT] = port;
    return last.place = this.#find(words);
  }

  #find(words: Uint32Array): number {
    let hash = this.#seed;
    for (let i = 0; i < WORDS; i++) {
      hash = Math.imul(hash ^ words[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    const first = (hash & (SETS - 1)) * WAYS, sources = this.#sources;
    let oldest = first;
    for (let place = first; place < first + WAYS; place++) {
      let differs = 0;
      for (let i = 0; i < WORDS; i++) differs |= sources[place * WORDS + i]! ^ words[i]!;
      if (differs === 0) return place;
      if (this.#seenMs[place]! < this.#seenMs[oldest]!) oldest = place;
    }
    sources.set(words, oldest * WORDS);
    this.#toldMs[oldest] = 0;
    return oldest;
  }
}

function isLane(view: DataView, at: number, bytes: number): boolean {
  if (bytes < HEAD_BYTES || view.getUint32(at) !== SFLOW_VERSION) return false;
  const subAgentAt = view.getUint32(at + ADDRESS_TYPE_AT) === ADDRESS_TYPE_IPV4 ? SUB_AGENT_AT_IPV4 : SUB_AGENT_AT_IPV6;
  return (view.getUint32(at + subAgentAt) & LANE_SUB_AGENT.tagMask) === LANE_SUB_AGENT.tag;
}
