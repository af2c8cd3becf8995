/** Gives equal addresses of 16 bytes equal numbers, and tells their text and family once for each. */

import { formatAddress, isMappedIpv4 } from "../lib/ip_address.ts";
import { dictionaryOf } from "./parquet/dictionary.ts";

const FIRST_SLOTS = 1 << 12;
const ADDRESS_BYTES = 16, WORDS = 4;
const PRIME = 0x85eb_ca6b;

const encoder = new TextEncoder();

export class AddressTable {
  #words = new Int32Array(WORDS * FIRST_SLOTS);
  #count = 0;
  /** By hash, an address's number and 1, or 0; twice as many as addresses at least. */
  #slots = new Int32Array(2 * FIRST_SLOTS);
  readonly #texts: Uint8Array[] = [];
  readonly #isIpv4: boolean[] = [];
  /** Of no use but that what it was made of had to be looked at. */
  #touched = 0;

  get count(): number {
    return this.#count;
  }

  /** Number of each address of so many one after the other. */
  numbersOf(bytes: Uint8Array, count: number): Int32Array {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    const words = new Int32Array(aligned.buffer, aligned.byteOffset, WORDS * count), numbers = new Int32Array(count);
    this.#touched = this.#guess(words, numbers);
    for (let i = 0; i < count; i++) {
      const a = words[WORDS * i]!, b = words[WORDS * i + 1]!, c = words[WORDS * i + 2]!, d = words[WORDS * i + 3]!;
      if (numbers[i]! < 0 || !this.#isAt(numbers[i]!, a, b, c, d)) numbers[i] = this.#numberOf(a, b, c, d);
    }
    return numbers;
  }

  /**
   * Sets the numbers to what is in the address's first place, -1 for nothing, and looks at it: those places are all over the memory,
   * which is waited for once here instead of once for each.
   */
  #guess(addresses: Int32Array, numbers: Int32Array): number {
    const slots = this.#slots, words = this.#words, mask = slots.length - 1;
    let touched = 0;
    for (let i = 0; i < numbers.length; i++) {
      const at = WORDS * i, hash = hashOf(addresses[at]!, addresses[at + 1]!, addresses[at + 2]!, addresses[at + 3]!);
      const number = numbers[i] = slots[hash & mask]! - 1;
      if (number >= 0) touched ^= words[WORDS * number]!;
    }
    return touched;
  }

  #isAt(number: number, a: number, b: number, c: number, d: number): boolean {
    const words = this.#words, at = WORDS * number;
    return words[at + 3] === d && words[at + 2] === c && words[at + 1] === b && words[at] === a;
  }

  /** A dictionary page of the addresses, each preceded by its length. */
  dictionary(numbers: readonly number[]): Uint8Array {
    const out = new Int32Array((WORDS + 1) * numbers.length), words = this.#words;
    for (let i = 0, to = 0; i < numbers.length; i++) {
      const from = WORDS * numbers[i]!;
      out[to++] = ADDRESS_BYTES;
      for (let word = 0; word < WORDS; word++) out[to++] = words[from + word]!;
    }
    return new Uint8Array(out.buffer);
  }

  /** The same of their canonical texts (RFC 5952). */
  textDictionary(numbers: readonly number[]): Uint8Array {
    return dictionaryOf(numbers.map((number) => this.#texts[number]!));
  }

  isIpv4(number: number): boolean {
    return this.#isIpv4[number]!;
  }

  #numberOf(a: number, b: number, c: number, d: number): number {
    const slots = this.#slots, mask = slots.length - 1;
    for (let slot = hashOf(a, b, c, d) & mask;; slot = (slot + 1) & mask) {
      const number = slots[slot]! - 1;
      if (number < 0) return this.#add(a, b, c, d, slot);
      if (this.#isAt(number, a, b, c, d)) return number;
    }
  }

  #add(a: number, b: number, c: number, d: number, slot: number): number {
    const number = this.#count++;
    if (WORDS * this.#count > this.#words.length) {
      const words = new Int32Array(2 * this.#words.length);
      words.set(this.#words);
      this.#words = words;
    }
    this.#words.set([a, b, c, d], WORDS * number);
    this.#slots[slot] = number + 1;
    const bytes = new Uint8Array(this.#words.buffer, ADDRESS_BYTES * number, ADDRESS_BYTES);
    this.#texts.push(encoder.encode(formatAddress(bytes)));
    this.#isIpv4.push(isMappedIpv4(bytes));
    if (2 * this.#count > this.#slots.length) this.#growSlots();
    return number;
  }

  #growSlots(): void {
    const slots = new Int32Array(2 * this.#slots.length), mask = slots.length - 1, words = this.#words;
    for (let number = 0; number < this.#count; number++) {
      const at = WORDS * number;
      let slot = hashOf(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number + 1;
    }
    this.#slots = slots;
  }
}

function hashOf(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ Math.imul(b ^ Math.imul(c, PRIME), PRIME), PRIME);
  hash = Math.imul(hash ^ d ^ (hash >>> 16), PRIME);
  return hash ^ (hash >>> 15) ^ (hash >>> 24);
}
