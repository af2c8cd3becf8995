/** The streams of all agents, found by address and sub-agent without an allocation. */

import { formatAddress } from "../lib/ip_address.ts";
import { mix } from "./hash.ts";
import { Stream } from "./stream.ts";
import { emptyCounts, type StreamCounts } from "./stream_counts.ts";
import { StreamMemory } from "./stream_memory.ts";

/** A power of 2. */
const STREAMS_MAX = 65_536;
/** Address words, its length in bytes, the sub-agent. */
const KEY_WORDS = 6, KEY_LENGTH = 4, KEY_SUB_AGENT = 5;
const IPV4_BYTES = 4;
/** In a datagram, behind version and address type. */
const ADDRESS_AT = 8;
export const EXPECTED_DATAGRAMS_MAX = 64;
const NONE = -1;
/** Streams are put in order of their last datagram to so many milliseconds. */
const ORDER_MS = 1_000;

/** One stream as it is now. */
export interface StreamSnapshot {
  readonly agentAddress: string;
  readonly subAgentId: number;
  readonly counts: StreamCounts;
  /** When its last datagram came. */
  readonly lastSeenMs: number;
  /** Uptime that its newest datagram told. */
  readonly uptimeMs: number;
  /** Collector's clock less the agent's, and the shortest way; null where it is not known. */
  readonly skewMs: number | null;
  /** Datagrams lost, of those sent. */
  readonly lossFraction: number;
}

/**
 * Streams by agent. Their number is bounded: a new agent takes the place of the one that has been silent for longest, whose
 * counts stay in the total. The hash is seeded, and keys are compared in full.
 */
export class StreamTable {
  readonly #streamsMax: number;
  readonly #mask: number;
  /** Place -> stream + 1. */
  readonly #places: Int32Array;
  readonly #keys: Uint32Array;
  readonly #hashes: Uint32Array;
  readonly #memory: StreamMemory;
  readonly #streams: Stream[] = [];
  readonly #seenMs: Float64Array;
  /** Neighbours in the order of last datagrams, from `#newest` to `#oldest`. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  readonly #evictedCounts = emptyCounts();
  readonly #evictions: Uint32Array;
  #newest = NONE;
  #oldest = NONE;
  readonly #expectedHashes = new Uint32Array(EXPECTED_DATAGRAMS_MAX);
  readonly #expected: (Stream | null)[] = [];
  /** Keeps what was read only to be there from being left out. */
  #touched = 0;
  /** Streams that another took the place of. */
  evictedStreams = 0;
  /** The time of what arrives now; whoever receives sets it once a batch. */
  nowMs = Date.now();

