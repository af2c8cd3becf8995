/** Service edges of one minute: what conversations between the same ends add up to. */

import { formatAddress } from "../../lib/ip_address.ts";
import { Histograms } from "./histograms.ts";
import { hashOf, KEY_STRIDE, KEY_WORDS, KeyTable } from "./key_table.ts";
import { AMOUNT_MAX, CONNECT_MAX, MEASURES, Measures, SRTT_MAX, SRTT_MIN, SUMS } from "./measures.ts";
import type { Names } from "./names.ts";

/** Words of an edge's key: client and server, each a name or an address; port; transport and which of them are names. */
const SERVER_AT = 4, PORT_WORD = 8, KIND_WORD = 9;
const SERVER_NAMED = 1, CLIENT_NAMED = 2, TRANSPORT_SHIFT = 2;

/** One end: its service, or its address where that is not known; the other is empty. */
export interface EdgeEnd {
  readonly service: string;
  readonly address: string;
}

export interface EdgeKey {
  readonly transport: string;
  readonly client: EdgeEnd;
  readonly server: EdgeEnd;
  readonly port: number;
}

export class EdgeTable {
  readonly #names: Names;
  readonly #table: KeyTable;
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly measures: Measures;
  readonly histograms = new Histograms();

  /** @param expected How many edges there may be; more are taken too. */
  constructor(names: Names, expected: number) {
    this.#names = names;
    this.#table = new KeyTable(expected);
    this.measures = new Measures(Math.max(expected, 1));
  }

  get count(): number {
    return this.#table.count;
  }

  /**
   * Edge of a conversation.
   *
   * @param keys Where its key is, from `place` on: client, server, port, number of the transport.
   * @param client Number of the client's name, 0 where it has none; so `server`.
   */
  add(keys: Uint32Array, place: number, client: number, server: number): number {
    const key = this.#key;
    for (let i = 0; i < SERVER_AT; i++) {
      key[i] = client === 0 ? keys[place + i]! : 0;
      key[SERVER_AT + i] = server === 0 ? keys[place + SERVER_AT + i]! : 0;
    }
    if (client !== 0) key[0] = client;
    if (server !== 0) key[SERVER_AT] = server;
    key[PORT_WORD] = keys[place + PORT_WORD]!;
    key[KIND_WORD] = keys[place + KIND_WORD]! << TRANSPORT_SHIFT | (client === 0 ? 0 : CLIENT_NAMED) | (server === 0 ? 0 : SERVER_NAMED);
    return this.#addKey(key, 0);
  }

  #addKey(keys: Uint32Array, place: number): number {
    const before = this.#table.count, edge = this.#table.add(keys, place, hashOf(keys, place));
    if (edge === before) this.measures.begin(edge);
    return edge;
  }

  /** Takes amounts that are too great to be exact for the greatest that is. */
  limit(): void {
    this.histograms.limit(AMOUNT_MAX);
    const { values } = this.measures;
    for (let edge = 0; edge < this.count; edge++) {
      for (let i = edge * MEASURES + SUMS; i < (edge + 1) * MEASURES; i++) if (values[i]! > AMOUNT_MAX) values[i] = AMOUNT_MAX;
    }
  }

  /** What changes from an earlier state of the same edges to this one: sums as differences, all else as it is now. */
  changesSince(earlier: EdgeTable): EdgeTable {
    const changes = new EdgeTable(this.#names, this.count);
    this.#addTo(changes, 1);
    earlier.#addTo(changes, -1);
    return changes;
  }

  #addTo(changes: EdgeTable, factor: 1 | -1): void {
    const from = this.measures.values;
    for (let edge = 0; edge < this.count; edge++) {
      const change = changes.#addKey(this.#table.keys, edge * KEY_STRIDE);
      const to = changes.measures.values, at = change * MEASURES;
      for (let i = SUMS; i < MEASURES; i++) to[at + i]! += factor * from[edge * MEASURES + i]!;
      if (factor === 1) { for (let i = 0; i < SUMS; i++) to[at + i] = from[edge * MEASURES + i]!; }
      changes.histograms.addAll(change, this.histograms, edge, factor);
    }
  }

  /** Whether no sum of the edge is other than 0. */
  isNothing(edge: number): boolean {
    const { values } = this.measures;
    for (let i = edge * MEASURES + SUMS; i < (edge + 1) * MEASURES; i++) if (values[i] !== 0) return false;
    let isNothing = true;
    this.histograms.each(edge, (_, count) => isNothing &&= count === 0);
    return isNothing;
  }

  #keyOf(edge: number): Uint32Array {
    return this.#table.keys.subarray(edge * KEY_STRIDE, edge * KEY_STRIDE + KEY_WORDS);
  }

  key(edge: number): EdgeKey {
    const key = this.#keyOf(edge), kind = key[KIND_WORD]!;
    return {
      transport: this.#names.text(kind >>> TRANSPORT_SHIFT),
      client: this.#end(key, 0, (kind & CLIENT_NAMED) !== 0),
      server: this.#end(key, SERVER_AT, (kind & SERVER_NAMED) !== 0),
      port: key[PORT_WORD]! | 0,
    };
  }

  #end(key: Uint32Array, at: number, isNamed: boolean): EdgeEnd {
    if (isNamed) return { service: this.#names.text(key[at]!), address: "" };
    const bytes = new Uint8Array(16);
    bytes.set(new Uint8Array(key.buffer, key.byteOffset + 4 * at, 16)); // words are as they lay in the message
    return { service: "", address: formatAddress(bytes) };
  }

  /** Smallest and greatest round-trip time and slowest connect, null where there is none. */
  bounds(edge: number): { readonly smallest: number | null; readonly greatest: number | null; readonly slowest: number | null } {
    const at = edge * MEASURES, { values } = this.measures;
    const orNull = (value: number) => Number.isFinite(value) && value >= 0 ? value : null;
    return {
      smallest: orNull(values[at + SRTT_MIN]!),
      greatest: orNull(values[at + SRTT_MAX]!),
      slowest: orNull(values[at + CONNECT_MAX]!),
    };
  }
}
