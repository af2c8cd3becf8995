/** When conversations last left a table, in fixed memory: the newest of those that share a place is remembered. */

const PLACES = 1 << 16;

export class LastFlushes {
  readonly #hashes = new Uint32Array(PLACES);
  readonly #timesMs = new Float64Array(PLACES);

  /** @param hash As of `hashConversation()`. */
  note(hash: number, unixMs: number): void {
    const place = hash % PLACES;
    this.#hashes[place] = hash;
    this.#timesMs[place] = unixMs;
  }

  /** Milliseconds since 1970 UTC, or null where it never left or others did since. */
  find(hash: number): number | null {
    const place = hash % PLACES;
    return this.#hashes[place] === hash && this.#timesMs[place]! > 0 ? this.#timesMs[place]! : null;
  }
}
