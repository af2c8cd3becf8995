/**
 * Exact sets of ports in bounded memory: four in the row itself, then small lists, then hash tables, then bitmaps of all
 * 65,536. The cell of a row is six halves: how many ports, the form and whether it is cut, and four ports or a place.
 */

export const PORT_CELL_WORDS = 3;
const COUNT = 0, FORM = 1, FIRST = 2, PLACE = 2;
const COUNT_MAX = 0xffff;

/** Forms; `CUT` is added where ports are missing. */
const INLINE = 0, LIST = 1, TABLE = 2, BITMAP = 3, CUT = 0x80;
const INLINE_PORTS = 4, LIST_PORTS = 16;
/** Ports in a hash table of twice as many slots; a slot of 0 is free, as no port is 0. */
const TABLE_PORTS = 256, TABLE_SLOTS = 2 * TABLE_PORTS;
const BITMAP_HALVES = 4_096;

/** Of so many rows one may have a set of this form. */
const ROWS_A_LIST = 4, ROWS_A_TABLE = 32, ROWS_A_BITMAP = 128;

/** Sets in the cells of rows. A set that no longer fits goes on counting, without the ports (`isCut`). */
export class PortSets {
  readonly #halves: Uint16Array;
  readonly #lists: Pool;
  readonly #tables: Pool;
  readonly #bitmaps: Pool;
  /** Whether sets may still become bitmaps; without, what is beyond a table is counted. */
  allowsBitmaps = true;

  /** @param halves Memory of all rows; a cell of zeros is an empty set. */
  constructor(halves: Uint16Array, rowsMax: number) {
    this.#halves = halves;
    this.#lists = new Pool(LIST_PORTS, Math.ceil(rowsMax / ROWS_A_LIST));
    this.#tables = new Pool(TABLE_SLOTS, Math.ceil(rowsMax / ROWS_A_TABLE));
    this.#bitmaps = new Pool(BITMAP_HALVES, Math.ceil(rowsMax / ROWS_A_BITMAP));
  }

