/**
 * The conversations of one minute and partition, and who has seen them. A conversation is a transport, two addresses and the
 * server's port; a view of it is what one end's agent counted, or another sFlow agent estimated. `dependencies.sql` says the same of
 * a table, and is what this must equal.
 */

import { EdgeTable } from "./edge_table.ts";
import { Histograms } from "./histograms.ts";
import { KeyTable, resized } from "./key_table.ts";
import {
  AMOUNT_MAX,
  BYTES_RECEIVED,
  BYTES_SENT,
  CONNECTIONS_OPENED,
  FLOW_ROWS,
  GREATER_END,
  GREATER_FIRST,
  MEASURES,
  Measures,
  RETRANSMITS,
  SRTT_SAMPLES,
} from "./measures.ts";
import type { Names } from "./names.ts";

/** Words of a conversation's key: client, server, port, transport. */
export const CONVERSATION_WORDS = 10;
export const PORT_WORD = 8, TRANSPORT_WORD = 9;

/** Who has seen: one of an unknown role counts as the client, as it does at the collector. */
export const CLIENT = 0, SERVER = 1, ESTIMATE = 2;

const FIRST_VIEWS = 64;
/** Words of a view: the next of its conversation and 1, who saw, and numbers of names; those told last in the order of names. */
const VIEW_WORDS = 8;
const NEXT = 0, SEEN_BY = 1, ESTIMATOR = 2, CLIENT_NAME = 3, SERVER_NAME = 4, TOLD_CLIENT = 5, TOLD_SERVER = 6;

export class Conversations {
  readonly #names: Names;
  /** The owner's word is the conversation's first view and 1. */
  readonly #table: KeyTable;
  #view: Int32Array;
  readonly measures: Measures;
  readonly histograms = new Histograms();
  #views = 0;

  /** @param expected How many views there may be; more are taken too. */
  constructor(names: Names, expected = FIRST_VIEWS) {
    this.#names = names;
    this.#table = new KeyTable(CONVERSATION_WORDS, expected / 2);
    this.#view = new Int32Array(Math.max(expected, FIRST_VIEWS) * VIEW_WORDS);
    this.measures = new Measures(Math.max(expected, FIRST_VIEWS));
  }

  get viewCount(): number {
    return this.#views;
  }

