/** Gives equal texts equal numbers without making strings of them: a hash table over bytes. */

import type { EncodedTexts } from "../lib/flow_batch.ts";

const FIRST_SLOTS = 1 << 12, FIRST_BYTES = 1 << 16;
const PRIME = 0x0100_0193, SEED = 0x811c_9dc5 | 0;
const NUL = "\0", REPLACEMENT = "\ufffd";

const decoder = new TextDecoder(), encoder = new TextEncoder();

export class TextTable {
  /** Texts one after the other; text i ends where `#ends[i]` says, and begins where the one before ends. */
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #ends = new Int32Array(FIRST_SLOTS);
  #hashes = new Int32Array(FIRST_SLOTS);
  #count = 0;
  /** By hash, a text's number and 1, or 0; twice as many as texts at least. */
  #slots = new Int32Array(2 * FIRST_SLOTS);
  /** What stands for texts that are no UTF-8, or have a NUL, where SQL ends. */
  readonly #replaced = new Map<number, Uint8Array>();

  /** Texts that there are; their numbers are smaller. */
  get count(): number {
    return this.#count;
  }

  /** Number of each text, the same for the same bytes. */
  numbersOf({ offsets, bytes }: EncodedTexts): Int32Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const numbers = new Int32Array(offsets.length - 1);
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.#numberOf(bytes, view, offsets[i]!, offsets[i + 1]!);
    return numbers;
  }

  /** UTF-8 of a text. */
  text(number: number): Uint8Array {
    return this.#replaced.get(number) ?? this.#bytes.subarray(this.#startOf(number), this.#ends[number]!);
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1]!;
  }

  #numberOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const hash = hashOf(bytes, view, start, end), mask = this.#slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) return this.#add(bytes.subarray(start, end), hash, slot);
      if (this.#hashes[number] === hash && this.#isText(number, bytes, view, start, end)) return number;
    }
  }

  #isText(number: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    let at = this.#startOf(number), from = start;
    if (this.#ends[number]! - at !== end - start) return false;
    for (; from + 4 <= end; from += 4, at += 4) if (view.getInt32(from, true) !== this.#view.getInt32(at, true)) return false;
    for (; from < end; from++, at++) if (bytes[from] !== this.#bytes[at]) return false;
    return true;
  }

  #add(text: Uint8Array, hash: number, slot: number): number {
    const number = this.#count++, start = this.#startOf(number), end = start + text.length;
    if (number === this.#ends.length) this.#growNumbers();
    if (end > this.#bytes.length) this.#growBytes(end);
    this.#bytes.set(text, start);
    this.#ends[number] = end;
    this.#hashes[number] = hash;
    const string = isPlain(text) ? null : decoder.decode(text).replaceAll(NUL, REPLACEMENT);
    if (string !== null) this.#replaced.set(number, encoder.encode(string));
    this.#slots[slot] = number + 1;
    if (2 * this.#count > this.#slots.length) this.#growSlots();
    return number;
  }

  #growNumbers(): void {
    this.#ends = grown(this.#ends);
    this.#hashes = grown(this.#hashes);
  }

  #growBytes(needed: number): void {
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, needed));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #growSlots(): void {
    const slots = new Int32Array(2 * this.#slots.length), mask = slots.length - 1;
    for (let number = 0; number < this.#count; number++) {
      let slot = this.#hashes[number]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number + 1;
    }
    this.#slots = slots;
  }
}

function grown(values: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(2 * values.length);
  more.set(values);
  return more;
}

/** FNV-1a's steps, four bytes at a time (RFC draft-eastlake-fnv), and its upper bits mixed into the lower. */
function hashOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
  let hash = SEED ^ (end - start), at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), PRIME);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
  return hash ^ (hash >>> 16);
}

/** Whether it is ASCII without a NUL. */
function isPlain(text: Uint8Array): boolean {
  for (const byte of text) if (byte === 0 || byte >= 128) return false;
  return true;
}
