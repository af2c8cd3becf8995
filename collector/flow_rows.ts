/**
 * Rows of one address family in memory that is fixed from the start. A row is a run of words: its key, its values
 * (flow_values.ts) and the cell of its ports (port_sets.ts). Slots with linear probing point to rows; the hash is seeded and
 * keys are compared in full, so that crafted collisions cost time, never truth.
 */

import {
  addNarrow,
  addWide,
  detach,
  type FlowEvent,
  isDetached,
  isWide,
  LANE_WORDS,
  type RowMemory,
  VALUE_COUNT,
  widen,
  widePlace,
} from "./flow_values.ts";
import { mix } from "./hash.ts";
import { PORT_CELL_WORDS, PortSets } from "./port_sets.ts";

/** Words of a key: group; port, fold, role, transport and minutes after the first; minute; then client and server. */
export const KEY = { group: 0, kind: 1, minute: 2, client: 3 } as const;
/** Of so many rows one may have the wide form. */
const ROWS_A_WIDE = 8;
/** A slot holds row + 1, and above it 8 bits of the hash. */
const ROW_BITS = 24, ROW_MASK = (1 << ROW_BITS) - 1;
export const ROWS_MAX = ROW_MASK - 1;
/** Slots for each row at least: longer runs cost more than shorter tables save. */
const SLOTS_A_ROW = 1.25;
/** Words of a cache line. */
const LINE_WORDS = 16;
/** A row that is in no slot of the wheel because it is not in use. */
const UNUSED = 0xffff;

export class FlowRows {
  readonly rowsMax: number;
  readonly addressWords: number;
  readonly ports: PortSets;
  readonly keyWords: number;
  readonly #memory: RowMemory;
  readonly #stride: number;
  readonly #lanes: number;
  readonly #cell: number;
  readonly #mask: number;
  readonly #slots: Uint32Array<ArrayBuffer>;
  /** Slot of the flush wheel, by row. */
  readonly #due: Uint16Array;
  /** The same, of two rows each, the first in the lower half. */
  readonly #duePairs: Uint32Array;
  readonly #wideFree: number[] = [];
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  #wideTaken = 0;
  /** First of the rows that were given back, plus 1; each refers to the next in its first word. */
  #free = 0;
  #highest = 0;
  #count = 0;
  #detached = 0;
  /** Of the key last looked for: its hash, and the free slot where it would go. */
  #hash = 0;
  #slot = 0;
  /** Keeps what was read only to be there from being left out. */
  #touched = 0;

