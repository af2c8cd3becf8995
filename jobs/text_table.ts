/** Gives equal texts equal numbers without making strings of them: a hash table over bytes. */

import type { EncodedTexts } from "../lib/encoded_texts.ts";

const FIRST_SLOTS = 1 << 12, FIRST_WORDS = 1 << 14;
/** Words of a slot: hash, first word and bytes of the text, and its number and 1, or 0 where the slot is free. Together: one cache line. */
const SLOT_WORDS = 4, FIRST_WORD = 1, BYTE_LENGTH = 2, NUMBER = 3;
const PRIME = 0x0100_0193, SEED = 0x811c_9dc5 | 0;
const NUL = "\0", REPLACEMENT = "\ufffd";

const decoder = new TextDecoder(), encoder = new TextEncoder();

export class TextTable {
  /** Texts one after the other, each from a whole word on, with zeros up to the next. */
  #words = new Int32Array(FIRST_WORDS);
  #wordCount = 0;
  /** Twice as many as texts at least. */
  #slots = new Int32Array(SLOT_WORDS * FIRST_SLOTS);
  /** First word and bytes of each text. */
  #places = new Int32Array(2 * FIRST_SLOTS);
  #count = 0;
  /** What is written for a text that is no UTF-8, or has a NUL, where SQL ends. */
  readonly #replaced = new Map<number, Uint8Array>();
  /** By number of a leader's text, the number and 1 of the text that came with it last. */
  #followers = new Int32Array(FIRST_SLOTS);
  /** Of no use but that what it was made of had to be looked at. */
  #touched = 0;

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
      const guess = numbers[i]!, start = offsets[i]!, end = offsets[i + 1]!;
      if (guess >= 0 && this.#isAt(guess, bytes, view, start, end)) continue;
      const number = numbers[i] = this.#numberOf(bytes, view, start, end);
      if (leaders !== null && leaders[i]! >= 0) this.#follow(leaders[i]!, number);
    }
    return numbers;
  }

  /** A dictionary page of texts, each preceded by its length. */
  dictionary(numbers: readonly number[]): Uint8Array {
    const places = this.#places;
    let length = 0;
    for (const number of numbers) length += 4 + (this.#replaced.get(number)?.length ?? places[2 * number + 1]!);
    const out = new Uint8Array(length + 3), view = new DataView(out.buffer);
    let at = 0;
    for (const number of numbers) {
      const text = this.#replaced.get(number), bytes = text?.length ?? places[2 * number + 1]!;
      view.setInt32(at, bytes, true);
      at += 4;
      if (text !== undefined) out.set(text, at);
      else for (let word = places[2 * number]!, to = at; to < at + bytes; to += 4) view.setInt32(to, this.#words[word++]!, true);
      at += bytes;
    }
    return out.subarray(0, length);
  }

  /**
   * Sets the numbers to what came with the leaders, -1 for none. It looks at each of those texts on the way: they are all over the
   * memory, which is waited for once here instead of once for each when they are compared.
   */
  #guess(numbers: Int32Array, leaders: Int32Array | null): number {
    const followers = this.#followers, places = this.#places, words = this.#words;
    let touched = 0;
    for (let i = 0; i < numbers.length; i++) {
      const leader = leaders === null ? -1 : leaders[i]!;
      const number = numbers[i] = leader >= 0 && leader < followers.length ? followers[leader]! - 1 : -1;
      if (number >= 0) touched ^= words[places[2 * number]!]!;
    }
    return touched;
  }

  #follow(leader: number, number: number): void {
    if (leader >= this.#followers.length) this.#followers = grown(this.#followers, leader + 1);
    this.#followers[leader] = number + 1;
  }

  #isAt(number: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const places = this.#places;
    return places[2 * number + 1] === end - start && isText(this.#words, places[2 * number]!, bytes, view, start, end);
  }

  #numberOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const slots = this.#slots, mask = slots.length - SLOT_WORDS, hash = hashOf(bytes, view, start, end), length = end - start;
    for (let at = SLOT_WORDS * hash & mask;; at = (at + SLOT_WORDS) & mask) {
      const number = slots[at + NUMBER]! - 1;
      if (number < 0) return this.#add(bytes.subarray(start, end), hash, at);
      if (
        slots[at] === hash && slots[at + BYTE_LENGTH] === length && isText(this.#words, slots[at + FIRST_WORD]!, bytes, view, start, end)
      ) {
        return number;
      }
    }
  }

  #add(text: Uint8Array, hash: number, at: number): number {
    const number = this.#count++, first = this.#wordCount, end = first + Math.ceil(text.length / 4);
    if (end > this.#words.length) this.#words = grown(this.#words, end);
    if (2 * number === this.#places.length) this.#places = grown(this.#places, 0);
    new Uint8Array(this.#words.buffer, 4 * first, text.length).set(text);
    this.#wordCount = end;
    this.#places[2 * number] = first;
    this.#places[2 * number + 1] = text.length;
    if (!isPlain(text)) this.#replaced.set(number, encoder.encode(decoder.decode(text).replaceAll(NUL, REPLACEMENT)));
    this.#slots.set([hash, first, text.length, number + 1], at);
    if (2 * SLOT_WORDS * this.#count > this.#slots.length) this.#grow();
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

/** Whether it is ASCII without a NUL. */
function isPlain(text: Uint8Array): boolean {
  for (const byte of text) if (byte === 0 || byte >= 128) return false;
  return true;
}
