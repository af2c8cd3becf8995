/** Reads many rows at once, value by value, so that what a value is and where it lies is looked at once for all of them. */

import type { FlowTable } from "./aggregate.ts";
import { FOLD_SHIFT, hashConversation, PORT_SHIFT, ROLE_SHIFT, UDP_SHIFT } from "./flow_key.ts";
import { type FlowRows, KEY } from "./flow_rows.ts";
import { isWide, LANE_HALF, LANES, readValue, type RowMemory, VALUE, VALUE_COUNT, widePlace } from "./flow_values.ts";
import { Scratch } from "./scratch.ts";

const INT32_MAX = 0x7fff_ffff;
const WORD = 4_294_967_296;
const ADDRESS_BYTES = 16;

/** Those of the rows that are of one address family. */
interface Run {
  readonly rows: FlowRows;
  readonly memory: RowMemory;
  /** Index of its first row among all. */
  readonly first: number;
  /** Numbers of the rows in their family. */
  readonly indexes: Int32Array;
  /** Words where keys and values begin. */
  readonly keys: Int32Array;
  readonly lanes: Int32Array;
  /** Where the wide form begins; -1 where there is none. */
  readonly wides: Int32Array;
}

/** Columns of some rows of a table, as long as none of them changes. */
export class RowColumns {
  readonly rowCount: number;
  /** The word of the key with role, transport, fold and port (flow_key.ts). */
  readonly kinds: Uint32Array;
  /** Identity that the row refers to. */
  readonly identities: Int32Array;
  readonly #runs: readonly Run[];
  readonly #scratch: Scratch;

  /**
   * @param rows Numbers in ascending order.
   * @param scratch Where the columns are made.
   */
  constructor(table: FlowTable, rows: Int32Array, scratch = new Scratch()) {
    this.rowCount = rows.length;
    this.#scratch = scratch;
    const split = lowerBound(rows, table.rowsMax);
    this.#runs = [
      runOf(table.v4, rows.subarray(0, split), 0, scratch),
      runOf(table.v6, rows.subarray(split).map((row) => row - table.rowsMax), split, scratch),
    ].filter(({ indexes }) => indexes.length > 0);
    this.kinds = new Uint32Array(rows.length);
    for (const { memory: { words }, keys, first } of this.#runs) {
      for (let i = 0; i < keys.length; i++) this.kinds[first + i] = words[keys[i]! + KEY.kind]!;
    }
    this.identities = this.integers(VALUE.identity);
  }

  role(i: number): number {
    return this.kinds[i]! >>> ROLE_SHIFT & 3;
  }

  isUdp(i: number): boolean {
    return (this.kinds[i]! >>> UDP_SHIFT & 1) === 1;
  }

  serverPort(i: number): number {
    return this.kinds[i]! >>> PORT_SHIFT;
  }

  foldLevel(i: number): number {
    return this.kinds[i]! >>> FOLD_SHIFT & 7;
  }

  /** What both ends of a conversation agree on, and every collector computes alike. */
  conversationHashes(): Uint32Array {
    const hashes = new Uint32Array(this.rowCount);
    for (const { rows, memory: { words }, keys, first } of this.#runs) {
      for (let i = 0; i < keys.length; i++) {
        hashes[first + i] = hashConversation(words[keys[i]! + KEY.kind]!, words, keys[i]! + KEY.client, rows.addressWords);
      }
    }
    return hashes;
  }

  /** @param place One of `VALUE`, of whole numbers to 2^53. */
  bigints(place: number): BigInt64Array {
    const halves = this.#halves(place);
    return new BigInt64Array(halves.buffer, halves.byteOffset, this.rowCount);
  }

  /** @param place One of `VALUE` whose numbers are below 2^31. */
  integers(place: number): Int32Array {
    const values = this.#scratch.int32s(this.rowCount);
    for (const run of this.#runs) copyWords(run, place, new Uint32Array(values.buffer, values.byteOffset + 4 * run.first), 1);
    return values;
  }

  /** @param place One of `VALUE`. */
  numbers(place: number): Float64Array {
    const values = this.#scratch.float64s(this.rowCount), halves = this.#halves(place);
    for (let i = 0; i < values.length; i++) values[i] = halves[2 * i]! + WORD * halves[2 * i + 1]!;
    return values;
  }

  /** Greatest or smallest of what was measured: 0 is no measurement, and what is above 2^31 - 1 is written as that. */
  gauges(place: number): { readonly values: Int32Array; readonly valid: Uint8Array } {
    const halves = this.#halves(place), values = this.#scratch.int32s(this.rowCount), valid = this.#scratch.bytes(this.rowCount);
    for (let i = 0; i < values.length; i++) {
      values[i] = halves[2 * i + 1]! > 0 ? INT32_MAX : Math.min(halves[2 * i]!, INT32_MAX);
      if (values[i] !== 0) valid[i] = 1;
    }
    return { values, valid };
  }

  /** A value as pairs of words. */
  #halves(place: number): Uint32Array<ArrayBuffer> {
    const halves = this.#scratch.words(this.rowCount);
    for (const run of this.#runs) copyWords(run, place, halves.subarray(2 * run.first), 2);
    return halves;
  }

  clientAddresses(): Uint8Array {
    return this.#addresses(0);
  }

  serverAddresses(): Uint8Array {
    return this.#addresses(1);
  }

  /** 16 bytes each, in network order. */
  #addresses(end: 0 | 1): Uint8Array {
    const bytes = this.#scratch.bytes(ADDRESS_BYTES * this.rowCount);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const { rows: { addressWords }, memory: { words }, keys, first } of this.#runs) {
      for (let i = 0; i < keys.length; i++) {
        const from = keys[i]! + KEY.client + end * addressWords, to = ADDRESS_BYTES * (first + i);
        if (addressWords === 1) {
          view.setUint32(to + 8, 0xffff);
          view.setUint32(to + 12, words[from]!);
        } else for (let word = 0; word < 4; word++) view.setUint32(to + 4 * word, words[from + word]!);
      }
    }
    return bytes;
  }

  /** Distinct client ports; of a cut set at least as many. */
  portCounts(): Int32Array {
    const counts = this.#scratch.int32s(this.rowCount);
    for (const { rows, indexes, first } of this.#runs) {
      for (let i = 0; i < indexes.length; i++) counts[first + i] = rows.ports.count(rows.portsAt(indexes[i]!));
    }
    return counts;
  }

  /** The client ports that are stored, ascending; those of row i from `offsets[i]` to before `offsets[i + 1]`. */
  ports(): { readonly offsets: Int32Array; readonly values: Int32Array } {
    const offsets = this.#scratch.int32s(this.rowCount + 1);
    for (const { rows, indexes, first } of this.#runs) {
      for (let i = 0; i < indexes.length; i++) {
        offsets[first + i + 1] = offsets[first + i]! + rows.ports.storedCount(rows.portsAt(indexes[i]!));
      }
    }
    const values = this.#scratch.int32s(offsets[this.rowCount]!);
    for (const { rows, indexes, first } of this.#runs) {
      for (let i = 0; i < indexes.length; i++) rows.ports.copy(rows.portsAt(indexes[i]!), values, offsets[first + i]!);
    }
    return { offsets, values };
  }
}

