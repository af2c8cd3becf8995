/** Bounds what one sender may send: a token bucket for each address, in memory that does not grow. */

const WORDS = 4;
/** Senders that are told apart: sets of as many places as are looked through for one. */
const SETS = 16_384, WAYS = 4;
/** A sender that was quiet may send so much at once. */
const BURST_S = 1;

/**
 * The bucket of an address is in one of four places that its hash names. An address that is new takes the place that was
 * longest without a datagram, with a full bucket: who forges many senders' addresses gets more through than one, but takes
 * nothing from another sender.
 */
export class SourceRates {
  readonly #perMs: number;
  readonly #tokensMax: number;
  readonly #addresses = new Uint32Array(SETS * WAYS * WORDS);
  readonly #tokens = new Float32Array(SETS * WAYS);
  readonly #lastMs = new Float64Array(SETS * WAYS);
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;

  /** @param perSecond Datagrams of one sender. */
  constructor(perSecond: number) {
    this.#perMs = perSecond / 1_000;
    this.#tokensMax = perSecond * BURST_S;
  }

  /** Takes a datagram from the sender's bucket; false where that is empty. */
  take(source: Uint32Array, nowMs: number): boolean {
    const place = this.#place(source, nowMs);
    const passedMs = Math.max(0, nowMs - this.#lastMs[place]!);
    const tokens = Math.min(this.#tokensMax, this.#tokens[place]! + passedMs * this.#perMs);
    this.#lastMs[place] = nowMs; // should the clock be set back, the bucket fills from there
    if (tokens < 1) {
      this.#tokens[place] = tokens;
      return false;
    }
    this.#tokens[place] = tokens - 1;
    return true;
  }

  #place(source: Uint32Array, nowMs: number): number {
    let hash = this.#seed;
    for (let i = 0; i < WORDS; i++) {
      hash = Math.imul(hash ^ source[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    const first = (hash & (SETS - 1)) * WAYS, addresses = this.#addresses;
    let oldest = first;
    for (let place = first; place < first + WAYS; place++) {
      const at = place * WORDS;
      if (
        addresses[at] === source[0] && addresses[at + 1] === source[1] && addresses[at + 2] === source[2] && addresses[at + 3] === source[3]
      ) return place;
      if (this.#lastMs[place]! < this.#lastMs[oldest]!) oldest = place;
    }
    addresses.set(source, oldest * WORDS);
    this.#tokens[oldest] = this.#tokensMax;
    this.#lastMs[oldest] = nowMs;
    return oldest;
  }
}
