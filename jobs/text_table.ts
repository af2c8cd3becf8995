/** Gives equal texts equal numbers without making strings of them: a hash table over bytes. */

import type { EncodedTexts } from "../lib/flow_batch.ts";

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
  /** What is written for each text. */
  readonly #texts: (Uint8Array | null)[] = [];
  readonly #places: number[] = [];

  /** Texts that there are; their numbers are smaller. */
  get count(): number {
    return this.#places.length / 2;
  }

  /** Number of each text, the same for the same bytes. */
  numbersOf({ offsets, bytes }: EncodedTexts): Int32Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const numbers = new Int32Array(offsets.length - 1);
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.#numberOf(bytes, view, offsets[i]!, offsets[i + 1]!);
    return numbers;
  }

  /** UTF-8 of a text; what stands for one that is none, or has a NUL, where SQL ends. */
  text(number: number): Uint8Array {
    return this.#texts[number] ?? new Uint8Array(this.#words.buffer, 4 * this.#places[2 * number]!, this.#places[2 * number + 1]!);
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
    const number = this.count, first = this.#wordCount, end = first + Math.ceil(text.length / 4);
    if (end > this.#words.length) {
      const words = new Int32Array(Math.max(2 * this.#words.length, end));
      words.set(this.#words);
      this.#words = words;
    }
    new Uint8Array(this.#words.buffer, 4 * first, text.length).set(text);
    this.#wordCount = end;
    this.#places.push(first, text.length);
    this.#texts.push(isPlain(text) ? null : encoder.encode(decoder.decode(text).replaceAll(NUL, REPLACEMENT)));
    this.#slots.set([hash, first, text.length, number + 1], at);
    if (2 * SLOT_WORDS * this.count > this.#slots.length) this.#grow();
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

/** Whether the text from `first` on is that one, which has as many bytes. */
function isText(words: Int32Array, first: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
  let word = first, from = start;
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
