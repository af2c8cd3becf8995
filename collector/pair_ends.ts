/** Finds the two ends of a conversation among rows that leave together, and holds their views against each other. */

import { type FlowTable, FOLD, ROLE_CLIENT, ROLE_SERVER, VALUE } from "./aggregate.ts";
import type { IdentityTable } from "./identities.ts";

/** Bytes that two views of one connection may differ by in a minute: what was on its way when one of them was told. */
const IN_FLIGHT_BYTES = 256 * 1024;

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

/** By row, in the order given. */
export interface PairedRows {
  readonly rows: readonly number[];
  /** Of the conversations, as of `FlowTable.conversationHash()`. */
  readonly hashes: Uint32Array;
  /** Whether the other end is among them. */
  readonly isPaired: Uint8Array;
  /** The other end's view, where this end is one row; -1 elsewhere. */
  readonly peerBytesSent: Float64Array;
  readonly peerBytesReceived: Float64Array;
}

/** One end's rows of a conversation. */
interface End {
  readonly indexes: number[];
  sent: number;
  received: number;
  ports: number;
}

/** Pairs rows and counts the conversations; rows of unknown role, folded ones and estimates of other agents stay alone and uncounted. */
export function pairEnds(table: FlowTable, identities: IdentityTable, rows: readonly number[], counts: PairCounts): PairedRows {
  const paired = {
    rows,
    hashes: Uint32Array.from(rows, (row) => table.conversationHash(row)),
    isPaired: new Uint8Array(rows.length),
    peerBytesSent: new Float64Array(rows.length).fill(-1),
    peerBytesReceived: new Float64Array(rows.length).fill(-1),
  };
  const byHash = new Map<number, number[]>();
  for (const [i, row] of rows.entries()) {
    const role = table.role(row);
    if (table.foldLevel(row) !== FOLD.none || role !== ROLE_CLIENT && role !== ROLE_SERVER) continue;
    if (identities.get(table.value(row, VALUE.identity)).flowSource !== "skyfall") continue;
    const hash = paired.hashes[i]!, same = byHash.get(hash);
    if (same === undefined) byHash.set(hash, [i]);
    else same.push(i);
  }
  for (const indexes of byHash.values()) {
    let rest = indexes;
    while (rest.length > 0) {
      const first = rows[rest[0]!]!;
      const [own, others] = rest.length === 1 ? [rest, []] : partition(rest, (i) => table.isSameConversation(first, rows[i]!));
      pairConversation(table, rows, own, paired, counts);
      rest = others;
    }
  }
  return paired;
}

function pairConversation(
  table: FlowTable,
  rows: readonly number[],
  indexes: readonly number[],
  paired: PairedRows,
  counts: PairCounts,
): void {
  const [clients, servers] = partition(indexes, (i) => table.role(rows[i]!) === ROLE_CLIENT);
  if (servers.length === 0) counts.conversations_client_only++;
  else if (clients.length === 0) counts.conversations_server_only++;
  else {
    const client = endOf(table, rows, clients), server = endOf(table, rows, servers);
    const allowed = IN_FLIGHT_BYTES * Math.max(1, client.ports, server.ports);
    counts.conversations_both++;
    if (Math.abs(client.sent - server.sent) > allowed || Math.abs(client.received - server.received) > allowed) {
      counts.bytes_disagreements++;
    }
    show(client, server, paired);
    show(server, client, paired);
  }
}

function endOf(table: FlowTable, rows: readonly number[], indexes: number[]): End {
  const end: End = { indexes, sent: 0, received: 0, ports: 0 };
  for (const i of indexes) {
    end.sent += table.value(rows[i]!, VALUE.bytes_sent);
    end.received += table.value(rows[i]!, VALUE.bytes_received);
    end.ports += table.portCount(rows[i]!);
  }
  return end;
}

function show({ indexes }: End, peer: End, { isPaired, peerBytesSent, peerBytesReceived }: PairedRows): void {
  for (const i of indexes) {
    isPaired[i] = 1;
    if (indexes.length > 1) continue;
    peerBytesSent[i] = peer.sent;
    peerBytesReceived[i] = peer.received;
  }
}

function partition(indexes: readonly number[], accepts: (index: number) => boolean): [number[], number[]] {
  const yes: number[] = [], no: number[] = [];
  for (const index of indexes) (accepts(index) ? yes : no).push(index);
  return [yes, no];
}
