/**
 * The flush wheel: each row leaves in its own quarter of a second of the window, so that output is even, and as one row for a
 * minute where windows are that long. Both ends of a conversation leave together.
 */

import type { AgentLoss } from "../lib/agent_loss.ts";
import { type FlowTable, SLOTS_A_SECOND, VALUE } from "./aggregate.ts";
import type { MessageFormat } from "./config.ts";
import type { IdentityTable } from "./identities.ts";
import { LastFlushes } from "./last_flushes.ts";
import { NO_PAIRS, type PairCounts, pairEnds } from "./pair_ends.ts";
import { type RowMessage, RowMessages } from "./rows.ts";

const MINUTE_S = 60;
const NO_MINUTE = -1;
/** From a crowded table the rows of one more slot leave each time, so all of them in a fifth of the window. */
const AHEAD_PAUSE_MS = 1_000 / SLOTS_A_SECOND / 4;

export interface FlushTarget {
  /** Whether the topic is behind by more than may wait. */
  readonly isBlocked: () => boolean;
  readonly format: MessageFormat;
  /** What was lost and is not told yet; of the last messages everything. */
  readonly takeLosses: (nowMs: number, isLast: boolean) => readonly AgentLoss[];
  readonly onMessages: (messages: readonly RowMessage[]) => void;
}

export class FlowFlusher {
  readonly #table: FlowTable;
  readonly #identities: IdentityTable;
  readonly #windowS: number;
  readonly #target: FlushTarget;
  readonly #rowMessages: RowMessages;
  #lastSlot = Math.floor(Date.now() * SLOTS_A_SECOND / 1_000);
  /** Slots after the last one whose rows have left before their time. */
  #ahead = 0;
  #nextAheadMs = 0;
  readonly pairs: PairCounts = { ...NO_PAIRS };
  readonly lastFlushes = new LastFlushes();
  /** Rows that left before their time, as the table was getting full. */
  earlyRows = 0;
  /** Times that identities were forgotten. */
  identityRounds = 0;

  constructor(table: FlowTable, identities: IdentityTable, windowS: number, partitionCount: number, target: FlushTarget) {
    this.#table = table;
    this.#identities = identities;
    this.#windowS = windowS;
    this.#target = target;
    this.#rowMessages = new RowMessages(table, identities, partitionCount, target.format);
  }

  /**
   * Flushes the rows whose slot has come since the last call; while the topic is behind they stay and go on adding up, and so
   * do those of the minute that is, until their slot in the next. From a crowded table rows leave before their time, but never so
   * fast that receiving would suffer: what comes faster is folded.
   */
  flushDue(nowMs: number): void {
    const table = this.#table, slot = Math.floor(nowMs * SLOTS_A_SECOND / 1_000);
    table.isBlocked = this.#target.isBlocked();
    if (table.isBlocked) return;
    const passed = Math.min(slot - this.#lastSlot, table.wheelSlots);
    if (passed > 0) {
      this.#lastSlot = slot;
      this.#ahead = Math.max(0, this.#ahead - passed);
      const due: number[] = [];
      for (let i = slot - passed + 1; i <= slot; i++) {
        table.collectDue(i % table.wheelSlots, this.#openMinute(i), this.#openMinute(slot), due);
      }
      this.#flush(due, (slot - passed + 1) * 1_000 / SLOTS_A_SECOND);
    }
    if (table.isCrowded && nowMs >= this.#nextAheadMs) {
      this.#nextAheadMs = nowMs + AHEAD_PAUSE_MS;
      this.#flushAhead();
    }
  }

  /** When a row leaves, if the topic is not behind then. */
  leavesAtMs(row: number, nowMs: number): number {
    const table = this.#table, due = table.dueSlot(row);
    let slot = Math.max(this.#lastSlot, Math.floor(nowMs * SLOTS_A_SECOND / 1_000)) + 1;
    while (slot % table.wheelSlots !== due || this.#openMinute(slot) === table.minute(row)) slot++;
    return slot * 1_000 / SLOTS_A_SECOND;
  }

  /**
   * Flushes every row, whether due or not.
   *
   * @param isLast Whether no others will follow.
   */
  flushAll(isLast = false): void {
    this.#flush([...this.#table.rows()], null, isLast);
  }

  /** The minute that goes on at a slot, where rows wait for its end; else none. */
  #openMinute(slot: number): number {
    return this.#windowS < MINUTE_S ? NO_MINUTE : Math.floor(slot / (SLOTS_A_SECOND * MINUTE_S));
  }

  /** Forgets the identities that no row refers to; where nearly all are in use, every row leaves. */
  forgetIdentities(): void {
    const table = this.#table, identities = this.#identities;
    const used = new Set<number>();
    for (const row of table.rows()) used.add(table.value(row, VALUE.identity));
    const newIds = identities.keep(used);
    for (const row of table.rows()) table.setIdentity(row, newIds.get(table.value(row, VALUE.identity))!);
    this.identityRounds++;
    if (!identities.isFull) return;
    this.flushAll();
    identities.clear();
  }

  #flushAhead(): void {
    const table = this.#table, rows: number[] = [];
    this.#ahead = this.#ahead % table.wheelSlots + 1;
    table.collectDue((this.#lastSlot + this.#ahead) % table.wheelSlots, NO_MINUTE, NO_MINUTE, rows);
    this.earlyRows += rows.length;
    this.#flush(rows);
  }

  #flush(rows: readonly number[], dueMs: number | null = null, isLast = false): void {
    if (rows.length === 0) return;
    const paired = pairEnds(this.#table, this.#identities, rows, this.pairs), nowMs = Date.now();
    for (const hash of paired.hashes) this.lastFlushes.note(hash, nowMs);
    const losses = this.#target.format === "arrow" ? this.#target.takeLosses(nowMs, isLast) : [];
    const messages = this.#rowMessages.take(paired, losses);
    this.#target.onMessages(dueMs === null ? messages : messages.map((message) => ({ ...message, dueMs })));
  }
}
