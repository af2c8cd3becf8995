/** Remembers which ends were seen to accept TCP connections, in fixed memory: of a place that two share, the newer stays. */

const ENTRIES = 32_768;
/** An address of 16 bytes, IPv4 as ::ffff:a.b.c.d, and a port; an empty entry has port 0. */
const ENTRY_WORDS = 5;

export class ServiceEndpoints {
  readonly #entries = new Uint32Array(ENTRIES * ENTRY_WORDS);
  readonly #endpoint = new Uint32Array(ENTRY_WORDS);
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  /** @param addressBytes 4 or 16. */
  learn(view: DataView, addressAt: number, addressBytes: number, port: number): void {
    const at = this.#find(view, addressAt, addressBytes, port);
    this.#entries.set(this.#endpoint, at);
  }

  has(view: DataView, addressAt: number, addressBytes: number, port: number): boolean {
    const at = this.#find(view, addressAt, addressBytes, port);
    for (let i = 0; i < ENTRY_WORDS; i++) if (this.#entries[at + i] !== this.#endpoint[i]) return false;
    return port !== 0;
  }

  /** Place of an endpoint, which is left in `#endpoint`. */
  #find(view: DataView, addressAt: number, addressBytes: number, port: number): number {
    const endpoint = this.#endpoint;
    endpoint[0] = addressBytes === 4 ? 0 : view.getUint32(addressAt);
    endpoint[1] = addressBytes === 4 ? 0 : view.getUint32(addressAt + 4);
    endpoint[2] = addressBytes === 4 ? 0xffff : view.getUint32(addressAt + 8);
    endpoint[3] = view.getUint32(addressAt + addressBytes - 4);
    endpoint[4] = port;
    let hash = this.#seed;
    for (let i = 0; i < ENTRY_WORDS; i++) {
      hash = Math.imul(hash ^ endpoint[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return (hash & (ENTRIES - 1)) * ENTRY_WORDS;
  }
}