  /**
   * View that a row is of; the caller adds to its measures.
   *
   * @param estimator Number of the address of another sFlow agent, 0 for ours.
   * @param client Number of the client's name, so `server`.
   */
  view(key: Uint32Array, seenBy: number, estimator: number, client: number, server: number): number {
    const table = this.#table, owner = table.add(key) * table.stride + table.ownerWord;
    const ownClient = seenBy === SERVER ? 0 : client, ownServer = seenBy === CLIENT ? 0 : server;
    for (let next = table.keys[owner]!; next !== 0;) {
      const view = this.#view, at = (next - 1) * VIEW_WORDS;
      if (
        view[at + SEEN_BY] === seenBy && view[at + CLIENT_NAME] === ownClient && view[at + SERVER_NAME] === ownServer &&
        view[at + ESTIMATOR] === estimator
      ) {
        if (view[at + TOLD_CLIENT] !== client && this.#names.isAfter(client, view[at + TOLD_CLIENT]!)) view[at + TOLD_CLIENT] = client;
        if (view[at + TOLD_SERVER] !== server && this.#names.isAfter(server, view[at + TOLD_SERVER]!)) view[at + TOLD_SERVER] = server;
        return next - 1;
      }
      next = view[at + NEXT]!;
    }
    const at = this.#views++ * VIEW_WORDS;
    if (at === this.#view.length) this.#view = resized(this.#view, at * 2);
    this.#view[at + NEXT] = table.keys[owner]!;
    table.keys[owner] = this.#views;
    this.#view[at + SEEN_BY] = seenBy;
    this.#view[at + ESTIMATOR] = estimator;
    this.#view[at + CLIENT_NAME] = ownClient;
    this.#view[at + SERVER_NAME] = ownServer;
    this.#view[at + TOLD_CLIENT] = client;
    this.#view[at + TOLD_SERVER] = server;
    this.measures.begin(this.#views - 1);
    return this.#views - 1;
  }

  /** The edges that the conversations are. */
  edges(): EdgeTable {
    const edges = new EdgeTable(this.#names), { stride, ownerWord, keys, count } = this.#table, servers = new Measures(1);
    for (let conversation = 0; conversation < count; conversation++) {
      const key = keys.subarray(conversation * stride, conversation * stride + CONVERSATION_WORDS);
      const views = this.#counted(keys[conversation * stride + ownerWord]!);
      let clients = 0;
      for (const view of views) if (this.#word(view, SEEN_BY) !== SERVER) clients++;
      const serverName = clients < views.length ? this.#answering(views) : 0;
      if (clients === 1 && views.length > 1) this.#sumServers(views, servers);
      for (const view of views) {
        if (clients === 0) this.#addEdge(edges, key, view, this.#word(view, TOLD_CLIENT), this.#word(view, SERVER_NAME));
        else if (this.#word(view, SEEN_BY) !== SERVER) {
          const answering = serverName === 0 ? this.#word(view, TOLD_SERVER) : serverName;
          const edge = this.#addEdge(edges, key, view, this.#word(view, CLIENT_NAME), answering);
          if (clients === 1 && views.length > 1) completeView(edges.measures.values, edge, this.measures.values, view, servers.values);
        }
      }
    }
    edges.limit();
    return edges;
  }

  #sumServers(views: readonly number[], servers: Measures): void {
    servers.values.fill(0);
    servers.begin(0);
    for (const view of views) if (this.#word(view, SEEN_BY) === SERVER) servers.add(0, this.measures, view);
  }

  #word(view: number, word: number): number {
    return this.#view[view * VIEW_WORDS + word]!;
  }

  #addEdge(edges: EdgeTable, key: Uint32Array, view: number, client: number, server: number): number {
    const edge = edges.add(key, client, server);
    edges.measures.add(edge, this.measures, view);
    if (this.measures.values[view * MEASURES + SRTT_SAMPLES]! > 0) edges.histograms.addAll(edge, this.histograms, view, 1);
    return edge;
  }

  /**
   * Views that count: what our agents counted is exact; without it those of the one agent that estimates most.
   *
   * @param first The conversation's first view and 1.
   */
  #counted(first: number): readonly number[] {
    const views: number[] = [];
    let estimates = 0;
    for (let next = first; next !== 0; next = this.#word(next - 1, NEXT)) {
      views.push(next - 1);
      if (this.#word(next - 1, SEEN_BY) === ESTIMATE) estimates++;
    }
    if (estimates === 0) return views;
    if (estimates < views.length) return views.filter((view) => this.#word(view, SEEN_BY) !== ESTIMATE);
    const best = this.#mostBytes(views);
    return views.filter((view) => this.#word(view, ESTIMATOR) === best);
  }

  #mostBytes(views: readonly number[]): number {
    const bytes = new Map<number, number>(), values = this.measures.values;
    for (const view of views) {
      const at = view * MEASURES, estimator = this.#word(view, ESTIMATOR);
      bytes.set(estimator, (bytes.get(estimator) ?? 0) + values[at + BYTES_SENT]! + values[at + BYTES_RECEIVED]!);
    }
    let best = -1, most = -1;
    for (const [estimator, sum] of bytes) {
      const limited = Math.min(sum, AMOUNT_MAX);
      if (limited < most || limited === most && this.#names.isAfter(estimator, best)) continue;
      best = estimator;
      most = limited;
    }
    return best;
  }

  /** The service that answers, by the servers' views: of several the one with the most connections; 0 where none tells. */
  #answering(views: readonly number[]): number {
    let best = 0, most = -1;
    for (const view of views) {
      const name = this.#word(view, SERVER_NAME);
      if (this.#word(view, SEEN_BY) !== SERVER || name === 0) continue;
      const connections = Math.min(this.measures.values[view * MEASURES + CONNECTIONS_OPENED]!, AMOUNT_MAX);
      if (connections < most || connections === most && this.#names.isAfter(name, best)) continue;
      best = name;
      most = connections;
    }
    return best;
  }
}

/** Adds to an edge what the servers saw more of than the one client, and their retransmissions, as they are of the other direction. */
function completeView(edges: Float64Array, edge: number, clients: Float64Array, client: number, servers: Float64Array): void {
  const to = edge * MEASURES, from = client * MEASURES;
  for (let i = GREATER_FIRST; i < GREATER_END; i++) edges[to + i]! += Math.max(0, servers[i]! - clients[from + i]!);
  edges[to + RETRANSMITS]! += servers[RETRANSMITS]!;
  edges[to + FLOW_ROWS]! += servers[FLOW_ROWS]!;
}