function runOf(rows: FlowRows, indexes: Int32Array, first: number, scratch: Scratch): Run {
  const memory = rows.memory, keys = scratch.int32s(indexes.length), lanes = scratch.int32s(indexes.length);
  const wides = scratch.int32s(indexes.length).fill(-1);
  for (let i = 0; i < indexes.length; i++) {
    lanes[i] = rows.lanesAt(indexes[i]!);
    keys[i] = lanes[i]! - rows.keyWords;
    if (isWide(memory, lanes[i]!)) wides[i] = widePlace(memory, lanes[i]!) * VALUE_COUNT;
  }
  return { rows, memory, first, indexes, keys, lanes, wides };
}

/** Writes a value of each row as `width` words, the lower first. */
function copyWords({ memory, keys, lanes, wides }: Run, place: number, out: Uint32Array, width: 1 | 2): void {
  const lane = LANES[place]!, { words, halves, wide } = memory;
  for (let i = 0; i < lanes.length; i++) {
    const w = lanes[i]!;
    if (wides[i]! < 0 && lane >= 0) {
      out[width * i] = lane >= LANE_HALF ? halves[2 * w + lane - LANE_HALF]! : words[w + lane]!;
      continue;
    }
    const value = wides[i]! < 0 ? readValue(memory, w, place, words[keys[i]! + KEY.minute]!) : wide[wides[i]! + place]!;
    out[width * i] = value; // modulo 2^32
    if (width === 2) out[width * i + 1] = value / WORD;
  }
}

/** How many of the numbers, which ascend, are below a bound. */
function lowerBound(numbers: Int32Array, bound: number): number {
  let from = 0, to = numbers.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (numbers[middle]! < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}
