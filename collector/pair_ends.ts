/** Finds the two ends of a conversation among rows that leave together, and holds their views against each other. */

import { type FlowTable, FOLD, ROLE_CLIENT, ROLE_SERVER, VALUE } from "./aggregate.ts";
import type { IdentityTable } from "./identities.ts";
import { RowColumns } from "./row_columns.ts";

/** Bytes that two views of one connection may differ by in a minute: what was on its way when one of them was told. */
const IN_FLIGHT_BYTES = 256 * 1024;
const NONE = -1;
/** Slots for each row at least. */
const SLOTS_A_ROW = 2;

/** Conversations and minutes that left, by who reported them. */
export interface PairCounts {
  conversations_both: number;
  conversations_client_only: number;
  conversations_server_only: number;
  /** Of those of both ends: the views differ by more than can have been on its way. */
  bytes_disagreements: number;
}

export const NO_PAIRS: Readonly<PairCounts> = {
  conversations_both: 0,
  conversations_client_only: 0,
  conversations_server_only: 0,
  bytes_disagreements: 0,
};

/** By row, in ascending order. */
export interface PairedRows {
  readonly rows: Int32Array;
  /** Of the conversations, as of `hashConversation()`. */
  readonly hashes: Uint32Array;
  /** Whether the other end is among them. */
  readonly isPaired: Uint8Array;
  /** The other end's view, where this end is one row; -1 elsewhere. */
  readonly peerBytesSent: Float64Array;
  readonly peerBytesReceived: Float64Array;
}

/** Pairs rows and counts the conversations; rows of unknown role, folded ones and estimates of other agents stay alone and uncounted. */
export function pairEnds(table: FlowTable, identities: IdentityTable, unordered: Iterable<number>, counts: PairCounts): PairedRows {
  const rows = Int32Array.from(unordered).sort(), columns = new RowColumns(table, rows);
  const paired = {
    rows,
    hashes: columns.conversationHashes(),
    isPaired: new Uint8Array(rows.length),
    peerBytesSent: new Float64Array(rows.length).fill(NONE),
    peerBytesReceived: new Float64Array(rows.length).fill(NONE),
  };
  const conversations = new Conversations(rows.length);
  const sent = columns.numbers(VALUE.bytes_sent), received = columns.numbers(VALUE.bytes_received), ports = columns.portCounts();
  for (let i = 0; i < rows.length; i++) {
    const role = columns.role(i);
    if (columns.foldLevel(i) !== FOLD.none || role !== ROLE_CLIENT && role !== ROLE_SERVER) continue;
    if (identities.columns.isEstimate(columns.identities[i]!)) continue;
    const conversation = conversations.find(i, paired.hashes, (first) => table.isSameConversation(rows[first]!, rows[i]!));
    conversations.add(conversation, role, sent[i]!, received[i]!, ports[i]!);
  }
  conversations.count(counts);
  for (let i = 0; i < rows.length; i++) {
    const end = conversations.otherEnd(i, columns.role(i));
    if (end === NONE) continue;
    paired.isPaired[i] = 1;
    if (conversations.rowsOfOwnEnd(i, columns.role(i)) > 1) continue;
    paired.peerBytesSent[i] = conversations.sent[end]!;
    paired.peerBytesReceived[i] = conversations.received[end]!;
  }
  return paired;
}

/** Conversations by number, and sums of either end: of the client at twice the number, of the server behind it. */
class Conversations {
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly #ports: Float64Array;
  readonly #rows: Int32Array;
  readonly #mask: number;
  /** Slot -> conversation + 1. */
  readonly #slots: Int32Array;
  /** First row of a conversation. */
  readonly #firsts: Int32Array;
  /** Conversation of a row, or `NONE`. */
  readonly #of: Int32Array;
  #count = 0;

  constructor(rowCount: number) {
    this.sent = new Float64Array(2 * rowCount);
    this.received = new Float64Array(2 * rowCount);
    this.#ports = new Float64Array(2 * rowCount);
    this.#rows = new Int32Array(2 * rowCount);
    const slots = 2 ** Math.ceil(Math.log2(SLOTS_A_ROW * rowCount + 1));
    this.#mask = slots - 1;
    this.#slots = new Int32Array(slots);
    this.#firsts = new Int32Array(rowCount);
    this.#of = new Int32Array(rowCount).fill(NONE);
  }

  /** Conversation of row `i`, a new one where no row before it is of the same. */
  find(i: number, hashes: Uint32Array, isSame: (first: number) => boolean): number {
    const hash = hashes[i]!;
    let slot = hash & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const conversation = this.#slots[slot]! - 1, first = this.#firsts[conversation]!;
      if (hashes[first] === hash && isSame(first)) return this.#of[i] = conversation;
    }
    const conversation = this.#count++;
    this.#slots[slot] = conversation + 1;
    this.#firsts[conversation] = i;
    return this.#of[i] = conversation;
  }

  add(conversation: number, role: number, sent: number, received: number, ports: number): void {
    const end = endOf(conversation, role);
    this.sent[end]! += sent;
    this.received[end]! += received;
    this.#ports[end]! += ports;
    this.#rows[end]!++;
  }

  count(counts: PairCounts): void {
    for (let conversation = 0; conversation < this.#count; conversation++) {
      const client = endOf(conversation, ROLE_CLIENT), server = endOf(conversation, ROLE_SERVER);
      if (this.#rows[server] === 0) counts.conversations_client_only++;
      else if (this.#rows[client] === 0) counts.conversations_server_only++;
      else {
        const allowed = IN_FLIGHT_BYTES * Math.max(1, this.#ports[client]!, this.#ports[server]!);
        counts.conversations_both++;
        if (
          Math.abs(this.sent[client]! - this.sent[server]!) > allowed || Math.abs(this.received[client]! - this.received[server]!) > allowed
        ) counts.bytes_disagreements++;
      }
    }
  }

  /** Place of what the other end of row `i` saw, or `NONE`. */
  otherEnd(i: number, role: number): number {
    if (this.#of[i] === NONE) return NONE;
    const end = endOf(this.#of[i]!, role) ^ 1;
    return this.#rows[end] === 0 ? NONE : end;
  }

  rowsOfOwnEnd(i: number, role: number): number {
    return this.#rows[endOf(this.#of[i]!, role)]!;
  }
}

function endOf(conversation: number, role: number): number {
  return 2 * conversation + (role === ROLE_SERVER ? 1 : 0);
}