  /** Bytes that the sets may take beside the cells. */
  get bytesMax(): number {
    return this.#lists.halves.byteLength + this.#tables.halves.byteLength + this.#bitmaps.halves.byteLength;
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return [this.#lists.halves.buffer, this.#tables.halves.buffer];
  }

  /** Distinct ports in the cell at half `c`; of a cut one at least as many. */
  count(c: number): number {
    return this.#halves[c + COUNT]!;
  }

  /** Whether ports are missing because there was no room. */
  isCut(c: number): boolean {
    return (this.#halves[c + FORM]! & CUT) !== 0;
  }

  add(c: number, port: number): void {
    switch (this.#halves[c + FORM]! & ~CUT) {
      case INLINE:
        return this.#addToList(this.#halves, c + FIRST, INLINE_PORTS, c, port, this.#lists);
      case LIST:
        return this.#addToList(this.#lists.halves, this.#place(c) * LIST_PORTS, LIST_PORTS, c, port, this.#tables);
      case TABLE:
        return this.#addToTable(c, port);
      default:
        return this.#addToBitmap(c, port);
    }
  }

  /** Something of where the port would be kept. */
  touch(c: number, port: number): number {
    switch (this.#halves[c + FORM]! & ~CUT) {
      case INLINE:
        return 0;
      case LIST:
        return this.#lists.halves[this.#place(c) * LIST_PORTS]!;
      case TABLE:
        return this.#tables.halves[this.#place(c) * TABLE_SLOTS + firstSlot(port)]!;
      default:
        return this.#bitmaps.halves[this.#place(c) * BITMAP_HALVES + (port >> 4)]!;
    }
  }

  /** Writes the ports to `out` from `at`, ascending; returns how many. */
  copy(c: number, out: Int32Array, at: number): number {
    const form = this.#halves[c + FORM]! & ~CUT;
    if (form === BITMAP) return copyBitmap(this.#bitmaps.halves, this.#place(c) * BITMAP_HALVES, out, at);
    if (form === INLINE) return insertSorted(this.#halves, c + FIRST, Math.min(this.#halves[c + COUNT]!, INLINE_PORTS), out, at);
    const count = this.#halves[c + COUNT]!;
    if (form === LIST) return insertSorted(this.#lists.halves, this.#place(c) * LIST_PORTS, Math.min(count, LIST_PORTS), out, at);
    const table = this.#tables.halves, start = this.#place(c) * TABLE_SLOTS;
    let next = at;
    for (let i = start; i < start + TABLE_SLOTS; i++) if (table[i] !== 0) out[next++] = table[i]!;
    out.subarray(at, next).sort();
    return next - at;
  }

  /** Ports that `copy()` would write. */
  storedCount(c: number): number {
    const count = this.#halves[c + COUNT]!;
    switch (this.#halves[c + FORM]!) {
      case INLINE | CUT:
        return INLINE_PORTS;
      case LIST | CUT:
        return LIST_PORTS;
      case TABLE | CUT:
        return TABLE_PORTS;
      default:
        return count;
    }
  }

  clear(c: number): void {
    const form = this.#halves[c + FORM]! & ~CUT;
    if (form !== INLINE) this.#pool(form).release(this.#place(c));
    this.#halves.fill(0, c, c + 2 * PORT_CELL_WORDS);
  }

  #pool(form: number): Pool {
    return form === LIST ? this.#lists : form === TABLE ? this.#tables : this.#bitmaps;
  }

  #place(c: number): number {
    return this.#halves[c + PLACE]! | this.#halves[c + PLACE + 1]! << 16;
  }

  #addToList(list: Uint16Array, start: number, room: number, c: number, port: number, next: Pool): void {
    const count = this.#halves[c + COUNT]!, stored = Math.min(count, room);
    for (let i = start; i < start + stored; i++) if (list[i] === port) return;
    if (stored < room) {
      list[start + stored] = port;
      this.#halves[c + COUNT] = count + 1;
      return;
    }
    const place = this.isCut(c) ? -1 : next.take();
    if (place < 0) return this.#cutOff(c);
    if (next === this.#lists) next.halves.set(list.subarray(start, start + room), place * LIST_PORTS);
    else for (let i = start; i < start + room; i++) next.halves[slotOf(next.halves, place * TABLE_SLOTS, list[i]!)] = list[i]!;
    this.#become(c, next === this.#lists ? LIST : TABLE, place);
    this.add(c, port);
  }

  #addToTable(c: number, port: number): void {
    const table = this.#tables.halves, start = this.#place(c) * TABLE_SLOTS, slot = slotOf(table, start, port);
    if (table[slot] === port) return;
    if (this.#halves[c + COUNT]! < TABLE_PORTS) {
      table[slot] = port;
      this.#halves[c + COUNT]!++;
      return;
    }
    const place = this.isCut(c) || !this.allowsBitmaps ? -1 : this.#bitmaps.take();
    if (place < 0) return this.#cutOff(c);
    for (let i = start; i < start + TABLE_SLOTS; i++) {
      if (table[i] !== 0) this.#bitmaps.halves[place * BITMAP_HALVES + (table[i]! >> 4)]! |= 1 << (table[i]! & 15);
    }
    this.#become(c, BITMAP, place);
    this.#addToBitmap(c, port);
  }

  #addToBitmap(c: number, port: number): void {
    const at = this.#place(c) * BITMAP_HALVES + (port >> 4), bit = 1 << (port & 15);
    if ((this.#bitmaps.halves[at]! & bit) !== 0) return;
    this.#bitmaps.halves[at]! |= bit;
    this.#halves[c + COUNT]!++;
  }

  #become(c: number, form: number, place: number): void {
    const before = this.#halves[c + FORM]! & ~CUT;
    if (before !== INLINE) this.#pool(before).release(this.#place(c));
    this.#halves[c + FORM] = form;
    this.#halves[c + PLACE] = place & 0xffff;
    this.#halves[c + PLACE + 1] = place >>> 16;
  }

  #cutOff(c: number): void {
    this.#halves[c + FORM]! |= CUT;
    if (this.#halves[c + COUNT]! < COUNT_MAX) this.#halves[c + COUNT]!++;
  }
}

function firstSlot(port: number): number {
  return Math.imul(port, 0x9e37_79b1) >>> 23;
}

/** Slot of the port, or the free one where it would go: at least half of them are free. */
function slotOf(tables: Uint16Array, start: number, port: number): number {
  let slot = firstSlot(port);
  while (tables[start + slot] !== 0 && tables[start + slot] !== port) slot = (slot + 1) & (TABLE_SLOTS - 1);
  return start + slot;
}

/** Copies a few ports in ascending order; returns how many. */
function insertSorted(from: Uint16Array, start: number, count: number, out: Int32Array, at: number): number {
  for (let i = 0; i < count; i++) {
    const port = from[start + i]!;
    let to = at + i;
    for (; to > at && out[to - 1]! > port; to--) out[to] = out[to - 1]!;
    out[to] = port;
  }
  return count;
}

function copyBitmap(bitmaps: Uint16Array, start: number, out: Int32Array, at: number): number {
  let next = at;
  for (let i = 0; i < BITMAP_HALVES; i++) {
    for (let bits = bitmaps[start + i]!; bits !== 0; bits &= bits - 1) out[next++] = i * 16 + 31 - Math.clz32(bits & -bits);
  }
  return next - at;
}

/** Pieces of one size, all of zeros when taken. The system gives the memory only as far as pieces are used. */
class Pool {
  readonly halves: Uint16Array<ArrayBuffer>;
  readonly #pieceHalves: number;
  readonly #free: number[] = [];
  #taken = 0;

  constructor(pieceHalves: number, pieces: number) {
    this.#pieceHalves = pieceHalves;
    this.halves = new Uint16Array(pieceHalves * pieces);
  }

  /** Number of a piece, or -1 where all are in use. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    return (this.#taken + 1) * this.#pieceHalves > this.halves.length ? -1 : this.#taken++;
  }

  release(piece: number): void {
    this.halves.fill(0, piece * this.#pieceHalves, (piece + 1) * this.#pieceHalves);
    this.#free.push(piece);
  }
}