  /** @param addressWords Words of one address: 1 or 4. */
  constructor(rowsMax: number, addressWords: number) {
    if (rowsMax < 1 || rowsMax > ROWS_MAX) throw new RangeError(`Cannot make a table: ${rowsMax} rows, needed 1 to ${ROWS_MAX}`);
    this.rowsMax = rowsMax;
    this.addressWords = addressWords;
    this.keyWords = KEY.client + 2 * addressWords;
    this.#lanes = this.keyWords;
    this.#cell = this.#lanes + LANE_WORDS;
    this.#stride = this.#cell + PORT_CELL_WORDS;
    const buffer = new ArrayBuffer(4 * this.#stride * rowsMax);
    this.#memory = {
      words: new Uint32Array(buffer),
      halves: new Uint16Array(buffer),
      bytes: new Uint8Array(buffer),
      wide: new Float64Array(VALUE_COUNT * Math.ceil(rowsMax / ROWS_A_WIDE)),
    };
    const slots = 2 ** Math.ceil(Math.log2(rowsMax * SLOTS_A_ROW + 1));
    this.#mask = slots - 1;
    this.#slots = new Uint32Array(slots);
    this.#due = new Uint16Array(rowsMax + rowsMax % 2).fill(UNUSED);
    this.#duePairs = new Uint32Array(this.#due.buffer);
    this.ports = new PortSets(this.#memory.halves, rowsMax);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.rowsMax;
  }

  /** Rows from 0 to before this may be in use. */
  get end(): number {
    return this.#highest;
  }

  /** Bytes that the table takes when all of it is used. */
  get bytesMax(): number {
    return this.#memory.words.byteLength + this.#memory.wide.byteLength + this.#slots.byteLength + this.#due.byteLength +
      this.ports.bytesMax;
  }

  isUsed(row: number): boolean {
    return this.#due[row] !== UNUSED;
  }

  /** Slot of the flush wheel in which the row leaves. */
  due(row: number): number {
    return this.#due[row]!;
  }

  /** Appends the rows of a slot of the wheel to `out`, two at a look. */
  collectDue(slot: number, out: number[]): void {
    const pairs = this.#duePairs, end = (this.#highest + 1) >> 1;
    for (let i = 0; i < end; i++) {
      const pair = pairs[i]!;
      if ((pair & 0xffff) === slot) out.push(2 * i);
      if (pair >>> 16 === slot) out.push(2 * i + 1);
    }
  }

  /** Word of the row's key. */
  key(row: number, word: number): number {
    return this.#memory.words[row * this.#stride + word]!;
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return [this.#memory.words.buffer, this.#slots.buffer, ...this.ports.buffers];
  }

  get memory(): RowMemory {
    return this.#memory;
  }

  /** Word where the row's values begin. */
  lanesAt(row: number): number {
    return row * this.#stride + this.#lanes;
  }

  /** Half where the row's ports begin. */
  portsAt(row: number): number {
    return 2 * (row * this.#stride + this.#cell);
  }

  /** Row of the key, or -1; then `insert()` puts it where it was looked for. */
  find(key: Uint32Array): number {
    const words = this.#memory.words, keyWords = this.keyWords, mask = this.#mask, slots = this.#slots, hash = this.hash(key);
    const tag = hash >>> ROW_BITS;
    let slot = hash & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (slots[slot]! >>> ROW_BITS !== tag) continue;
      const row = (slots[slot]! & ROW_MASK) - 1, at = row * this.#stride;
      let i = 0;
      while (i < keyWords && words[at + i] === key[i]) i++;
      if (i === keyWords) return row;
    }
    this.#hash = hash;
    this.#slot = slot;
    return -1;
  }

  /** Hash of the key whose words begin at `at`. */
  hash(words: Uint32Array, at = 0): number {
    const end = at + this.keyWords;
    let hash = this.#seed;
    for (let i = at; i < end; i++) hash = mix(hash, words[i]!);
    return hash;
  }

  /** Reads the slot where `find()` will look for a key of this hash first. */
  touchSlot(hash: number): void {
    this.#touched ^= this.#slots[hash & this.#mask]!;
  }

  /** Reads the row that is in that slot. */
  touchRow(hash: number): void {
    const row = (this.#slots[hash & this.#mask]! & ROW_MASK) - 1;
    if (row < 0) return;
    const words = this.#memory.words, at = row * this.#stride;
    this.#touched ^= words[at]! ^ words[at + LINE_WORDS]! ^ words[at + this.#stride - 1]!;
  }

  /** Reads where that row would keep a port. */
  touchPorts(hash: number, port: number): void {
    const row = (this.#slots[hash & this.#mask]! & ROW_MASK) - 1;
    if (row >= 0) this.#touched ^= this.ports.touch(this.portsAt(row), port);
  }

  /** Makes a row of the key that `find()` has just not found; the table must not be full. */
  insert(key: Uint32Array, due: number): number {
    const words = this.#memory.words;
    const row = this.#free > 0 ? this.#free - 1 : this.#highest++;
    const at = row * this.#stride;
    if (this.#free > 0) this.#free = words[at]!;
    this.#slots[this.#slot] = (this.#hash >>> ROW_BITS) << ROW_BITS | row + 1;
    for (let i = 0; i < this.keyWords; i++) words[at + i] = key[i]!;
    words.fill(0, at + this.#lanes, at + this.#stride);
    this.#due[row] = due;
    this.#count++;
    return row;
  }

  /** Adds an event to a row; false where it fits in no form, so that another row must go on (`detach()`). */
  add(row: number, event: FlowEvent): boolean {
    const memory = this.#memory, w = row * this.#stride + this.#lanes;
    if (isWide(memory, w)) addWide(memory.wide, widePlace(memory, w), event);
    else if (!addNarrow(memory, w, event)) {
      const place = this.#takeWide();
      if (place < 0) return false;
      widen(memory, w, place, event.minute);
      addWide(memory.wide, place, event);
    }
    return true;
  }

  /** Keeps the row until it leaves, but lets another of the same key begin. */
  detach(row: number): void {
    this.#unlink(row);
    detach(this.#memory, this.lanesAt(row));
    this.#detached++;
  }

  get detachedCount(): number {
    return this.#detached;
  }

  /** Reads where the row is found, as it is about to be removed. */
  touchForRemoval(row: number): void {
    this.touchSlot(this.#hashOf(row));
  }

  remove(row: number): void {
    const memory = this.#memory, w = this.lanesAt(row);
    if (isDetached(memory, w)) this.#detached--;
    else this.#unlink(row);
    if (isWide(memory, w)) this.#wideFree.push(widePlace(memory, w));
    this.ports.clear(this.portsAt(row));
    this.#due[row] = UNUSED;
    memory.words[row * this.#stride] = this.#free;
    this.#free = row + 1;
    this.#count--;
  }

  #takeWide(): number {
    const free = this.#wideFree.pop();
    if (free !== undefined) return free;
    return (this.#wideTaken + 1) * VALUE_COUNT > this.#memory.wide.length ? -1 : this.#wideTaken++;
  }

  #hashOf(row: number): number {
    return this.hash(this.#memory.words, row * this.#stride);
  }

  /** Closes the gap in the run of slots behind, so that no probe ends early. */
  #unlink(row: number): void {
    const slots = this.#slots, mask = this.#mask;
    let gap = this.#hashOf(row) & mask;
    while ((slots[gap]! & ROW_MASK) !== row + 1) gap = (gap + 1) & mask;
    for (let slot = (gap + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf((slots[slot]! & ROW_MASK) - 1) & mask;
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      slots[gap] = slots[slot]!;
      gap = slot;
    }
    slots[gap] = 0;
  }
}
