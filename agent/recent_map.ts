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

  /** The value of `key`, made by `make` where there is none. */
  getOrMake(key: K, make: () => V): V {
    const recent = this.#newer.get(key);
    if (recent !== undefined) return recent;
    const value = this.#older.get(key) ?? make();
    if (this.#newer.size >= this.#entriesMax) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(key, value);
    return value;
  }

  get size(): number {
    return this.#newer.size + this.#older.size;
  }

  clear(): void {
    this.#newer.clear();
    this.#older.clear();
  }
}
