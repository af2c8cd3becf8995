/** Numbers keys of some words in order of appearance; the hash is seeded, so that crafted collisions do not last. */

/** A slot holds a key's number and 1, and above it bits of its hash, so that another key is seldom looked at in vain. */
const NUMBER_BITS = 24, NUMBER_MASK = (1 << NUMBER_BITS) - 1;
const FIRST_KEYS = 64;
/** Slots for each key at least. */
const SLOTS_A_KEY = 2;
const SEED = crypto.getRandomValues(new Int32Array(1))[0]!;

export class KeyTable {
  /** Words from one key to the next: the key, a word for the table's owner, which is 0 at first, and the hash. */
  readonly stride: number;
  readonly ownerWord: number;
  /** Key i from `i * stride`. */
  keys: Uint32Array;
  count = 0;
  readonly #words: number;
  #slots: Uint32Array;

  /**
   * @param words Words of one key.
   * @param expected How many keys there may be; more are taken too.
   */
  constructor(words: number, expected = FIRST_KEYS) {
    const room = 2 ** Math.ceil(Math.log2(Math.max(expected, FIRST_KEYS)));
    this.#words = words;
    this.ownerWord = words;
    this.stride = words + 2;
    this.keys = new Uint32Array(room * this.stride);
    this.#slots = new Uint32Array(room * SLOTS_A_KEY);
  }

  /** Number of the key; a new one gets the next. */
  add(key: Uint32Array): number {
    const words = this.#words, stride = this.stride, slots = this.#slots, keys = this.keys, mask = slots.length - 1;
    let hash = SEED;
    for (let i = 0; i < words; i++) {
      hash = Math.imul(hash ^ key[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    const tag = hash >>> NUMBER_BITS;
    let slot = hash & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry >>> NUMBER_BITS !== tag) continue;
      const at = ((entry & NUMBER_MASK) - 1) * stride;
      let i = 0;
      while (i < words && keys[at + i] === key[i]) i++;
      if (i === words) return (entry & NUMBER_MASK) - 1;
    }
    return this.#insert(key, hash, slot);
  }

  #insert(key: Uint32Array, hash: number, slot: number): number {
    const index = this.count++;
    if (this.count > NUMBER_MASK) throw new RangeError(`Cannot number keys: ${this.count}, needed at most ${NUMBER_MASK}`);
    this.#slots[slot] = (hash >>> NUMBER_BITS) << NUMBER_BITS | this.count;
    if (this.count * this.stride > this.keys.length) this.keys = resized(this.keys, this.keys.length * 2);
    const at = index * this.stride;
    this.keys.set(key, at);
    this.keys[at + this.stride - 1] = hash;
    if (this.count * SLOTS_A_KEY > this.#slots.length) this.#spread();
    return index;
  }

  #spread(): void {
    const slots = new Uint32Array(this.#slots.length * 2), mask = slots.length - 1;
    for (let i = 0; i < this.count; i++) {
      const hash = this.keys[i * this.stride + this.stride - 1]!;
      let slot = hash & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = (hash >>> NUMBER_BITS) << NUMBER_BITS | i + 1;
    }
    this.#slots = slots;
  }
}

/** A longer array that begins with the same values. */
export function resized<T extends Int32Array | Uint32Array | Float64Array>(array: T, length: number): T;
export function resized(array: Int32Array | Uint32Array | Float64Array, length: number): typeof array {
  const longer = array instanceof Float64Array
    ? new Float64Array(length)
    : array instanceof Int32Array
    ? new Int32Array(length)
    : new Uint32Array(length);
  longer.set(array);
  return longer;
}
