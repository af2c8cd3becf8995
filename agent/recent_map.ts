/** A map that forgets what was not used for long, in constant time. */

/**
 * Two generations: what is used moves to the newer one; when that is full the older is forgotten. It holds the last
 * `entriesMax` entries that were used, and at most twice as many. (Deleting the first key of a full Map again and again
 * is no way to do this: the Map walks past all that were deleted before it.)
 */
export class RecentMap<K, V> {
  readonly #entriesMax: number;
  #newer = new Map<K, V>();
  #older = new Map<K, V>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** The value of `key`, which counts as a use. */
  get(key: K): V | undefined {
    const recent = this.#newer.get(key);
    if (recent !== undefined) return recent;
    const value = this.#older.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  /** Whether there is a value; that is no use. */
  has(key: K): boolean {
    return this.#newer.has(key) || this.#older.has(key);
  }

  set(key: K, value: V): void {
    if (this.#newer.size >= this.#entriesMax && !this.#newer.has(key)) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(key, value);
  }

  /** The value of `key`, made by `make` where there is none. */
  getOrMake(key: K, make: () => V): V {
    const known = this.get(key);
    if (known !== undefined) return known;
    const value = make();
    this.set(key, value);
    return value;
  }

  /** Puts another value in the place of each. */
  replaceAll(replace: (value: V) => V): void {
    for (const generation of [this.#older, this.#newer]) for (const [key, value] of generation) generation.set(key, replace(value));
  }

  get size(): number {
    return this.#newer.size + this.#older.size;
  }

  clear(): void {
    this.#newer.clear();
    this.#older.clear();
  }
}
