/**
 * Checks FlatBuffers that a stranger may have written or the way here may have damaged, before a reader that checks nothing follows
 * their offsets (FlatBuffers, "Internals"). A reference leads forward alone, so there is no way in a circle; bounds on depth and bytes
 * keep many references to one table from costing more than the bytes are worth.
 */

/** Fields of a table by their number. */
export type TableShape = readonly FieldShape[];

/** Number of so many bytes, text, table, vector of tables, vector of items of so many bytes, or table whose shape the field before says. */
export type FieldShape =
  | 1
  | 2
  | 4
  | 8
  | "text"
  | { readonly table: TableShape }
  | { readonly tables: TableShape }
  | { readonly itemBytes: number }
  | { readonly union: Readonly<Record<number, TableShape>> };

/** Items from the byte `at` on. */
export interface Items {
  readonly at: number;
  readonly count: number;
}

const REFERENCE_BYTES = 4;
/** Of a vtable, before its fields: bytes of the vtable, and of a table. */
const VTABLE_HEAD_BYTES = 4;
/** Of a table and of its vtable: readers take what says so for a signed number. */
const TABLE_BYTES_MAX = 0x7fff;
const DEPTH_MAX = 32;
/** How often a byte may be read, on average: a writer may refer twice to one text, but to one only. */
const READS_PER_BYTE_MAX = 4;
const NO_FIELDS: TableShape = [];
const NO_ITEMS: Items = { at: 0, count: 0 };

export class FlatBuffer {
  readonly #what: string;
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;
  #bytesLeft: number;

  /**
   * @param what What is decoded, for errors.
   * @param start Where the FlatBuffer begins in the view.
   */
  constructor(what: string, view: DataView, start: number, end: number) {
    this.#what = what;
    this.#view = view;
    this.#start = start;
    this.#end = end;
    this.#bytesLeft = READS_PER_BYTE_MAX * (end - start);
  }

  /** Place of the root table, after all that it leads to was found within bounds. @throws {SyntaxError} If something is not. */
  check(shape: TableShape): number {
    const root = this.#reference(this.#start);
    this.#checkTable(root, shape, 0);
    return root;
  }

  /** A whole number of a checked table, 0 where it has none. Numbers of 64 bits that a double does not hold are rounded. */
  number(table: number, number: number, bytes: 1 | 2 | 8): number {
    const at = this.#field(table, number);
    if (at === 0) return 0;
    return bytes === 1 ? this.#view.getUint8(at) : bytes === 2 ? this.#view.getInt16(at, true) : readInt64(this.#view, at);
  }

  /** Place of the table that a checked table refers to, 0 where it does not. */
  table(table: number, number: number): number {
    const at = this.#field(table, number);
    return at === 0 ? 0 : this.#reference(at);
  }

