/**
 * The conversations of one minute and partition, and who has seen them. A conversation is a transport, two addresses and the
 * server's port; a view of it is what one end's agent counted, or another sFlow agent estimated. `dependencies.sql` says the same of
 * a table, and is what this must equal.
 */

import { EdgeTable } from "./edge_table.ts";
import { Histograms } from "./histograms.ts";
import { KEY_STRIDE, KEY_WORDS, KeyTable, OWNER_WORD, resized } from "./key_table.ts";
import {
  AMOUNT_MAX,
  BYTES_RECEIVED,
  BYTES_SENT,
  CONNECT_MAX,
  CONNECTIONS_OPENED,
  FLOW_ROWS,
  GREATER_END,
  GREATER_FIRST,
  type MeasureColumns,
  MEASURES,
  Measures,
  nullableAt,
  numberOf,
  RETRANSMITS,
  SRTT_MAX,
  SRTT_MIN,
  SRTT_SAMPLES,
  SRTT_SUM,
} from "./measures.ts";
import { CLIENT, ESTIMATE, type MessageRows, SERVER } from "./message_rows.ts";
import type { Names } from "./names.ts";

const FIRST_VIEWS = 64;
/** Words of a view: the next of its conversation and 1, who saw, and numbers of names; those told last in the order of names. */
const VIEW_WORDS = 8;
const NEXT = 0, SEEN_BY = 1, ESTIMATOR = 2, CLIENT_NAME = 3, SERVER_NAME = 4, TOLD_CLIENT = 5, TOLD_SERVER = 6;

/** Of the rows that are added, where the measures of their views begin. */
let starts = new Int32Array(1 << 10);

export class Conversations {
  readonly #names: Names;
  /** The owner's word is the conversation's first view and 1. */
  readonly #table: KeyTable;
  #view: Int32Array;
  readonly #measures: Measures;
  /** Of views with more than one row: of one alone its measures tell. */
  readonly #histograms = new Histograms();
  #views = 0;
  #edges = 0;

  /** @param expected How many views there may be; more are taken too. */
  constructor(names: Names, expected: number) {
    this.#names = names;
    this.#table = new KeyTable(expected / 2);
    this.#view = new Int32Array(Math.max(expected, FIRST_VIEWS) * VIEW_WORDS);
    this.#measures = new Measures(Math.max(expected, FIRST_VIEWS));
  }

  get viewCount(): number {
    return this.#views;
  }

  /** How many views it has memory for. */
  get viewRoom(): number {
    return this.#view.length / VIEW_WORDS;
  }

  /** Forgets all, but keeps the room for as many. */
  clear(): void {
    this.#table.clear();
    this.#histograms.clear();
    this.#views = 0;
  }

