/**
 * One topic partition on its way to edges: messages in, and out what minutes tell when they close. What it does depends on the
 * messages alone, but for the limit on clocks that run ahead, and for a close of an idle partition: both are settled when what they
 * told is committed, as the state is in the same commit.
 */

import type { FlowBatch } from "../../lib/flow_batch.ts";
import { Conversations } from "./conversations.ts";
import type { EdgeTable } from "./edge_table.ts";
import { measureColumns } from "./measures.ts";
import { type MinuteRows, readRows } from "./message_rows.ts";
import { Names } from "./names.ts";
import { Window } from "./window.ts";

/** A closed minute is kept for so many, so that what comes late for it is held against what came in time. */
export const HELD_MINUTES = 2;
/** A message of later than this by our clock does not close what is before it. */
const AHEAD_MINUTES_MAX = 5;
/** Late rows wait for so many messages at most. */
const LATE_MESSAGES_MAX = 256;
/** Rows that a restart reads again at most. */
const ROWS_READ_AGAIN_MAX = 16_000_000;
const NAMES_MAX = 1_000_000;
/** What is kept of minutes that are over: of so many, with room for so many times the views that are expected. */
const SPARE_MAX = 2, SPARE_ROOM = 4;

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
  /** Of minutes that are over, for others to come. */
  #spare: Conversations[] = [];

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
    const rows = readRows(batch, this.#names), columns = measureColumns(batch);
    const leastMinute = isRestoring ? this.#state.closedBefore - HELD_MINUTES : -Infinity;
    for (const { minute, rows: some } of rows.minutes) {
      if (minute >= leastMinute) this.#window(minute, offset).conversations.add(rows, columns, some);
    }
    this.#rows += batch.rowCount;
    if (isRestoring) return [];
    const time = medianOf(rows.minutes, batch.rowCount);
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
    this.#spare = [];
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
    for (const { minute, conversations } of [...this.#windows.values()]) {
      if (minute >= closedBefore - HELD_MINUTES) continue;
      this.#windows.delete(minute);
      this.#keep(conversations);
    }
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

  /** Keeps what has memory for as many views as a minute may bring, but not for many more. */
  #keep(conversations: Conversations): void {
    const { viewRoom } = conversations, most = SPARE_ROOM * this.#expectedViews;
    if (this.#spare.length >= SPARE_MAX || viewRoom < this.#expectedViews || viewRoom > most) return;
    conversations.clear();
    this.#spare.push(conversations);
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
      const conversations = isOfNow ? this.#spare.pop() : undefined;
      window = new Window(
        minute,
        offset,
        this.#rows,
        conversations ?? new Conversations(this.#names, isOfNow ? this.#expectedViews : 0),
      );
      this.#windows.set(minute, window);
    }
    window.isChanged = true;
    return window;
  }
}

/** The minute that half of the rows are of or after it: a few wrong clocks among them do not move it. */
function medianOf(minutes: readonly MinuteRows[], rowCount: number): number {
  const descending = minutes.toSorted((a, b) => b.minute - a.minute);
  let rows = 0;
  for (const { minute, rows: some } of descending) if ((rows += some.length) * 2 >= rowCount) return minute;
  return -Infinity;
}