  /** Vector of a checked table; its items are references where it is one of tables. */
  items(table: number, number: number): Items {
    const at = this.table(table, number);
    return at === 0 ? NO_ITEMS : { at: at + REFERENCE_BYTES, count: this.#view.getUint32(at, true) };
  }

  /** Places of the tables of a checked vector. */
  tables(table: number, number: number): number[] {
    const { at, count } = this.items(table, number);
    return Array.from({ length: count }, (_, i) => this.#reference(at + i * REFERENCE_BYTES));
  }

  #checkTable(table: number, shape: TableShape, depth: number): void {
    if (depth > DEPTH_MAX) throw this.#error(`tables nested ${depth} deep at byte ${table}, needed at most ${DEPTH_MAX}`);
    this.#assertWithin("table", table, REFERENCE_BYTES);
    const vtable = table - this.#view.getInt32(table, true);
    this.#assertWithin("vtable", vtable, VTABLE_HEAD_BYTES);
    const vtableBytes = this.#view.getUint16(vtable, true), bytes = this.#view.getUint16(vtable + 2, true);
    if (Math.min(vtableBytes, bytes) < REFERENCE_BYTES || Math.max(vtableBytes, bytes) > TABLE_BYTES_MAX) {
      throw this.#error(`table of ${bytes} bytes, vtable of ${vtableBytes}, at byte ${table}, needed 4 to ${TABLE_BYTES_MAX}`);
    }
    this.#assertWithin("vtable", vtable, vtableBytes);
    this.#assertWithin("table", table, bytes);
    this.#spend(bytes);
    const count = Math.min(shape.length, (vtableBytes - VTABLE_HEAD_BYTES) >> 1);
    for (let number = 0; number < count; number++) {
      const offset = this.#view.getUint16(vtable + VTABLE_HEAD_BYTES + 2 * number, true), field = shape[number];
      if (offset === 0 || field === undefined) continue;
      const needed = typeof field === "number" ? field : REFERENCE_BYTES;
      if (offset < REFERENCE_BYTES || offset + needed > bytes) {
        throw this.#error(`field ${number} at ${offset} of a table of ${bytes} bytes at byte ${table}, needed 4 to ${bytes - needed}`);
      }
      if (typeof field !== "number") this.#checkReference(table, number, this.#reference(table + offset), field, depth + 1);
    }
  }

  #checkReference(table: number, number: number, target: number, field: Exclude<FieldShape, number>, depth: number): void {
    if (field === "text") this.#checkVector(target, 1);
    else if ("table" in field) this.#checkTable(target, field.table, depth);
    else if ("itemBytes" in field) this.#checkVector(target, field.itemBytes);
    else if ("union" in field) this.#checkTable(target, field.union[this.number(table, number - 1, 1)] ?? NO_FIELDS, depth);
    else {
      const count = this.#checkVector(target, REFERENCE_BYTES);
      for (let i = 1; i <= count; i++) this.#checkTable(this.#reference(target + i * REFERENCE_BYTES), field.tables, depth);
    }
  }

  /** How many items it has. */
  #checkVector(at: number, itemBytes: number): number {
    this.#assertWithin("vector", at, REFERENCE_BYTES);
    const count = this.#view.getUint32(at, true);
    this.#assertWithin("vector", at, REFERENCE_BYTES + count * itemBytes);
    this.#spend(REFERENCE_BYTES + count * itemBytes);
    return count;
  }

  /** Place of a checked table's field, 0 where it has the default. */
  #field(table: number, number: number): number {
    const vtable = table - this.#view.getInt32(table, true), at = VTABLE_HEAD_BYTES + 2 * number;
    if (at + 2 > this.#view.getUint16(vtable, true)) return 0;
    const offset = this.#view.getUint16(vtable + at, true);
    return offset === 0 ? 0 : table + offset;
  }

  /** Where it leads: onwards, to at least a number of 32 bits. */
  #reference(at: number): number {
    this.#assertWithin("reference", at, REFERENCE_BYTES);
    const offset = this.#view.getUint32(at, true);
    if (offset >= REFERENCE_BYTES && at + offset + REFERENCE_BYTES <= this.#end) return at + offset;
    throw this.#error(`reference at byte ${at} to ${offset} on, needed 4 to ${this.#end - at - REFERENCE_BYTES}`);
  }

  #assertWithin(what: string, at: number, bytes: number): void {
    if (at >= this.#start && at + bytes <= this.#end) return;
    throw this.#error(`${what} at bytes ${at} to ${at + bytes}, needed within ${this.#start} to ${this.#end}`);
  }

  #spend(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft >= 0) return;
    const length = this.#end - this.#start;
    throw this.#error(`${length} bytes lead to more than ${READS_PER_BYTE_MAX * length}, needed at most so many`);
  }

  #error(text: string): SyntaxError {
    return new SyntaxError(`Cannot decode ${this.#what}: ${text}`);
  }
}

/** A number of 64 bits, rounded where a double does not hold it. */
export function readInt64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