  /** Adds rows of a message. */
  add(message: MessageRows, columns: MeasureColumns, rows: Int32Array): void {
    if (starts.length < rows.length) starts = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) starts[i] = this.#viewOf(message, rows[i]!) * MEASURES;
    for (let i = 0; i < rows.length; i++) this.#addTimes(columns, rows[i]!, starts[i]!);
    this.#measures.addRows(columns, rows, starts);
  }

  /** View that a row is of. */
  #viewOf(message: MessageRows, row: number): number {
    const owner = this.#table.add(message.keys, row * KEY_WORDS, message.hashes[row]!) * KEY_STRIDE + OWNER_WORD;
    const seenBy = message.seenBy[row]!,
      estimator = message.estimators[row]!,
      client = message.clients[row]!,
      server = message.servers[row]!;
    const ownClient = seenBy === SERVER ? 0 : client, ownServer = seenBy === CLIENT ? 0 : server;
    const { keys } = this.#table;
    for (let next = keys[owner]!; next !== 0;) {
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
    const view = this.#view;
    view[at + NEXT] = keys[owner]!;
    keys[owner] = this.#views;
    view[at + SEEN_BY] = seenBy;
    view[at + ESTIMATOR] = estimator;
    view[at + CLIENT_NAME] = ownClient;
    view[at + SERVER_NAME] = ownServer;
    view[at + TOLD_CLIENT] = client;
    view[at + TOLD_SERVER] = server;
    this.#measures.begin(this.#views - 1);
    return this.#views - 1;
  }

  /** Adds a row's round-trip and connect times to the view whose measures are from `at` on. */
  #addTimes({ smallest, greatest, slowest, srttSums, srttSamples }: MeasureColumns, row: number, at: number): void {
    const { values } = this.#measures, sum = numberOf(srttSums[2 * row]!, srttSums[2 * row + 1]!);
    const samples = numberOf(srttSamples[2 * row]!, srttSamples[2 * row + 1]!);
    const least = nullableAt(smallest, row), most = nullableAt(greatest, row), longest = nullableAt(slowest, row);
    const rowsBefore = values[at + FLOW_ROWS]!;
    if (rowsBefore > 0) {
      const view = at / MEASURES;
      if (rowsBefore === 1) this.#addOnlyRow(this.#histograms, view, view);
      addSamples(this.#histograms, view, sum, samples, least, most);
    }
    if (least !== null && least < values[at + SRTT_MIN]!) values[at + SRTT_MIN] = least;
    if (most !== null && most > values[at + SRTT_MAX]!) values[at + SRTT_MAX] = most;
    if (longest !== null && longest > values[at + CONNECT_MAX]!) values[at + CONNECT_MAX] = longest;
    values[at + SRTT_SUM]! += sum;
    values[at + SRTT_SAMPLES]! += samples;
    values[at + FLOW_ROWS] = rowsBefore + 1;
  }

  /** Adds the samples of a view that has one row to a histogram. */
  #addOnlyRow(histograms: Histograms, histogram: number, view: number): void {
    const { values } = this.#measures, at = view * MEASURES, least = values[at + SRTT_MIN]!, most = values[at + SRTT_MAX]!;
    addSamples(
      histograms,
      histogram,
      values[at + SRTT_SUM]!,
      values[at + SRTT_SAMPLES]!,
      least === Infinity ? null : least,
      most < 0 ? null : most,
    );
  }

  /** The edges that the conversations are. */
  edges(): EdgeTable {
    const edges = new EdgeTable(this.#names, this.#edges), { keys, count } = this.#table, view = this.#view;
    for (let conversation = 0; conversation < count; conversation++) {
      const place = conversation * KEY_STRIDE, first = keys[place + OWNER_WORD]! - 1, second = view[first * VIEW_WORDS + NEXT]! - 1;
      if (second < 0) this.#addOne(edges, place, first);
      else if (view[second * VIEW_WORDS + NEXT] !== 0) this.#addViews(edges, place, first);
      else if (view[first * VIEW_WORDS + SEEN_BY] === SERVER && view[second * VIEW_WORDS + SEEN_BY] === CLIENT) {
        this.#addBothEnds(edges, place, second, first);
      } else if (view[first * VIEW_WORDS + SEEN_BY] === CLIENT && view[second * VIEW_WORDS + SEEN_BY] === SERVER) {
        this.#addBothEnds(edges, place, first, second);
      } else this.#addViews(edges, place, first);
    }
    edges.limit();
    this.#edges = edges.count;
    return edges;
  }

  /** A conversation that has one view; it counts, whoever has seen it. */
  #addOne(edges: EdgeTable, place: number, view: number): void {
    if (this.#word(view, SEEN_BY) === SERVER) {
      this.#addEdge(edges, place, view, this.#word(view, TOLD_CLIENT), this.#word(view, SERVER_NAME));
    } else this.#addEdge(edges, place, view, this.#word(view, CLIENT_NAME), this.#word(view, TOLD_SERVER));
  }

  /** A conversation that each end has one view of. */
  #addBothEnds(edges: EdgeTable, place: number, client: number, server: number): void {
    const name = this.#word(server, SERVER_NAME), answering = name === 0 ? this.#word(client, TOLD_SERVER) : name;
    const edge = this.#addEdge(edges, place, client, this.#word(client, CLIENT_NAME), answering), { values } = this.#measures;
    completeView(edges.measures.values, edge, values, client, values, server);
  }

  /** Any other conversation; `first` is the first of its views. */
  #addViews(edges: EdgeTable, place: number, first: number): void {
    const views = this.#counted(first), servers = new Measures(1);
    let clients = 0;
    for (const view of views) if (this.#word(view, SEEN_BY) !== SERVER) clients++;
    const serverName = clients < views.length ? this.#answering(views) : 0;
    if (clients === 1 && views.length > 1) this.#sumServers(views, servers);
    for (const view of views) {
      if (clients === 0) this.#addEdge(edges, place, view, this.#word(view, TOLD_CLIENT), this.#word(view, SERVER_NAME));
      else if (this.#word(view, SEEN_BY) !== SERVER) {
        const answering = serverName === 0 ? this.#word(view, TOLD_SERVER) : serverName;
        const edge = this.#addEdge(edges, place, view, this.#word(view, CLIENT_NAME), answering);
        if (clients === 1 && views.length > 1) completeView(edges.measures.values, edge, this.#measures.values, view, servers.values, 0);
      }
    }
  }

  #sumServers(views: readonly number[], servers: Measures): void {
    servers.begin(0);
    for (const view of views) if (this.#word(view, SEEN_BY) === SERVER) servers.add(0, this.#measures, view);
  }

  #word(view: number, word: number): number {
    return this.#view[view * VIEW_WORDS + word]!;
  }

  #addEdge(edges: EdgeTable, place: number, view: number, client: number, server: number): number {
    const edge = edges.add(this.#table.keys, place, client, server);
    edges.measures.add(edge, this.#measures, view);
    if (this.#measures.values[view * MEASURES + FLOW_ROWS] === 1) this.#addOnlyRow(edges.histograms, edge, view);
    else edges.histograms.addAll(edge, this.#histograms, view, 1);
    return edge;
  }

  /**
   * Views that count: what our agents counted is exact; without it those of the one agent that estimates most.
   *
   * @param first The conversation's first view.
   */
  #counted(first: number): readonly number[] {
    const views: number[] = [];
    let estimates = 0;
    for (let next = first + 1; next !== 0; next = this.#word(next - 1, NEXT)) {
      views.push(next - 1);
      if (this.#word(next - 1, SEEN_BY) === ESTIMATE) estimates++;
    }
    if (estimates === 0) return views;
    if (estimates < views.length) return views.filter((view) => this.#word(view, SEEN_BY) !== ESTIMATE);
    const best = this.#mostBytes(views);
    return views.filter((view) => this.#word(view, ESTIMATOR) === best);
  }

  #mostBytes(views: readonly number[]): number {
    const bytes = new Map<number, number>(), { values } = this.#measures;
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
      const connections = Math.min(this.#measures.values[view * MEASURES + CONNECTIONS_OPENED]!, AMOUNT_MAX);
      if (connections < most || connections === most && this.#names.isAfter(name, best)) continue;
      best = name;
      most = connections;
    }
    return best;
  }
}

function addSamples(
  histograms: Histograms,
  histogram: number,
  sum: number,
  samples: number,
  least: number | null,
  most: number | null,
): void {
  histograms.addSamples(histogram, Math.min(sum, AMOUNT_MAX), Math.min(samples, AMOUNT_MAX), least, most);
}

/** Adds to an edge what the servers saw more of than the one client, and their retransmissions, as they are of the other direction. */
function completeView(
  edges: Float64Array,
  edge: number,
  clients: Float64Array,
  client: number,
  servers: Float64Array,
  server: number,
): void {
  const to = edge * MEASURES, from = client * MEASURES, other = server * MEASURES;
  for (let i = GREATER_FIRST; i < GREATER_END; i++) edges[to + i]! += Math.max(0, servers[other + i]! - clients[from + i]!);
  edges[to + RETRANSMITS]! += servers[other + RETRANSMITS]!;
  edges[to + FLOW_ROWS]! += servers[other + FLOW_ROWS]!;
}