  /** @param streamsMax A power of 2. */
  constructor(streamsMax = STREAMS_MAX) {
    this.#streamsMax = streamsMax;
    this.#memory = new StreamMemory(streamsMax);
    this.#mask = 2 * streamsMax - 1;
    this.#places = new Int32Array(2 * streamsMax);
    this.#keys = new Uint32Array(streamsMax * KEY_WORDS);
    this.#hashes = new Uint32Array(streamsMax);
    this.#seenMs = new Float64Array(streamsMax);
    this.#newer = new Int32Array(streamsMax);
    this.#older = new Int32Array(streamsMax);
    this.#evictions = new Uint32Array(streamsMax);
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return [this.#memory.numbers.buffer];
  }

  get streamCount(): number {
    return this.#streams.length;
  }

  /** How many there may be. */
  get streamsMax(): number {
    return this.#streamsMax;
  }

  /** Of the streams that another took the place of. */
  get evictedCounts(): StreamCounts {
    return this.#evictedCounts;
  }

  /** How often another agent has taken the place of a stream, by its number, 0 to before `streamCount`. */
  evictions(index: number): number {
    return this.#evictions[index]!;
  }

  countsOf(index: number): StreamCounts {
    const counts = emptyCounts();
    this.#streams[index]!.addTo(counts);
    return counts;
  }

  subAgentOf(index: number): number {
    return this.#keys[index * KEY_WORDS + KEY_SUB_AGENT]!;
  }

  /** Canonical text (RFC 5952). */
  addressOf(index: number): string {
    const at = index * KEY_WORDS;
    const isIpv4 = this.#keys[at + KEY_LENGTH] === IPV4_BYTES;
    const view = new DataView(new ArrayBuffer(16));
    if (isIpv4) view.setUint32(8, 0xffff);
    for (let i = 0; i < (isIpv4 ? 1 : 4); i++) view.setUint32((isIpv4 ? 12 : 0) + 4 * i, this.#keys[at + i]!);
    return formatAddress(new Uint8Array(view.buffer));
  }

  /** The stream of an agent, whose address of 4 or 16 bytes is at `addressAt`, as it sends a datagram. */
  find(view: DataView, addressAt: number, addressBytes: number, subAgentId: number): Stream {
    const hash = this.#fillKey(view, addressAt, addressBytes, subAgentId);
    let place = hash & this.#mask;
    for (; this.#places[place] !== 0; place = (place + 1) & this.#mask) {
      const index = this.#places[place]! - 1;
      if (this.#hashes[index] === hash && this.#equals(index)) {
        if (this.nowMs - this.#seenMs[index]! >= ORDER_MS) this.#moveToFront(index);
        return this.#streams[index]!;
      }
    }
    return this.#add(hash, place);
  }

  /**
   * Reads what datagrams that are about to be accounted for will need, so that memory is waited for once. Nothing is checked, as
   * nothing is used: `headers` are where IPv4 agents' datagrams begin, or what is taken for that.
   *
   * @returns The streams found, of each header or null; the array is used again.
   */
  expect(view: DataView, headers: Int32Array, count: number): readonly (Stream | null)[] {
    for (let i = 0; i < count; i++) {
      const at = headers[i]!;
      this.#expectedHashes[i] = this.#fillKey(view, at + ADDRESS_AT, IPV4_BYTES, view.getUint32(at + ADDRESS_AT + IPV4_BYTES));
    }
    for (let i = 0; i < count; i++) this.#touched ^= this.#places[this.#expectedHashes[i]! & this.#mask]!;
    for (let i = 0; i < count; i++) {
      const index = this.#places[this.#expectedHashes[i]! & this.#mask]! - 1;
      this.#expected[i] = index < 0 ? null : this.#streams[index]!;
      if (index >= 0) this.#touched ^= this.#hashes[index]! ^ this.#keys[index * KEY_WORDS]! ^ this.#seenMs[index]!;
    }
    for (let i = 0; i < count; i++) {
      this.#touched ^= this.#expected[i]?.touch(view.getUint32(headers[i]! + ADDRESS_AT + IPV4_BYTES + 4)) ?? 0;
    }
    return this.#expected;
  }

  counts(): StreamCounts {
    const total = { ...this.#evictedCounts };
    for (const stream of this.#streams) stream.addTo(total);
    return total;
  }

  /** Every stream, the one that sent last first (to a second). */
  *snapshots(): Generator<StreamSnapshot> {
    for (let index = this.#newest; index !== NONE; index = this.#older[index]!) {
      const stream = this.#streams[index]!;
      const counts = emptyCounts();
      stream.addTo(counts);
      yield {
        agentAddress: this.addressOf(index),
        subAgentId: this.#keys[index * KEY_WORDS + KEY_SUB_AGENT]!,
        counts,
        lastSeenMs: this.#seenMs[index]!,
        uptimeMs: stream.uptimeMs,
        skewMs: stream.skewMs,
        lossFraction: counts.lost / (counts.lost + counts.received),
      };
    }
  }

  #fillKey(view: DataView, addressAt: number, addressBytes: number, subAgentId: number): number {
    const key = this.#key;
    let hash = mix(this.#seed, subAgentId);
    for (let i = 0; i < 4; i++) {
      const word = 4 * i < addressBytes ? view.getUint32(addressAt + 4 * i) : 0;
      key[i] = word;
      hash = mix(hash, word);
    }
    key[KEY_LENGTH] = addressBytes;
    key[KEY_SUB_AGENT] = subAgentId;
    return mix(hash, addressBytes) >>> 0;
  }

  #equals(index: number): boolean {
    const at = index * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) if (this.#keys[at + i] !== this.#key[i]) return false;
    return true;
  }

  #add(hash: number, place: number): Stream {
    let index = this.#streams.length, at = place;
    if (index < this.#streamsMax) this.#streams.push(new Stream(this.#memory));
    else {
      index = this.#evictOldest();
      // The gap that was closed may have moved what stands before the free place.
      for (at = hash & this.#mask; this.#places[at] !== 0;) at = (at + 1) & this.#mask;
    }
    this.#places[at] = index + 1;
    this.#hashes[index] = hash;
    this.#keys.set(this.#key, index * KEY_WORDS);
    this.#putInFront(index);
    return this.#streams[index]!;
  }

  #evictOldest(): number {
    const index = this.#oldest;
    const stream = this.#streams[index]!;
    stream.addTo(this.#evictedCounts);
    stream.clear();
    this.evictedStreams++;
    this.#evictions[index]!++;
    this.#takeFromOrder(index);
    this.#unlink(index);
    return index;
  }

  /** Closes the gap in the run of places behind, so that no probe ends early. */
  #unlink(index: number): void {
    let gap = this.#hashes[index]! & this.#mask;
    while (this.#places[gap] !== index + 1) gap = (gap + 1) & this.#mask;
    for (let place = (gap + 1) & this.#mask; this.#places[place] !== 0; place = (place + 1) & this.#mask) {
      const home = this.#hashes[this.#places[place]! - 1]! & this.#mask;
      if (((place - home) & this.#mask) < ((place - gap) & this.#mask)) continue;
      this.#places[gap] = this.#places[place]!;
      gap = place;
    }
    this.#places[gap] = 0;
  }

  #moveToFront(index: number): void {
    this.#takeFromOrder(index);
    this.#putInFront(index);
  }

  #putInFront(index: number): void {
    this.#seenMs[index] = this.nowMs;
    this.#newer[index] = NONE;
    this.#older[index] = this.#newest;
    if (this.#newest === NONE) this.#oldest = index;
    else this.#newer[this.#newest] = index;
    this.#newest = index;
  }

  #takeFromOrder(index: number): void {
    const newer = this.#newer[index]!, older = this.#older[index]!;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
  }
}
