/** Breaks valid datagrams as agents, networks and attackers do, in one buffer and without an allocation. */

import { dataFormat, DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import type { Seed } from "./datagrams.ts";
import type { Random } from "./random.ts";

export const INPUT_BYTES_MAX = 65_507;
const CHANGES_MAX = 6;

/** Values at which lengths, counts, shifts and signs go wrong. */
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  9,
  11,
  12,
  31,
  32,
  44,
  255,
  256,
  1_400,
  65_507,
  65_535,
  65_536,
  0x1fff_ffff,
  0x4000_0001,
  0x7fff_ffff,
  0x8000_0000,
  0x8000_0001,
  0xffff_0000,
  0xffff_fff8,
  0xffff_fffc,
  0xffff_ffff,
];
const TAGS = [
  ...[1, 2, 3, 4, 5, 1_001, 1_002, 1_003, 1_042, 2_000, 2_100, 2_101, 2_209].map((format) => dataFormat(0, format)),
  ...[1, 2, 3, 4, 5].map((format) => dataFormat(DEFAULT_ENTERPRISE, format)),
  dataFormat(4_300, 1_003),
  0xffff_ffff,
];

/** The input that is being made. */
export class Mutator {
  readonly bytes = new Uint8Array(INPUT_BYTES_MAX);
  readonly view = new DataView(this.bytes.buffer);
  length = 0;
  /** Samples that must still be walked to, as changes stay in the body of one; -1 where anything may have changed. */
  samplesKept = -1;
  readonly #seeds: readonly Seed[];
  readonly #random: Random;

  constructor(seeds: readonly Seed[], random: Random) {
    this.#seeds = seeds;
    this.#random = random;
  }

  /** Makes the input of the random numbers' present state. Its sequence number is `sequence` unless it hits that. */
  make(sequence: number): void {
    const random = this.#random, seed = random.pick(this.#seeds);
    this.bytes.set(seed.bytes);
    this.length = seed.bytes.length;
    this.view.setUint32(seed.bytes[7] === 1 ? 16 : 28, sequence);
    const changes = random.below(CHANGES_MAX + 1);
    const isInside = random.below(3) === 0;
    this.samplesKept = isInside || changes === 0 ? seed.sampleBodies.length : -1;
    const [from, to] = isInside ? random.pick(seed.sampleBodies) : [0, this.length];
    for (let i = 0; i < changes && from < to; i++) {
      if (isInside) this.#changeInside(seed, from, to);
      else this.#changeAnything(seed);
    }
  }

  #changeInside(seed: Seed, from: number, to: number): void {
    const random = this.#random;
    const at = random.below(2) === 0 ? random.pick(seed.structure) : from + random.below(to - from);
    if (at < from || at + 4 > to) return this.#flip(from + random.below(to - from));
    this.#changeWord(at);
  }

  #changeAnything(seed: Seed): void {
    const random = this.#random;
    switch (random.below(9)) {
      case 0:
        this.length = random.below(this.length + 1);
        return;
      case 1:
        return this.#splice(random.pick(this.#seeds), random.below(this.length + 1));
      case 2:
        return this.#insert(random.pick(this.#seeds), random.pick(seed.tags));
      case 3:
        return this.#setWord(random.pick(seed.tags), random.pick(TAGS));
      case 4:
        if (this.length > 0) this.#flip(random.below(this.length));
        return;
      case 5:
        return this.#fill(random.below(this.length + 1), random.below(64));
      default:
        return this.#changeWord(random.pick(seed.structure));
    }
  }

  #changeWord(at: number): void {
    if (at + 4 > this.length) return;
    const random = this.#random;
    switch (random.below(4)) {
      case 0:
        return this.#setWord(at, random.pick(EDGES));
      case 1:
        return this.#setWord(at, this.view.getUint32(at) + random.below(17) - 8);
      case 2:
        return this.#setWord(at, this.length - at + random.below(17) - 8);
      default:
        return this.#flip(at + random.below(4));
    }
  }

  #setWord(at: number, value: number): void {
    if (at + 4 <= this.length) this.view.setUint32(at, value);
  }

  #flip(at: number): void {
    this.bytes[at]! ^= 1 << this.#random.below(8);
  }

  #fill(at: number, bytes: number): void {
    const end = Math.min(this.length, at + bytes);
    for (let i = at; i < end; i++) this.bytes[i] = this.#random.word();
  }

  /** Writes a record of another datagram over what is there. */
  #splice(other: Seed, at: number): void {
    if (other.records.length === 0) return;
    const [from, to] = this.#random.pick(other.records);
    const end = Math.min(INPUT_BYTES_MAX, at + to - from);
    for (let i = at; i < end; i++) this.bytes[i] = other.bytes[from + i - at]!;
    this.length = Math.max(this.length, end);
  }

  /** Puts a record of another datagram in between; lengths and counts stay as they were. */
  #insert(other: Seed, at: number): void {
    if (at > this.length || other.records.length === 0) return;
    const [from, to] = this.#random.pick(other.records);
    if (this.length + to - from > INPUT_BYTES_MAX) return;
    this.bytes.copyWithin(at + to - from, at, this.length);
    for (let i = from; i < to; i++) this.bytes[at + i - from] = other.bytes[i]!;
    this.length += to - from;
  }
}
