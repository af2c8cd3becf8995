/** Gives equal texts equal numbers without making strings of them: a hash table over bytes. */

import { adviseHugePages } from "../ffi/libc_huge_pages.ts";
import type { EncodedTexts } from "../lib/encoded_texts.ts";

const FIRST_SLOTS = 1 << 12, FIRST_WORDS = 1 << 14;
/** Words of a slot: hash, first word and bytes of the text, and its number and 1, or 0 where the slot is free. Together: one cache line. */
const SLOT_WORDS = 4, FIRST_WORD = 1, BYTE_LENGTH = 2, NUMBER = 3;
const HEAD_WORDS = 2;
/** Some large pages. */
const LARGE_BYTES = 4 * 1024 * 1024;
const PRIME = 0x0100_0193, SEED = 0x811c_9dc5 | 0;
const NUL = "\0", REPLACEMENT = "\ufffd";

const decoder = new TextDecoder(), encoder = new TextEncoder();

/** Texts of some tables one after the other, each from a whole word on, with zeros up to the next; before each its number and its bytes. */
export class TextWords {
  #words = new Int32Array(FIRST_WORDS);
  #count = 0;

  get words(): Int32Array {
    return this.#words;
  }

  /** Room for a text of so many bytes; the place of its first word. */
  take(bytes: number): number {
    const first = this.#count + HEAD_WORDS;
    this.#count = first + Math.ceil(bytes / 4);
    if (this.#count < this.#words.length) return first;
    const more = new Int32Array(Math.max(2 * this.#words.length, this.#count + 1));
    if (more.byteLength >= LARGE_BYTES) adviseHugePages(more.buffer);
    more.set(this.#words);
    this.#words = more;
    return first;
  }
}

export class TextTable {
  readonly #memory: TextWords;
  /** Twice as many as texts at least. */
  #slots = new Int32Array(SLOT_WORDS * FIRST_SLOTS);
  /** First word and bytes of each text. */
  #places = new Int32Array(2 * FIRST_SLOTS);
  #count = 0;
  /** What is written for a text that is no UTF-8, or has a NUL, where SQL ends. */
  readonly #replaced = new Map<number, Uint8Array>();
  /** By number of a leader, the first word of the text that came with it last, 0 for none. */
  #followers = new Int32Array(FIRST_SLOTS);
  /** Of no use but that what it was made of had to be looked at. */
  #touched = 0;

  /** @param memory For texts; tables that are asked one after the other about the same rows are quicker where they share it. */
  constructor(memory: TextWords = new TextWords()) {
    this.#memory = memory;
  }

  /** Texts that there are; their numbers are smaller. */
  get count(): number {
    return this.#count;
  }

  /**
   * Number of each text, the same for the same bytes.
   *
   * @param leaders Of each text a number of another table that it comes with, -1 for none; or null. What came with that one before
   *   is tried first, which is quick where it comes with it again: a host's name with the host's id.
   */
  numbersOf({ offsets, bytes }: EncodedTexts, leaders: Int32Array | null): Int32Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const numbers = new Int32Array(offsets.length - 1);
    this.#touched = this.#guess(numbers, leaders);
    for (let i = 0; i < numbers.length; i++) {
      const guess = numbers[i]!, start = offsets[i]!, end = offsets[i + 1]!, { words } = this.#memory;
      if (guess > 0 && words[guess - 1] === end - start && isText(words, guess, bytes, view, start, end)) {
        numbers[i] = words[guess - 2]!;
        continue;
      }
      const number = numbers[i] = this.#numberOf(bytes, view, start, end);
      if (leaders !== null && leaders[i]! >= 0) this.#follow(leaders[i]!, number);
    }
    return numbers;
  }

  /** A dictionary page of texts, each preceded by its length. */
  dictionary(numbers: readonly number[]): Uint8Array {
    const places = this.#places, { words } = this.#memory;
    let length = 0;
    for (const number of numbers) length += 4 + (this.#replaced.get(number)?.length ?? places[2 * number + 1]!);
    const out = new Uint8Array(length + 3), view = new DataView(out.buffer);
    let at = 0;
    for (const number of numbers) {
      const text = this.#replaced.get(number), bytes = text?.length ?? places[2 * number + 1]!;
      view.setInt32(at, bytes, true);
      at += 4;
      if (text !== undefined) out.set(text, at);
      else for (let word = places[2 * number]!, to = at; to < at + bytes; to += 4) view.setInt32(to, words[word++]!, true);
      at += bytes;
    }
    return out.subarray(0, length);
  }

  /**
   * Sets the numbers to where the texts begin that came with the leaders, 0 for none. It looks at each of those texts on the way: they
   * are all over the memory, which is waited for once here instead of once for each when they are compared.
   */
  #guess(numbers: Int32Array, leaders: Int32Array | null): number {
    if (leaders === null) return 0;
    const followers = this.#followers, { words } = this.#memory;
    let touched = 0;
    for (let i = 0; i < numbers.length; i++) {
      const leader = leaders[i]!, first = leader >= 0 && leader < followers.length ? followers[leader]! : 0;
      numbers[i] = first;
      touched ^= words[first]!;
    }
    return touched;
  }

  #follow(leader: number, number: number): void {
    if (leader >= this.#followers.length) this.#followers = grown(this.#followers, leader + 1);
    this.#followers[leader] = this.#places[2 * number]!;
  }

  #numberOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const { words } = this.#memory,
      slots = this.#slots,
      mask = slots.length - SLOT_WORDS,
      hash = hashOf(bytes, view, start, end),
      length = end - start;
    for (let at = SLOT_WORDS * hash & mask;; at = (at + SLOT_WORDS) & mask) {
      const number = slots[at + NUMBER]! - 1;
      if (number < 0) return this.#add(bytes, view, start, end, hash, at);
      if (
        slots[at] === hash && slots[at + BYTE_LENGTH] === length && isText(words, slots[at + FIRST_WORD]!, bytes, view, start, end)
      ) {
        return number;
      }
    }
  }

  #add(bytes: Uint8Array, view: DataView, start: number, end: number, hash: number, at: number): number {
    const number = this.#count++, length = end - start, first = this.#memory.take(length), { words } = this.#memory;
    if (2 * number === this.#places.length) this.#places = grown(this.#places, 0);
    const isPlain = copyText(bytes, view, start, end, words, first);
    words[first - 2] = number;
    words[first - 1] = length;
    this.#places[2 * number] = first;
    this.#places[2 * number + 1] = length;
    if (!isPlain) this.#replaced.set(number, encoder.encode(decoder.decode(bytes.subarray(start, end)).replaceAll(NUL, REPLACEMENT)));
    const slots = this.#slots;
    slots[at] = hash;
    slots[at + FIRST_WORD] = first;
    slots[at + BYTE_LENGTH] = length;
    slots[at + NUMBER] = number + 1;
    if (2 * SLOT_WORDS * this.#count > slots.length) this.#grow();
    return number;
  }

  #grow(): void {
    const old = this.#slots, slots = new Int32Array(2 * old.length), mask = slots.length - SLOT_WORDS;
    for (let from = 0; from < old.length; from += SLOT_WORDS) {
      if (old[from + NUMBER] === 0) continue;
      let at = SLOT_WORDS * old[from]! & mask;
      while (slots[at + NUMBER] !== 0) at = (at + SLOT_WORDS) & mask;
      slots.set(old.subarray(from, from + SLOT_WORDS), at);
    }
    this.#slots = slots;
  }
}

/** Twice as long, or longer where more is needed. */
function grown(values: Int32Array, needed: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(Math.max(2 * values.length, needed));
  more.set(values);
  return more;
}

/** Whether the text from `first` on is that one, which has as many bytes. */
function isText(words: Int32Array, first: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
  let word = first, from = start;
  for (; from + 8 <= end; from += 8) {
    if (((view.getInt32(from, true) ^ words[word++]!) | (view.getInt32(from + 4, true) ^ words[word++]!)) !== 0) return false;
  }
  for (; from + 4 <= end; from += 4) if (view.getInt32(from, true) !== words[word++]) return false;
  return from === end || lastWord(bytes, from, end) === words[word];
}

/** Fewer than four bytes, the first the least significant. */
function lastWord(bytes: Uint8Array, from: number, end: number): number {
  let word = 0;
  for (let at = from, shift = 0; at < end; at++, shift += 8) word |= bytes[at]! << shift;
  return word;
}

/** FNV-1a's steps, four bytes at a time, and its upper bits mixed into the lower. */
function hashOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
  let hash = SEED ^ (end - start), at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), PRIME);
    hash ^= hash >>> 15;
  }
  if (at < end) hash = Math.imul(hash ^ lastWord(bytes, at, end), PRIME);
  return hash ^ (hash >>> 16);
}

/** The highest bit of each byte of a word, and the lowest. */
const HIGH_BITS = 0x8080_8080 | 0, LOW_BITS = 0x0101_0101;

/** Copies a text's bytes to words, the last filled up with zeros; whether it is ASCII without a NUL. */
function copyText(bytes: Uint8Array, view: DataView, start: number, end: number, words: Int32Array, first: number): boolean {
  let at = start, to = first, high = 0;
  for (; at + 4 <= end; at += 4) {
    const word = words[to++] = view.getInt32(at, true);
    high |= word | ((word - LOW_BITS) & ~word); // of a byte that is zero, what borrows
  }
  if (at < end) {
    words[to] = lastWord(bytes, at, end);
    for (; at < end; at++) high |= bytes[at]! === 0 ? HIGH_BITS : bytes[at]!;
  }
  return (high & HIGH_BITS) === 0;
}
