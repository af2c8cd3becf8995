/**
 * Adds flows up by minute, reporting process, role, transport, client address, server address and service port, in memory
 * that is fixed from the start. Where that gets short, keys lose detail step by step; bytes and events are never lost without a count.
 */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { ExpectedFlows } from "./expected_flows.ts";
import {
  bytesOf,
  FOLD_SHIFT,
  hashConversation,
  KeyReader,
  MINUTE_US,
  PORT_SHIFT,
  ROLE_CLIENT,
  ROLE_SERVER,
  ROLE_SHIFT,
  simplify,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
  UDP_SHIFT,
} from "./flow_key.ts";
import { FlowRows, KEY } from "./flow_rows.ts";
import { type FlowEvent, readValue, VALUE, writeIdentity } from "./flow_values.ts";
import { ScanDetector } from "./scan_detector.ts";

export { ROLE_CLIENT, ROLE_SERVER, VALUE };

/** Records that come so many windows after their period ended are counted as late. */
const LATE_WINDOWS = 2;
/** The flush wheel has so many slots a second. */
export const SLOTS_A_SECOND = 4;
/** Agents send what a minute ended with within so many seconds: 5 to spread a fleet's, 1 to send, and 2 to get here. */
const SETTLE_S = 8;

/** Slots over which partitions may take turns. */
const STAGGERS = [16, 8, 4, 2];

/** How a row was folded; `fold_level` of the rows. */
export const FOLD = { none: 0, clientPrefix: 3, scan: 4, anyClient: 5 } as const;

/** Parts of the rows in use from which the next step is taken. */
const PRESSURE = { noBitmaps: 0.7, early: 0.85, prefix: 0.92, anyClient: 0.98 } as const;
/** Bits of an IPv4 and an IPv6 client address that stay. */
const PREFIX_IPV4_MASK = 0xffff_ff00;
const PREFIX_IPV6_WORDS = 2;

/** What was done to stay in the memory. */
export interface TableCounts {
  /** Events that went to a row of their client's /24 or /64. */
  folded_prefix_events: number;
  /** Events of a client with too many targets, to one row of that client. */
  folded_scan_events: number;
  /** Events that went to a row of every client. */
  folded_client_events: number;
  /** Events without the rarer values, as there was no room for them. */
  simplified_events: number;
  /** Events and application bytes that no row had room for. */
  dropped_events: number;
  dropped_bytes: number;
  late_events: number;
}

/** A row is named by a number: those of IPv4 from 0, those of IPv6 from `rowsMax`. */
export class FlowTable {
  readonly rowsMax: number;
  readonly counts: TableCounts = {
    folded_prefix_events: 0,
    folded_scan_events: 0,
    folded_client_events: 0,
    simplified_events: 0,
    dropped_events: 0,
    dropped_bytes: 0,
    late_events: 0,
  };
  /** Slots of the flush wheel in a window. */
  readonly wheelSlots: number;
  /** Time of receiving what is added, in microseconds since 1970 UTC. */
  nowUs = 0;
  /** Whether rows that leave have nowhere to go at present. */
  isBlocked = false;
  readonly #v4: FlowRows;
  readonly #v6: FlowRows;
  readonly #keyReader = new KeyReader();
  readonly #expected: ExpectedFlows;
  readonly #scans = new ScanDetector();
  readonly #lateAfterUs: number;
  readonly #settleSlots: number;
  readonly #partitionCount: number;
  /** Slots after which it is a partition's turn again. */
  readonly #stagger: number;
  readonly #event: FlowEvent = { view: new DataView(new ArrayBuffer(0)), at: 0, isClient: false, identity: 0, isLate: false, minute: 0 };
  readonly #simplified = new DataView(new ArrayBuffer(SKYFALL_FLOW.fixedSize));
  #events = 0;
  #bytes = 0;

