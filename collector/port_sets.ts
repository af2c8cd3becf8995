/** Exact sets of ports in bounded memory: a few inline, then hash tables, then bitmaps of all 65,536. */

const INLINE_PORTS = 8;
/** Ports in a hash table of twice as many slots. */
const TABLE_PORTS = 256;
const TABLE_SLOTS = 2 * TABLE_PORTS;
const BITMAP_WORDS = 2_048;
const TABLES_MAX = 32_768;
const BITMAPS_MAX = 4_096;

const INLINE = 0, TABLE = 1, BITMAP = 2;

/** One set a row. A set that no longer fits goes on counting, without the ports (`isCut`). */
export class PortSets {
  readonly #kind: Uint8Array;
  readonly #cut: Uint8Array;
  readonly #counts: Int32Array;
  /** Index of the table or bitmap. */
  readonly #places: Int32Array;
  readonly #inline: Uint16Array;
  /** A slot of 0 is free: no port is 0. */
  readonly #tables = new Pool((): Uint16Array => new Uint16Array(TABLE_SLOTS), TABLES_MAX);
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
    else if (this.#kind[row] === TABLE) this.#addToTable(row, port);
    else this.#addInline(row, port);
  }

  /** Writes the row's ports to `out` from `at`, ascending; returns how many. */
  copy(row: number, out: Int32Array, at: number): number {
    if (this.#kind[row] === BITMAP) return copyBitmap(this.#bitmaps.get(this.#places[row]!), out, at);
    const from = this.#kind[row] === TABLE ? this.#tables.get(this.#places[row]!) : this.#inlinePorts(row);
    let end = at;
    for (const port of from) if (port !== 0) out[end++] = port;
    out.subarray(at, end).sort();
    return end - at;
  }

  /** Ports that `copy()` would write. */
  storedCount(row: number): number {
    return this.#kind[row] === BITMAP ? countBits(this.#bitmaps.get(this.#places[row]!)) : this.#stored(row);
  }

  clear(row: number): void {
    if (this.#kind[row] === TABLE) this.#releaseTable(row);
    if (this.#kind[row] === BITMAP) {
      this.#bitmaps.get(this.#places[row]!).fill(0);
      this.#bitmaps.release(this.#places[row]!);
    }
    this.#kind[row] = INLINE;
    this.#cut[row] = 0;
    this.#counts[row] = 0;
  }

  #stored(row: number): number {
    return Math.min(this.#counts[row]!, this.#kind[row] === TABLE ? TABLE_PORTS : INLINE_PORTS);
  }

  #inlinePorts(row: number): Uint16Array {
    return this.#inline.subarray(row * INLINE_PORTS, row * INLINE_PORTS + this.#stored(row));
  }

  #releaseTable(row: number): void {
    this.#tables.get(this.#places[row]!).fill(0);
    this.#tables.release(this.#places[row]!);
  }

  #addInline(row: number, port: number): void {
    const at = row * INLINE_PORTS, stored = this.#stored(row);
    for (let i = 0; i < stored; i++) if (this.#inline[at + i] === port) return;
    if (stored < INLINE_PORTS) {
      this.#inline[at + stored] = port;
      this.#counts[row]!++;
      return;
    }
    const place = this.#cut[row] === 1 ? -1 : this.#tables.take();
    if (place < 0) return this.#cutOff(row);
    const table = this.#tables.get(place);
    for (const kept of this.#inlinePorts(row)) table[slotOf(table, kept)] = kept;
    this.#kind[row] = TABLE;
    this.#places[row] = place;
    this.#addToTable(row, port);
  }

  #addToTable(row: number, port: number): void {
    const table = this.#tables.get(this.#places[row]!);
    const slot = slotOf(table, port);
    if (table[slot] === port) return;
    if (this.#counts[row]! < TABLE_PORTS) {
      table[slot] = port;
      this.#counts[row]!++;
      return;
    }
    const place = this.#cut[row] === 1 ? -1 : this.#bitmaps.take();
    if (place < 0) return this.#cutOff(row);
    const bitmap = this.#bitmaps.get(place);
    for (const kept of table) if (kept !== 0) bitmap[kept >> 5]! |= 1 << (kept & 31);
    this.#releaseTable(row);
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

/** Slot of the port, or the free one where it would go: at least half of them are free. */
function slotOf(table: Uint16Array, port: number): number {
  let slot = Math.imul(port, 0x9e37_79b1) >>> 23;
  while (table[slot] !== 0 && table[slot] !== port) slot = (slot + 1) & (TABLE_SLOTS - 1);
  return slot;
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
