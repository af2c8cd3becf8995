/**
 * The flush wheel: each row leaves in its own second of the window, so that output is even, and as one row for a minute where
 * windows are that long.
 */

import type { FlowTable } from "./aggregate.ts";
import type { IdentityTable } from "./identities.ts";
import { type RowMessage, takeRows } from "./rows.ts";

const MINUTE_S = 60;
/** Agents send what a minute ended with within so many seconds: 5 to spread a fleet's, 1 to send, and 2 to get here. */
const LATE_S = 8;

export interface FlushTarget {
  /** Whether the topic is behind by more than may wait. */
  readonly isBlocked: () => boolean;
  readonly onMessages: (messages: readonly RowMessage[]) => void;
}

export class FlowFlusher {
  readonly #table: FlowTable;
  readonly #identities: IdentityTable;
  readonly #windowS: number;
  readonly #partitionCount: number;
  readonly #target: FlushTarget;
  #lastSecond = Math.floor(Date.now() / 1_000);
  /** Rows, and flow records in them, dropped because the table was full and the topic far behind. */
  givenUpRows = 0;
  givenUpEvents = 0;
  /** Times that rows left before their second because the table was full. */
  earlyFlushes = 0;

  constructor(table: FlowTable, identities: IdentityTable, windowS: number, partitionCount: number, target: FlushTarget) {
    this.#table = table;
    this.#identities = identities;
    this.#windowS = windowS;
    this.#partitionCount = partitionCount;
    this.#target = target;
  }

  /**
   * Flushes the rows whose second has come since the last call; while the topic is behind they stay and go on adding up, and so
   * do those of the minute that is, until their second in the next.
   */
  flushDue(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    const passed = Math.min(second - this.#lastSecond, this.#windowS);
    if (passed <= 0 || this.#target.isBlocked()) return;
    this.#lastSecond = second;
    const first = second - passed + 1;
    const [late, minute] = this.#windowS < MINUTE_S ? [0, null] : [LATE_S, Math.floor(second / MINUTE_S)];
    const due: number[] = [];
    for (let row = 0; row < this.#table.rowsEnd; row++) {
      if (!this.#table.isUsed(row) || this.#table.minute(row) === minute) continue;
      const dueSecond = late + this.#table.dueSecond(row, this.#windowS - late);
      const behind = (dueSecond - first % this.#windowS + this.#windowS) % this.#windowS;
      if (behind < passed) due.push(row);
    }
    this.#flush(due);
  }

  /** Flushes every row, whether due or not. While the topic is behind, the rows are given up, and counted. */
  flushAll(): void {
    const rows: number[] = [];
    for (let row = 0; row < this.#table.rowsEnd; row++) if (this.#table.isUsed(row)) rows.push(row);
    if (this.#table.isFull) this.earlyFlushes++;
    if (this.#table.isFull && this.#target.isBlocked()) this.#giveUp(rows);
    else this.#flush(rows);
  }

  #flush(rows: readonly number[]): void {
    if (rows.length > 0) this.#target.onMessages(takeRows(this.#table, this.#identities, rows, this.#partitionCount));
  }

  #giveUp(rows: readonly number[]): void {
    const events = this.#table.eventCount;
    for (const row of rows) this.#table.remove(row);
    this.givenUpRows += rows.length;
    this.givenUpEvents += events;
  }
}
