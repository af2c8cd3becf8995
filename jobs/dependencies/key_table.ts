/** Numbers keys of some words in order of appearance; the hash is seeded, so that crafted collisions do not last. */

const FIRST_KEYS = 64;
/** Slots for each key at least. */
const SLOTS_A_KEY = 2;
const SEED = crypto.getRandomValues(new Int32Array(1))[0]!;

export class KeyTable {
  readonly words: number;
  /** Words of key i from `i * words`. */
  keys: Uint32Array;
  count = 0;
  #hashes: Int32Array;
  /** Number of a key and 1, or 0. */
  #slots: Int32Array;

  /** @param words Words of one key. */
  constructor(words: number) {
    this.words = words;
    this.keys = new Uint32Array(FIRST_KEYS * words);
    this.#hashes = new Int32Array(FIRST_KEYS);
    this.#slots = new Int32Array(FIRST_KEYS * SLOTS_A_KEY);
  }

  /** Keys that there is room for now; arrays beside the table grow with it. */
  get capacity(): number {
    return this.#hashes.length;
  }

  /** Number of the key; a new one gets the next. */
  add(key: Uint32Array): number {
    const hash = this.#hash(key);
    const slot = this.#slotOf(key, hash);
    if (this.#slots[slot] !== 0) return this.#slots[slot]! - 1;
    const index = this.count++;
    this.#slots[slot] = index + 1;
    if (this.count > this.capacity) this.#grow();
    this.#hashes[index] = hash;
    this.keys.set(key, index * this.words);
    if (this.count * SLOTS_A_KEY > this.#slots.length) this.#spread();
    return index;
  }

  /** Number of the key, or -1. */
  find(key: Uint32Array): number {
    return this.#slots[this.#slotOf(key, this.#hash(key))]! - 1;
  }

  #hash(key: Uint32Array): number {
    let hash = SEED;
    for (let i = 0; i < this.words; i++) {
      hash = Math.imul(hash ^ key[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  #slotOf(key: Uint32Array, hash: number): number {
    const { keys, words } = this, slots = this.#slots, hashes = this.#hashes, mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const index = slots[slot]! - 1;
      if (index < 0) return slot;
      if (hashes[index] !== hash) continue;
      const at = index * words;
      let i = 0;
      while (i < words && keys[at + i] === key[i]) i++;
      if (i === words) return slot;
    }
  }

  #grow(): void {
    this.keys = resized(this.keys, this.keys.length * 2);
    this.#hashes = resized(this.#hashes, this.#hashes.length * 2);
  }

  #spread(): void {
    const slots = new Int32Array(this.#slots.length * 2), mask = slots.length - 1;
    for (let i = 0; i < this.count; i++) {
      let slot = this.#hashes[i]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = i + 1;
    }
    this.#slots = slots;
  }
}

/** A longer array that begins with the same values. */
export function resized<T extends Int32Array | Uint32Array | Uint8Array | Float64Array>(array: T, length: number): T;
export function resized(array: Int32Array | Uint32Array | Uint8Array | Float64Array, length: number): typeof array {
  const longer = array instanceof Float64Array
    ? new Float64Array(length)
    : array instanceof Int32Array
    ? new Int32Array(length)
    : array instanceof Uint32Array
    ? new Uint32Array(length)
    : new Uint8Array(length);
  longer.set(array);
  return longer;
}
