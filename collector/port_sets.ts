/** Exact sets of ports in bounded memory: a few inline, then sorted lists, then bitmaps of all 65,536. */

const INLINE_PORTS = 8;
const LIST_PORTS = 256;
const BITMAP_WORDS = 2_048;
const LISTS_MAX = 32_768;
const BITMAPS_MAX = 4_096;

const INLINE = 0, LIST = 1, BITMAP = 2;

/** One set a row. A set that no longer fits goes on counting, without the ports (`isCut`). */
export class PortSets {
  readonly #kind: Uint8Array;
  readonly #cut: Uint8Array;
  readonly #counts: Int32Array;
  /** Index of the list or bitmap. */
  readonly #places: Int32Array;
  readonly #inline: Uint16Array;
  readonly #lists = new Pool((): Uint16Array => new Uint16Array(LIST_PORTS), LISTS_MAX);
  readonly #bitmaps = new Pool((): Uint32Array => new Uint32Array(BITMAP_WORDS), BITMAPS_MAX);

  constructor(rows: number) {
    this.#kind = new Uint8Array(rows);
    this.#cut = new Uint8Array(rows);
    this.#counts = new Int32Array(rows);
    this.#places = new Int32Array(rows);
    this.#inline = new Uint16Array(rows * INLINE_PORTS);
  }

  /** Distinct ports of a row; of a cut row at least as many. */
  count(row: number): number {
    return this.#counts[row]!;
  }

  /** Whether ports are missing in the row's set because the pools were empty. */
  isCut(row: number): boolean {
    return this.#cut[row] === 1;
  }

  add(row: number, port: number): void {
    if (this.#kind[row] === BITMAP) this.#addToBitmap(row, port);
    else if (this.#kind[row] === LIST) this.#addToList(row, port);
    else this.#addInline(row, port);
  }

  /** Writes the row's ports to `out` from `at`, ascending; returns how many. */
  copy(row: number, out: Int32Array, at: number): number {
    if (this.#kind[row] === BITMAP) return copyBitmap(this.#bitmaps.get(this.#places[row]!), out, at);
    const stored = this.#stored(row);
    const from = this.#kind[row] === LIST ? this.#lists.get(this.#places[row]!) : this.#inline.subarray(row * INLINE_PORTS);
    for (let i = 0; i < stored; i++) out[at + i] = from[i]!;
    if (this.#kind[row] === INLINE) out.subarray(at, at + stored).sort();
    return stored;
  }

  /** Ports that `copy()` would write. */
  storedCount(row: number): number {
    return this.#kind[row] === BITMAP ? countBits(this.#bitmaps.get(this.#places[row]!)) : this.#stored(row);
  }

  clear(row: number): void {
    if (this.#kind[row] === LIST) this.#lists.release(this.#places[row]!);
    if (this.#kind[row] === BITMAP) {
      this.#bitmaps.get(this.#places[row]!).fill(0);
      this.#bitmaps.release(this.#places[row]!);
    }
    this.#kind[row] = INLINE;
    this.#cut[row] = 0;
    this.#counts[row] = 0;
  }

  #stored(row: number): number {
    return Math.min(this.#counts[row]!, this.#kind[row] === LIST ? LIST_PORTS : INLINE_PORTS);
  }

  #addInline(row: number, port: number): void {
    const at = row * INLINE_PORTS, stored = this.#stored(row);
    for (let i = 0; i < stored; i++) if (this.#inline[at + i] === port) return;
    if (stored < INLINE_PORTS) {
      this.#inline[at + stored] = port;
      this.#counts[row]!++;
      return;
    }
    const place = this.#cut[row] === 1 ? -1 : this.#lists.take();
    if (place < 0) return this.#cutOff(row);
    this.#lists.get(place).set(this.#inline.subarray(at, at + stored).sort());
    this.#kind[row] = LIST;
    this.#places[row] = place;
    this.#addToList(row, port);
  }

  #addToList(row: number, port: number): void {
    const list = this.#lists.get(this.#places[row]!), stored = this.#stored(row);
    let low = 0, high = stored;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle]! < port) low = middle + 1;
      else high = middle;
    }
    if (low < stored && list[low] === port) return;
    if (stored < LIST_PORTS) {
      list.copyWithin(low + 1, low, stored);
      list[low] = port;
      this.#counts[row]!++;
      return;
    }
    const place = this.#cut[row] === 1 ? -1 : this.#bitmaps.take();
    if (place < 0) return this.#cutOff(row);
    const bitmap = this.#bitmaps.get(place);
    for (let i = 0; i < stored; i++) bitmap[list[i]! >> 5]! |= 1 << (list[i]! & 31);
    this.#lists.release(this.#places[row]!);
    this.#kind[row] = BITMAP;
    this.#places[row] = place;
    this.#addToBitmap(row, port);
  }

  #addToBitmap(row: number, port: number): void {
    const bitmap = this.#bitmaps.get(this.#places[row]!), bit = 1 << (port & 31);
    if ((bitmap[port >> 5]! & bit) !== 0) return;
    bitmap[port >> 5]! |= bit;
    this.#counts[row]!++;
  }

  #cutOff(row: number): void {
    this.#cut[row] = 1;
    this.#counts[row]!++;
  }
}

function copyBitmap(bitmap: Uint32Array, out: Int32Array, start: number): number {
  let at = start;
  for (let word = 0; word < BITMAP_WORDS; word++) {
    for (let bits = bitmap[word]!; bits !== 0; bits &= bits - 1) out[at++] = word * 32 + 31 - Math.clz32(bits & -bits);
  }
  return at - start;
}

function countBits(bitmap: Uint32Array): number {
  let count = 0;
  for (const word of bitmap) for (let bits = word; bits !== 0; bits &= bits - 1) count++;
  return count;
}

/** Arrays that are made when first needed, and used again. */
class Pool<A> {
  readonly #make: () => A;
  readonly #max: number;
  readonly #arrays: A[] = [];
  readonly #free: number[] = [];

  constructor(make: () => A, max: number) {
    this.#make = make;
    this.#max = max;
  }

  /** Index of an array, or -1 where all are in use. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#arrays.length >= this.#max) return -1;
    return this.#arrays.push(this.#make()) - 1;
  }

  get(index: number): A {
    return this.#arrays[index]!;
  }

  release(index: number): void {
    this.#free.push(index);
  }
}
