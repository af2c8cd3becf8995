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

export class Conversations {
  readonly #names: Names;
  readonly #table = new KeyTable(CONVERSATION_WORDS);
  /** First view of a conversation and 1. */
  #firstView = new Int32Array(FIRST_VIEWS);
  /** By view: the next of its conversation and 1, who saw, and numbers of names. */
  #next = new Int32Array(FIRST_VIEWS);
  #seenBy = new Uint8Array(FIRST_VIEWS);
  #estimator = new Int32Array(FIRST_VIEWS);
  #client = new Int32Array(FIRST_VIEWS);
  #server = new Int32Array(FIRST_VIEWS);
  /** The last in order of those that the view's rows tell. */
  #toldClient = new Int32Array(FIRST_VIEWS);
  #toldServer = new Int32Array(FIRST_VIEWS);
  readonly measures = new Measures();
  readonly histograms = new Histograms();
  #views = 0;

  constructor(names: Names) {
    this.#names = names;
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
    const conversation = this.#table.add(key);
    if (this.#firstView.length < this.#table.capacity) this.#firstView = resized(this.#firstView, this.#table.capacity);
    const ownClient = seenBy === SERVER ? 0 : client, ownServer = seenBy === CLIENT ? 0 : server;
    for (let next = this.#firstView[conversation]!; next !== 0; next = this.#next[next - 1]!) {
      const view = next - 1;
      if (
        this.#seenBy[view] !== seenBy || this.#client[view] !== ownClient || this.#server[view] !== ownServer ||
        this.#estimator[view] !== estimator
      ) continue;
      if (this.#names.isAfter(client, this.#toldClient[view]!)) this.#toldClient[view] = client;
      if (this.#names.isAfter(server, this.#toldServer[view]!)) this.#toldServer[view] = server;
      return view;
    }
    const view = this.#views++;
    if (view === this.#next.length) this.#grow();
    this.#next[view] = this.#firstView[conversation]!;
    this.#firstView[conversation] = view + 1;
    this.#seenBy[view] = seenBy;
    this.#estimator[view] = estimator;
    this.#client[view] = ownClient;
    this.#server[view] = ownServer;
    this.#toldClient[view] = client;
    this.#toldServer[view] = server;
    this.measures.reset(view);
    return view;
  }

  /** The edges that the conversations are. */
  edges(): EdgeTable {
    const edges = new EdgeTable(this.#names), servers = new Measures();
    for (let conversation = 0; conversation < this.#table.count; conversation++) {
      const views = this.#counted(conversation);
      const clients = views.filter((view) => this.#seenBy[view] !== SERVER);
      const key = this.#table.keys.subarray(conversation * CONVERSATION_WORDS, (conversation + 1) * CONVERSATION_WORDS);
      if (clients.length === 0) {
        for (const view of views) this.#addEdge(edges, key, view, this.#toldClient[view]!, this.#server[view]!);
        continue;
      }
      const serverName = this.#answering(views);
      servers.reset(0);
      for (const view of views) if (this.#seenBy[view] === SERVER) servers.add(0, this.measures, view);
      for (const view of clients) {
        const edge = this.#addEdge(edges, key, view, this.#client[view]!, serverName === 0 ? this.#toldServer[view]! : serverName);
        if (clients.length === 1) completeView(edges.measures.values, edge, this.measures.values, view, servers.values);
      }
    }
    edges.limit();
    return edges;
  }

  #addEdge(edges: EdgeTable, key: Uint32Array, view: number, client: number, server: number): number {
    const edge = edges.add(key, client, server);
    edges.measures.add(edge, this.measures, view);
    if (this.measures.values[view * MEASURES + SRTT_SAMPLES]! > 0) edges.histograms.addAll(edge, this.histograms, view, 1);
    return edge;
  }

  /** Views that count: what our agents counted is exact; without it those of the one agent that estimates most. */
  #counted(conversation: number): number[] {
    const views: number[] = [];
    let isCounted = false, isEstimated = false;
    for (let next = this.#firstView[conversation]!; next !== 0; next = this.#next[next - 1]!) {
      views.push(next - 1);
      if (this.#seenBy[next - 1] === ESTIMATE) isEstimated = true;
      else isCounted = true;
    }
    if (!isEstimated) return views;
    if (isCounted) return views.filter((view) => this.#seenBy[view] !== ESTIMATE);
    const best = this.#mostBytes(views);
    return views.filter((view) => this.#estimator[view] === best);
  }

  #mostBytes(views: readonly number[]): number {
    const bytes = new Map<number, number>(), values = this.measures.values;
    for (const view of views) {
      const at = view * MEASURES, estimator = this.#estimator[view]!;
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
      const name = this.#server[view]!;
      if (this.#seenBy[view] !== SERVER || name === 0) continue;
      const connections = Math.min(this.measures.values[view * MEASURES + CONNECTIONS_OPENED]!, AMOUNT_MAX);
      if (connections < most || connections === most && this.#names.isAfter(name, best)) continue;
      best = name;
      most = connections;
    }
    return best;
  }

  #grow(): void {
    const length = this.#next.length * 2;
    this.#next = resized(this.#next, length);
    this.#seenBy = resized(this.#seenBy, length);
    this.#estimator = resized(this.#estimator, length);
    this.#client = resized(this.#client, length);
    this.#server = resized(this.#server, length);
    this.#toldClient = resized(this.#toldClient, length);
    this.#toldServer = resized(this.#toldServer, length);
  }
}

/** Adds to an edge what the servers saw more of than the one client, and their retransmissions, as they are of the other direction. */
function completeView(edges: Float64Array, edge: number, clients: Float64Array, client: number, servers: Float64Array): void {
  const to = edge * MEASURES, from = client * MEASURES;
  for (let i = 0; i < GREATER_END; i++) edges[to + i]! += Math.max(0, servers[i]! - clients[from + i]!);
  edges[to + RETRANSMITS]! += servers[RETRANSMITS]!;
  edges[to + FLOW_ROWS]! += servers[FLOW_ROWS]!;
}
