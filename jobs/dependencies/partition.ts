/**
 * One topic partition on its way to edges: messages in, and out what minutes tell when they close. What it does depends on the
 * messages alone, but for the limit on clocks that run ahead, and for a close of an idle partition: both are settled when what they
 * told is committed, as the state is in the same commit.
 */

import type { FlowBatch, TextColumn } from "../../lib/flow_batch.ts";
import { CLIENT, CONVERSATION_WORDS, ESTIMATE, PORT_WORD, SERVER, TRANSPORT_WORD } from "./conversations.ts";
import type { EdgeTable } from "./edge_table.ts";
import {
  AMOUNT_MAX,
  CONNECT_MAX,
  FLOW_ROWS,
  type MeasureColumns,
  measureColumns,
  MEASURES,
  nullableAt,
  SRTT_MAX,
  SRTT_MIN,
} from "./measures.ts";
import { Names } from "./names.ts";
import { Window } from "./window.ts";

export const MINUTE_US = 60_000_000;
/** A closed minute is kept for so many, so that what comes late for it is held against what came in time. */
export const HELD_MINUTES = 2;
/** A message of later than this by our clock does not close what is before it. */
const AHEAD_MINUTES_MAX = 5;
/** Late rows wait for so many messages at most. */
const LATE_MESSAGES_MAX = 256;
/** Rows that a restart reads again at most. */
const ROWS_READ_AGAIN_MAX = 16_000_000;
const NAMES_MAX = 1_000_000;

/** Where a partition is: what a commit says, and all that a restart needs. */
export interface PartitionState {
  /** Everything before this offset is told, or in a minute that is not closed. */
  readonly offset: bigint;
  /** Rows from this offset on are needed to go on. */
  readonly readFrom: bigint;
  /** Minutes since 1970 before this one are closed. */
  readonly closedBefore: number;
}

/** What one minute has to tell. */
export interface Told {
  readonly minute: number;
  /** 0 where the minute closed, else `offsetTo`. */
  readonly revision: bigint;
  readonly offsetFrom: bigint;
  readonly offsetTo: bigint;
  readonly edges: EdgeTable;
}

/** Of a partition that was never read. */
export function firstState(begin: bigint): PartitionState {
  return { offset: begin, readFrom: begin, closedBefore: 0 };
}

export class Partition {
  readonly #latenessMinutes: number;
  #state: PartitionState;
  #names = new Names();
  readonly #windows = new Map<number, Window>();
  #next: bigint;
  /** Greatest time of a message, in minutes. */
  #clock = -Infinity;
  #rows = 0;
  #messagesSinceTold = 0;
  #isRestored = false;
  /** As many as minutes had before, so that the next ones seldom have to grow. */
  #expectedViews = 0;
  readonly #key = new Uint32Array(CONVERSATION_WORDS);

  /** @param state As the last commit has it; its messages from `readFrom` on must be taken again. */
  constructor(latenessMinutes: number, state: PartitionState) {
    this.#latenessMinutes = latenessMinutes;
    this.#state = state;
    this.#next = state.readFrom;
  }

  /** Offset of the next message to take. */
  get next(): bigint {
    return this.#next;
  }

  /** As of the last time that it told something. */
  get state(): PartitionState {
    return this.#state;
  }