  /**
   * @param rowsMax Rows of each address family.
   * @param partitionCount Partitions of the topic that rows leave for: they take turns, so that messages are few and large.
   */
  constructor(rowsMax: number, windowS: number, partitionCount: number) {
    this.rowsMax = rowsMax;
    this.#v4 = new FlowRows(rowsMax, 1);
    this.#v6 = new FlowRows(rowsMax, 4);
    this.#expected = new ExpectedFlows(this.#v4, this.#v6);
    this.wheelSlots = windowS * SLOTS_A_SECOND;
    this.#settleSlots = windowS < MINUTE_US / 1e6 ? 0 : SETTLE_S * SLOTS_A_SECOND;
    this.#partitionCount = partitionCount;
    this.#stagger = STAGGERS.find((slots) => slots <= partitionCount && (this.wheelSlots - this.#settleSlots) % slots === 0) ?? 1;
    this.#lateAfterUs = LATE_WINDOWS * windowS * 1e6;
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return [...this.#v4.buffers, ...this.#v6.buffers];
  }

  /** Rows of IPv4, and of IPv6. */
  get v4(): FlowRows {
    return this.#v4;
  }

  get v6(): FlowRows {
    return this.#v6;
  }

  get rowCount(): number {
    return this.#v4.count + this.#v6.count;
  }

  /** Flow records in the rows that are in the table now. */
  get eventCount(): number {
    return this.#events;
  }

  /** Application bytes in them, of both directions. */
  get byteCount(): number {
    return this.#bytes;
  }

  /** Bytes of memory when all of the table is in use. */
  get bytesMax(): number {
    return this.#v4.bytesMax + this.#v6.bytesMax;
  }

  /** Part of the rows in use, of the fuller family. */
  get use(): number {
    return Math.max(this.#v4.count, this.#v6.count) / this.rowsMax;
  }

  /** Whether rows should leave before their time. */
  get isCrowded(): boolean {
    return this.use >= PRESSURE.early;
  }

  /** Numbers of all rows. */
  *rows(): Generator<number> {
    for (const [rows, first] of this.#families()) {
      for (let row = 0; row < rows.end; row++) if (rows.isUsed(row)) yield first + row;
    }
  }

  /** Appends the rows of one slot of the flush wheel to `out`, but those of two minutes. */
  collectDue(slot: number, exceptMinute: number, exceptOther: number, out: number[]): void {
    const due: number[] = [];
    for (const [rows, first] of this.#families()) {
      due.length = 0;
      rows.collectDue(slot, due);
      for (const row of due) {
        const minute = rows.key(row, KEY.minute);
        if (minute !== exceptMinute && minute !== exceptOther) out.push(first + row);
      }
    }
  }

  #families(): [FlowRows, number][] {
    return [[this.#v4, 0], [this.#v6, this.rowsMax]];
  }

  #rowsOf(row: number): FlowRows {
    return row < this.rowsMax ? this.#v4 : this.#v6;
  }

  #indexOf(row: number): number {
    return row < this.rowsMax ? row : row - this.rowsMax;
  }

  #kind(row: number): number {
    return this.#rowsOf(row).key(this.#indexOf(row), KEY.kind);
  }

