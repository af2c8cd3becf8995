/** Numbers keys of some words in order of appearance; the hash is seeded, so that crafted collisions do not last. */

/** Words of a key. */
export const KEY_WORDS = 10;
/** Words from one key to the next: the key, one for the table's owner, which is 0 at first, and the hash. */
export const KEY_STRIDE = KEY_WORDS + 2;
export const OWNER_WORD = KEY_WORDS;
const HASH_WORD = KEY_WORDS + 1;

/** A slot holds a key's number and 1, and above it bits of its hash, so that another key is seldom looked at in vain. */
const NUMBER_BITS = 24, NUMBER_MASK = (1 << NUMBER_BITS) - 1;
const FIRST_KEYS = 64;
/** Slots for each key at least. */
const SLOTS_A_KEY = 2;
const PRIME = 0x9e37_79b1;
const SEEDS = crypto.getRandomValues(new Int32Array(2)), SEED = SEEDS[0]!, OTHER_SEED = SEEDS[1]!;

export class KeyTable {
  /** Key i from `i * KEY_STRIDE`. */
  keys: Uint32Array;
  count = 0;
  #slots: Uint32Array;

  /** @param expected How many keys there may be; more are taken too. */
  constructor(expected: number) {
    const room = 2 ** Math.ceil(Math.log2(Math.max(expected, FIRST_KEYS)));
    this.keys = new Uint32Array(room * KEY_STRIDE);
    this.#slots = new Uint32Array(room * SLOTS_A_KEY);
  }

  /** Number of the key whose words begin at a place of `from`; a new one gets the next. @param hash As `hashOf()` has it. */
  add(from: Uint32Array, place: number, hash: number): number {
    const slots = this.#slots, keys = this.keys, mask = slots.length - 1, tag = hash >>> NUMBER_BITS;
    let slot = hash & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry >>> NUMBER_BITS !== tag) continue;
      const at = ((entry & NUMBER_MASK) - 1) * KEY_STRIDE;
      let i = 0;
      while (i < KEY_WORDS && keys[at + i] === from[place + i]) i++;
      if (i === KEY_WORDS) return (entry & NUMBER_MASK) - 1;
    }
    return this.#insert(from, place, hash, slot);
  }

  /** Forgets all keys, but keeps the room for them. */
  clear(): void {
    this.#slots.fill(0);
    this.count = 0;
  }

  #insert(from: Uint32Array, place: number, hash: number, slot: number): number {
    const index = this.count++;
    if (this.count > NUMBER_MASK) throw new RangeError(`Cannot number keys: ${this.count}, needed at most ${NUMBER_MASK}`);
    this.#slots[slot] = (hash >>> NUMBER_BITS) << NUMBER_BITS | this.count;
    if (this.count * KEY_STRIDE > this.keys.length) this.keys = resized(this.keys, this.keys.length * 2);
    const keys = this.keys, at = index * KEY_STRIDE;
    for (let i = 0; i < KEY_WORDS; i++) keys[at + i] = from[place + i]!;
    keys[at + OWNER_WORD] = 0;
    keys[at + HASH_WORD] = hash;
    if (this.count * SLOTS_A_KEY > this.#slots.length) this.#spread();
    return index;
  }

  #spread(): void {
    const slots = new Uint32Array(this.#slots.length * 2), mask = slots.length - 1;
    for (let i = 0; i < this.count; i++) {
      const hash = this.keys[i * KEY_STRIDE + HASH_WORD]!;
      let slot = hash & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = (hash >>> NUMBER_BITS) << NUMBER_BITS | i + 1;
    }
    this.#slots = slots;
  }
}

/** Hash of the key whose words begin there: of either half, which a processor does at the same time. */
export function hashOf(words: Uint32Array, place: number): number {
  let hash = SEED, other = OTHER_SEED;
  for (let i = 0; i < KEY_WORDS; i += 2) {
    hash = Math.imul(hash ^ words[place + i]!, PRIME);
    other = Math.imul(other ^ words[place + i + 1]!, PRIME);
    hash ^= hash >>> 15;
    other ^= other >>> 15;
  }
  hash = Math.imul(hash ^ other << 16 ^ other >>> 16, PRIME);
  return hash ^ hash >>> 15;
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
