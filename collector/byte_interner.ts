/** Numbers for byte strings, in memory that is fixed from the start. */

import { mix } from "./hash.ts";

const LINE_BYTES = 64, TOUCHED_LINES = 4;

/** Gives equal byte strings equal numbers, comparing all of them; nothing is allocated for one that is known. */
export class ByteInterner {
  readonly #entriesMax: number;
  readonly #mask: number;
  /** Slot -> entry + 1. */
  readonly #slots: Int32Array<ArrayBuffer>;
  readonly #hashes: Int32Array;
  readonly #starts: Int32Array;
  /** Bytes of the first of the two pieces. */
  readonly #splits: Int32Array;
  readonly #salts: Int32Array;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  #entries = 0;
  #used = 0;
  /** Keeps what was read only to be there from being left out. */
  #touched = 0;

  constructor(entriesMax: number, bytesMax: number) {
    const slots = entriesMax * 2;
    this.#entriesMax = entriesMax;
    this.#mask = slots - 1;
    this.#slots = new Int32Array(slots);
    this.#hashes = new Int32Array(entriesMax);
    this.#starts = new Int32Array(entriesMax + 1);
    this.#splits = new Int32Array(entriesMax);
    this.#salts = new Int32Array(entriesMax);
    this.#bytes = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return [this.#bytes.buffer, this.#slots.buffer];
  }

  get count(): number {
    return this.#entries;
  }

  get isFull(): boolean {
    return this.#entries > this.#entriesMax * 0.9 || this.#used > this.#bytes.length * 0.9;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#entries = this.#used = 0;
  }

  /** Moves an entry to the number `to`, at most its own, under another salt or its own; entries move in ascending order, then `cut()`. */
  move(entry: number, to: number, salt: number | null): void {
    const start = this.#starts[entry]!, bytes = this.#starts[entry + 1]! - start, at = this.#starts[to]!;
    this.#salts[to] = salt ?? this.#salts[entry]!;
    if (at !== start) this.#bytes.copyWithin(at, start, start + bytes);
    this.#splits[to] = this.#splits[entry]!;
    this.#starts[to + 1] = at + bytes;
  }

  /** Forgets the entries from `count`, and finds the others by what they are now. */
  cut(count: number): void {
    this.#entries = count;
    this.#used = this.#starts[count]!;
    this.#slots.fill(0);
    for (let entry = 0; entry < count; entry++) {
      const start = this.#starts[entry]!, first = this.#splits[entry]!, second = this.#starts[entry + 1]! - start - first;
      const hash = hashBytes(this.#view, start, first, this.#seed ^ this.#salts[entry]!);
      this.#hashes[entry] = hashBytes(this.#view, start + first, second, hash);
      let slot = this.#hashes[entry]! & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = entry + 1;
    }
  }

  /**
   * Number of the two pieces of bytes in a row, under a salt; -1 where it would be a new one of `newMax` or above, or there is no room.
   *
   * @param guess What it may well be, if at least 0: that is looked at first, without a hash.
   */
  intern(
    a: DataView,
    aAt: number,
    aBytes: number,
    b: DataView,
    bAt: number,
    bBytes: number,
    salt: number,
    newMax: number,
    guess: number,
  ): number {
    if (guess >= 0 && guess < this.#entries && this.#is(guess, a, aAt, aBytes, b, bAt, bBytes, salt)) return guess;
    const hash = hashBytes(b, bAt, bBytes, hashBytes(a, aAt, aBytes, this.#seed ^ salt));
    let slot = hash & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (this.#hashes[entry] === hash && this.#is(entry, a, aAt, aBytes, b, bAt, bBytes, salt)) return entry;
    }
    if (this.#entries >= Math.min(newMax, this.#entriesMax) || this.#used + aBytes + bBytes > this.#bytes.length) return -1;
    const entry = this.#entries++;
    this.#slots[slot] = entry + 1;
    this.#hashes[entry] = hash;
    this.#salts[entry] = salt;
    this.#starts[entry] = this.#used;
    this.#splits[entry] = aBytes;
    this.#append(a, aAt, aBytes);
    this.#append(b, bAt, bBytes);
    this.#starts[entry + 1] = this.#used;
    return entry;
  }

  /** Reads the start of a number's bytes. */
  touch(entry: number): void {
    if (entry < 0 || entry >= this.#entries) return;
    const start = this.#starts[entry]!;
    for (let line = 0; line < TOUCHED_LINES; line++) this.#touched ^= this.#bytes[start + line * LINE_BYTES]!;
  }

  #is(entry: number, a: DataView, aAt: number, aBytes: number, b: DataView, bAt: number, bBytes: number, salt: number): boolean {
    const start = this.#starts[entry]!;
    return this.#salts[entry] === salt && this.#starts[entry + 1]! - start === aBytes + bBytes &&
      this.#equal(start, a, aAt, aBytes) && this.#equal(start + aBytes, b, bAt, bBytes);
  }

  #equal(start: number, view: DataView, at: number, bytes: number): boolean {
    const words = bytes & ~3;
    for (let i = 0; i < words; i += 4) if (this.#view.getInt32(start + i) !== view.getInt32(at + i)) return false;
    for (let i = words; i < bytes; i++) if (this.#bytes[start + i] !== view.getUint8(at + i)) return false;
    return true;
  }

  #append(view: DataView, at: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.#bytes[this.#used + i] = view.getUint8(at + i);
    this.#used += bytes;
  }
}

/** Four words at a time go their own ways, as each step waits for the one before. */
function hashBytes(view: DataView, at: number, bytes: number, seed: number): number {
  let a = seed, b = seed ^ 0x85eb_ca6b, c = seed ^ 0xc2b2_ae35, d = seed ^ 0x27d4_eb2f;
  const stripes = bytes & ~15, words = bytes & ~3;
  for (let i = 0; i < stripes; i += 16) {
    a = mix(a, view.getInt32(at + i));
    b = mix(b, view.getInt32(at + i + 4));
    c = mix(c, view.getInt32(at + i + 8));
    d = mix(d, view.getInt32(at + i + 12));
  }
  let hash = mix(mix(mix(a, b), c), d);
  for (let i = stripes; i < words; i += 4) hash = mix(hash, view.getInt32(at + i));
  for (let i = words; i < bytes; i++) hash = mix(hash, view.getUint8(at + i));
  return hash ^ hash >>> 13;
}