  /** Whether two rows are of one conversation and minute, whoever reported them. */
  isSameConversation(a: number, b: number): boolean {
    const rows = this.#rowsOf(a), i = this.#indexOf(a), j = this.#indexOf(b);
    if (rows !== this.#rowsOf(b) || this.serverPort(a) !== this.serverPort(b) || this.transport(a) !== this.transport(b)) return false;
    for (let word: number = KEY.minute; word < rows.keyWords; word++) if (rows.key(i, word) !== rows.key(j, word)) return false;
    return true;
  }

  role(row: number): number {
    return this.#kind(row) >>> ROLE_SHIFT & 3;
  }

  transport(row: number): number {
    return (this.#kind(row) >>> UDP_SHIFT & 1) === 1 ? TRANSPORT_UDP : TRANSPORT_TCP;
  }

  serverPort(row: number): number {
    return this.#kind(row) >>> PORT_SHIFT;
  }

  /** One of `FOLD`. */
  foldLevel(row: number): number {
    return this.#kind(row) >>> FOLD_SHIFT & 7;
  }

  /** Slot of the flush wheel in which the row leaves. */
  dueSlot(row: number): number {
    return this.#rowsOf(row).due(this.#indexOf(row));
  }

  /** Minute since 1970 UTC in which the row's periods begin. */
  minute(row: number): number {
    return this.#rowsOf(row).key(this.#indexOf(row), KEY.minute);
  }

  /** Writes 16 bytes in network order. */
  copyClient(row: number, out: DataView, at: number): void {
    this.#copyAddress(row, KEY.client, out, at);
  }

  copyServer(row: number, out: DataView, at: number): void {
    this.#copyAddress(row, KEY.client + this.#rowsOf(row).addressWords, out, at);
  }

  /** @param place One of `VALUE`. */
  value(row: number, place: number): number {
    const rows = this.#rowsOf(row), index = this.#indexOf(row);
    return readValue(rows.memory, rows.lanesAt(index), place, rows.key(index, KEY.minute));
  }

  /** Rewrites the identity that a row refers to. */
  setIdentity(row: number, identity: number): void {
    const rows = this.#rowsOf(row);
    writeIdentity(rows.memory, rows.lanesAt(this.#indexOf(row)), identity);
  }

  /** Distinct client ports of a row; of a cut one at least as many. */
  portCount(row: number): number {
    return this.#rowsOf(row).ports.count(this.#rowsOf(row).portsAt(this.#indexOf(row)));
  }

  /** Ports that `copyPorts()` would write. */
  storedPortCount(row: number): number {
    return this.#rowsOf(row).ports.storedCount(this.#rowsOf(row).portsAt(this.#indexOf(row)));
  }

  /** Writes the client ports to `out` from `at`, ascending; returns how many. */
  copyPorts(row: number, out: Int32Array, at: number): number {
    return this.#rowsOf(row).ports.copy(this.#rowsOf(row).portsAt(this.#indexOf(row)), out, at);
  }

  /** Makes flows that are about to be added, `ats` and `groups` as of `add()`, quick to add. */
  expect(view: DataView, ats: Int32Array, groups: Uint32Array, count: number): void {
    this.#expected.touch(view, ats, groups, count);
  }

  /** Adds the `skyfall_flow` at `at`, which was checked before, to its row. */
  add(view: DataView, at: number, group: number, identity: number): void {
    const event = this.#event, reader = this.#keyReader, key = reader.read(view, at, group), rows = reader.isV4 ? this.#v4 : this.#v6;
    event.view = view;
    event.at = at;
    event.isClient = reader.isClient;
    event.minute = reader.minute;
    event.identity = identity;
    event.isLate = this.nowUs - reader.endUs > this.#lateAfterUs;
    if (event.isLate) this.counts.late_events++;
    const row = rows.find(key);
    this.#addTo(rows, row >= 0 ? row : this.#open(rows, key), key, reader.clientPort);
  }

  /** Takes rows out of the table. */
  removeAll(rows: Int32Array): void {
    for (let i = 0; i < rows.length; i++) this.#rowsOf(rows[i]!).touchForRemoval(this.#indexOf(rows[i]!));
    for (let i = 0; i < rows.length; i++) this.remove(rows[i]!);
  }

  remove(row: number): void {
    this.#events -= this.value(row, VALUE.event_count);
    this.#bytes -= this.value(row, VALUE.bytes_sent) + this.value(row, VALUE.bytes_received);
    const rows = this.#rowsOf(row);
    rows.remove(this.#indexOf(row));
    if (rows.count < PRESSURE.noBitmaps * this.rowsMax) rows.ports.allowsBitmaps = true;
  }

  #addTo(rows: FlowRows, row: number, key: Uint32Array, clientPort: number): void {
    const event = this.#event;
    const target = row < 0 || rows.add(row, event) ? row : this.#addToAnother(rows, row, key);
    if (target < 0) {
      this.counts.dropped_events++;
      this.counts.dropped_bytes += bytesOf(event.view, event.at);
      return;
    }
    if (clientPort !== 0) rows.ports.add(rows.portsAt(target), clientPort); // 0: an attempt that failed before it had a port
    this.#events++;
    this.#bytes += bytesOf(event.view, event.at);
  }

  /** Where no wide form is left, a second row of the key goes on with what its lanes hold of the event; -1 where there is no row. */
  #addToAnother(rows: FlowRows, row: number, key: Uint32Array): number {
    const event = this.#event;
    simplify(event.view, event.at, this.#simplified);
    this.counts.simplified_events++;
    this.counts.dropped_bytes += bytesOf(event.view, event.at) - bytesOf(this.#simplified, 0);
    event.view = this.#simplified;
    event.at = 0;
    if (rows.add(row, event)) return row;
    if (rows.isFull) return -1;
    rows.detach(row);
    rows.find(key);
    const fresh = rows.insert(key, rows.due(row));
    rows.add(fresh, event);
    return fresh;
  }

  /** A row for a key that has none: its own, or one that stands for more; -1 where none is left. */
  #open(rows: FlowRows, key: Uint32Array): number {
    if (rows.count < PRESSURE.noBitmaps * this.rowsMax) return rows.insert(key, this.#dueSlot(key, rows.addressWords));
    rows.ports.allowsBitmaps = false;
    if (this.#scans.isScan(key, rows.addressWords)) {
      key[KEY.kind] = key[KEY.kind]! & (1 << PORT_SHIFT) - 1;
      key.fill(0, KEY.client + rows.addressWords);
      return this.#fold(rows, key, FOLD.scan, "folded_scan_events");
    }
    const use = rows.count / this.rowsMax;
    if (use >= PRESSURE.anyClient) {
      key.fill(0, KEY.client, KEY.client + rows.addressWords);
      return this.#fold(rows, key, FOLD.anyClient, "folded_client_events");
    }
    if (use < PRESSURE.early || use < PRESSURE.prefix && !this.isBlocked) return rows.insert(key, this.#dueSlot(key, rows.addressWords));
    if (rows.addressWords === 1) key[KEY.client] = key[KEY.client]! & PREFIX_IPV4_MASK;
    else key.fill(0, KEY.client + PREFIX_IPV6_WORDS, KEY.client + rows.addressWords);
    return this.#fold(rows, key, FOLD.clientPrefix, "folded_prefix_events");
  }

  #fold(
    rows: FlowRows,
    key: Uint32Array,
    level: number,
    count: "folded_prefix_events" | "folded_scan_events" | "folded_client_events",
  ): number {
    key[KEY.kind] = key[KEY.kind]! | level << FOLD_SHIFT;
    const row = rows.find(key);
    if (row < 0 && rows.isFull) return -1;
    this.counts[count]++;
    return row >= 0 ? row : rows.insert(key, this.#dueSlot(key, rows.addressWords));
  }

  /** The same for both ends of a conversation, at every collector. */
  #dueSlot(key: Uint32Array, addressWords: number): number {
    const hash = hashConversation(key[KEY.kind]!, key, KEY.client, addressWords);
    const turns = (this.wheelSlots - this.#settleSlots) / this.#stagger, turn = Math.floor(hash / this.#partitionCount) % turns;
    return this.#settleSlots + turn * this.#stagger + hash % this.#partitionCount % this.#stagger;
  }

  #copyAddress(row: number, word: number, out: DataView, at: number): void {
    const rows = this.#rowsOf(row), index = this.#indexOf(row);
    if (rows.addressWords === 1) {
      out.setUint32(at, 0);
      out.setUint32(at + 4, 0);
      out.setUint32(at + 8, 0xffff);
      out.setUint32(at + 12, rows.key(index, word));
    } else for (let i = 0; i < 4; i++) out.setUint32(at + 4 * i, rows.key(index, word + i));
  }
}