  get viewCount(): number {
    let views = 0;
    for (const { conversations } of this.#windows.values()) views += conversations.viewCount;
    return views;
  }

  /** Goes on behind messages that are given up; only before the first message is taken. */
  skip(to: bigint): void {
    const { offset, closedBefore } = this.#state;
    this.#state = { offset: offset < to ? to : offset, readFrom: to, closedBefore };
    this.#next = to;
  }

  /**
   * Takes in a message, and tells what is due.
   *
   * @param batch Null for a message that gives no rows.
   * @param nowMinute Minutes since 1970 by our clock.
   */
  take(offset: bigint, batch: FlowBatch | null, nowMinute: number): readonly Told[] {
    const isRestoring = offset < this.#state.offset;
    if (!isRestoring) this.#restored();
    this.#next = offset + 1n;
    if (batch === null) return [];
    const minutes = minutesOf(batch);
    const leastMinute = isRestoring ? this.#state.closedBefore - HELD_MINUTES : -Infinity;
    this.#takeRows(offset, batch, minutes, leastMinute);
    this.#rows += batch.rowCount;
    if (isRestoring) return [];
    const time = medianOf(minutes);
    if (time <= nowMinute + AHEAD_MINUTES_MAX) this.#clock = Math.max(this.#clock, time);
    this.#messagesSinceTold++;
    if (this.#clock - this.#latenessMinutes > this.#state.closedBefore) return this.#tell(this.#clock - this.#latenessMinutes);
    if (this.#names.count > NAMES_MAX || this.#rows - this.#oldestRow() > ROWS_READ_AGAIN_MAX) return this.letGo();
    if (this.#messagesSinceTold >= LATE_MESSAGES_MAX) return this.#tell(this.#state.closedBefore);
    return [];
  }

  /** Closes the minutes that a message of now would close: nothing comes, or nothing for this partition. */
  closeIdle(nowMinute: number): readonly Told[] {
    this.#restored();
    const closedBefore = Math.max(nowMinute - this.#latenessMinutes, this.#state.closedBefore);
    const isDue = this.#windows.values().some(({ isChanged, minute }) => isChanged && minute < closedBefore);
    return isDue ? this.#tell(closedBefore) : [];
  }

  /** Tells everything, also of minutes that are not closed, and keeps nothing: what comes for them later stands by itself. */
  letGo(): readonly Told[] {
    const told = [...this.#tell(this.#state.closedBefore), ...this.#tellChanged(Infinity, Infinity)];
    this.#windows.clear();
    this.#names = new Names();
    this.#state = { ...this.#state, readFrom: this.#next };
    return told;
  }

  /** What was told of before needs not be told again. */
  #restored(): void {
    if (this.#isRestored) return;
    this.#isRestored = true;
    for (const window of this.#windows.values()) if (window.minute < this.#state.closedBefore) window.tell();
    if (this.#next < this.#state.offset) this.#next = this.#state.offset;
  }

  #tell(closedBefore: number): Told[] {
    const told = this.#tellChanged(closedBefore, this.#state.closedBefore);
    for (const minute of [...this.#windows.keys()]) if (minute < closedBefore - HELD_MINUTES) this.#windows.delete(minute);
    let readFrom = this.#next;
    for (const { from } of this.#windows.values()) if (from < readFrom) readFrom = from;
    this.#state = { offset: this.#next, readFrom, closedBefore };
    this.#messagesSinceTold = 0;
    return told;
  }

  /** @param openFrom Minutes from this one on close now. */
  #tellChanged(before: number, openFrom: number): Told[] {
    const due = [...this.#windows.values()].filter(({ isChanged, minute }) => isChanged && minute < before).sort((a, b) =>
      a.minute - b.minute
    );
    for (const { minute, conversations } of due) {
      if (minute >= openFrom) this.#expectedViews = Math.max(conversations.viewCount, this.#expectedViews >> 1);
    }
    return due.map((window) => ({
      minute: window.minute,
      revision: window.minute >= openFrom ? 0n : this.#next,
      offsetFrom: window.from,
      offsetTo: this.#next,
      edges: window.tell(),
    }));
  }

  #oldestRow(): number {
    let oldest = this.#rows;
    for (const { rowsBefore } of this.#windows.values()) oldest = Math.min(oldest, rowsBefore);
    return oldest;
  }

  #window(minute: number, offset: bigint): Window {
    let window = this.#windows.get(minute);
    if (window === undefined) {
      const isOfNow = minute >= this.#state.closedBefore && minute <= this.#clock + 1; // not one of a few stray rows
      window = new Window(minute, offset, this.#rows, this.#names, isOfNow ? this.#expectedViews : 0);
      this.#windows.set(minute, window);
    }
    window.isChanged = true;
    return window;
  }

  #takeRows(offset: bigint, batch: FlowBatch, minutes: Float64Array, leastMinute: number): void {
    const { columns } = batch, key = this.#key, measures = measureColumns(batch);
    const clients = wordsOf(columns.client_ip.bytes), servers = wordsOf(columns.server_ip.bytes), ports = columns.server_port.values;
    const transports = this.#numbersOf(columns.network_transport), estimators = this.#estimatorsOf(batch), seenBy = seenByOf(batch);
    const clientNames = this.#numbersOf(columns.client_service_name), serverNames = this.#numbersOf(columns.server_service_name);
    let window: Window | null = null;
    for (let row = 0; row < batch.rowCount; row++) {
      const minute = minutes[row]!;
      if (minute < leastMinute) continue;
      if (window === null || window.minute !== minute) window = this.#window(minute, offset);
      for (let i = 0; i < 4; i++) {
        key[i] = clients[4 * row + i]!;
        key[4 + i] = servers[4 * row + i]!;
      }
      key[PORT_WORD] = ports[row]!;
      key[TRANSPORT_WORD] = transports[row]!;
      const view = window.conversations.view(key, seenBy[row]!, estimators[row]!, clientNames[row]!, serverNames[row]!);
      addRow(window, view, measures, row);
    }
  }

  #numbersOf({ codes, dictionary }: TextColumn): Int32Array {
    const numbers = dictionary.map((text) => this.#names.number(text)), byRow = new Int32Array(codes.length);
    for (let row = 0; row < codes.length; row++) byRow[row] = codes[row]! < 0 ? 0 : numbers[codes[row]!]!;
    return byRow;
  }

  /** Number of another sFlow agent's address by row, 0 for our own. */
  #estimatorsOf({ columns: { flow_source, observer_address } }: FlowBatch): Int32Array {
    const isEstimate = flow_source.dictionary.map((source) => source === "sflow");
    if (!isEstimate.includes(true)) return new Int32Array(flow_source.codes.length);
    return this.#numbersOf(observer_address).map((number, row) => isEstimate[flow_source.codes[row]!] ? number : 0);
  }
}

function seenByOf({ columns: { flow_source, observer_role } }: FlowBatch): Uint8Array {
  const roles = observer_role.dictionary.map((role) => role === "server" ? SERVER : CLIENT);
  const isEstimate = flow_source.dictionary.map((source) => source === "sflow"), seenBy = new Uint8Array(flow_source.codes.length);
  for (let row = 0; row < seenBy.length; row++) {
    seenBy[row] = isEstimate[flow_source.codes[row]!] ? ESTIMATE : roles[observer_role.codes[row]!]!;
  }
  return seenBy;
}

/** Minutes since 1970 that the rows are of. */
function minutesOf({ rowCount, columns: { window_start: { values } } }: FlowBatch): Float64Array {
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * rowCount);
  const minutes = new Float64Array(rowCount);
  for (let i = 0; i < rowCount; i++) minutes[i] = Math.floor((halves[2 * i + 1]! * 2 ** 32 + (halves[2 * i]! >>> 0)) / MINUTE_US);
  return minutes;
}

/** The minute that half of the rows are of or after it: a few wrong clocks among them do not move it. */
function medianOf(minutes: Float64Array): number {
  const counts = new Map<number, number>();
  for (const minute of minutes) counts.set(minute, (counts.get(minute) ?? 0) + 1);
  const descending = [...counts].sort(([a], [b]) => b - a);
  let rows = 0;
  for (const [minute, count] of descending) if ((rows += count) * 2 >= minutes.length) return minute;
  return -Infinity;
}

function addRow(window: Window, view: number, columns: MeasureColumns, row: number): void {
  const { measures: { values }, histograms } = window.conversations, { places, words } = columns, at = view * MEASURES;
  for (let i = 0; i < places.length; i++) {
    const halves = words[i]!, low = halves[2 * row]!, high = halves[2 * row + 1]!;
    if ((low | high) !== 0) values[at + places[i]!]! += numberOf(low, high);
  }
  values[at + FLOW_ROWS]! += 1;
  const smallest = nullableAt(columns.smallest, row),
    greatest = nullableAt(columns.greatest, row),
    slowest = nullableAt(columns.slowest, row);
  if (smallest !== null && smallest < values[at + SRTT_MIN]!) values[at + SRTT_MIN] = smallest;
  if (greatest !== null && greatest > values[at + SRTT_MAX]!) values[at + SRTT_MAX] = greatest;
  if (slowest !== null && slowest > values[at + CONNECT_MAX]!) values[at + CONNECT_MAX] = slowest;
  const { srttSums, srttSamples } = columns, samples = Math.min(numberOf(srttSamples[2 * row]!, srttSamples[2 * row + 1]!), AMOUNT_MAX);
  if (samples === 0) return;
  const sum = Math.min(numberOf(srttSums[2 * row]!, srttSums[2 * row + 1]!), AMOUNT_MAX);
  histograms.addSamples(view, sum, samples, smallest, greatest);
}

/** Of the halves of 64 bits, without a bigint. */
function numberOf(low: number, high: number): number {
  return high * 2 ** 32 + (low >>> 0);
}

/** Words of addresses, as they lie. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}
