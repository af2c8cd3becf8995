/** The services and edges of a report, by service and by group. */

import type { Grouping, ReportData, ReportEdges } from "../report/report_data.ts";

/** What goes from one service or group to another. */
export interface Line {
  readonly from: number;
  readonly to: number;
  bytes: number;
  connections: number;
  failed: number;
  /** Edges that it is made of. */
  readonly edges: number[];
}

/** Of fewer services each may be a group of its own. */
const SERVICE_GROUPS_MAX = 40;

export class Model {
  readonly services: readonly string[];
  readonly edges: ReportEdges;
  readonly edgeCount: number;
  readonly groupings: readonly Grouping[];
  /** Edges of each service as client, and as server, those with the most bytes first. */
  readonly asks: readonly number[][];
  readonly askedBy: readonly number[][];
  readonly bytesOf: readonly number[];

  constructor({ services, edges, groupings }: ReportData) {
    this.services = services;
    this.edges = edges;
    this.edgeCount = edges.client.length;
    this.groupings = services.length > SERVICE_GROUPS_MAX ? groupings : [...groupings, {
      name: "service",
      meaning: "each service alone",
      groups: services,
      groupOf: services.map((_, i) => i),
    }];
    const asks: number[][] = services.map(() => []), askedBy: number[][] = services.map(() => []);
    const bytesOf = new Array<number>(services.length).fill(0);
    for (let edge = 0; edge < this.edgeCount; edge++) {
      const client = edges.client[edge]!, server = edges.server[edge]!;
      asks[client]!.push(edge);
      askedBy[server]!.push(edge);
      bytesOf[client]! += this.bytes(edge);
      if (server !== client) bytesOf[server]! += this.bytes(edge);
    }
    this.asks = asks;
    this.askedBy = askedBy;
    this.bytesOf = bytesOf;
  }

  /** Of both directions. */
  bytes(edge: number): number {
    return this.edges.tx_bytes[edge]! + this.edges.rx_bytes[edge]!;
  }

  /** Percent of the attempts to connect that failed. */
  failedPercent(connections: number, failed: number): number {
    return failed === 0 ? 0 : Number((100 * failed / (connections + failed)).toPrecision(3));
  }

  /** What goes between services, the most first. */
  serviceLines(edges: Iterable<number>): Line[] {
    return this.#lines(edges, (service) => service, this.services.length);
  }

  /** What goes between groups and within each, the most first. */
  groupLines({ groups, groupOf }: Grouping): Line[] {
    return this.#lines(this.edges.client.keys(), (service) => groupOf[service]!, groups.length);
  }

  #lines(edges: Iterable<number>, placeOf: (service: number) => number, places: number): Line[] {
    const lines = new Map<number, Line>();
    for (const edge of edges) {
      const from = placeOf(this.edges.client[edge]!), to = placeOf(this.edges.server[edge]!), key = from * places + to;
      let line = lines.get(key);
      if (line === undefined) lines.set(key, line = { from, to, bytes: 0, connections: 0, failed: 0, edges: [] });
      line.bytes += this.bytes(edge);
      line.connections += this.edges.connections[edge]!;
      line.failed += this.edges.failed_connections[edge]!;
      line.edges.push(edge);
    }
    return [...lines.values()].toSorted((a, b) => b.bytes - a.bytes || a.from - b.from || a.to - b.to);
  }

  /**
   * Services within so many steps of one: those that ask it, directly or by way of others, and those that it asks.
   *
   * @returns Steps by service, below 0 for those that ask; the nearest and strongest `max` of them, and how many there are.
   */
  neighbourhood(service: number, depth: number, max: number): { readonly steps: ReadonlyMap<number, number>; readonly all: number } {
    const steps = new Map([[service, 0]]), weights = new Map([[service, Infinity]]);
    for (const [side, edgesOf, end] of [[-1, this.askedBy, this.edges.client], [1, this.asks, this.edges.server]] as const) {
      const seen = new Set([service]);
      let layer = [service];
      for (let step = 1; step <= depth; step++) {
        const bytes = new Map<number, number>();
        for (const edge of layer.flatMap((at) => edgesOf[at]!)) bytes.set(end[edge]!, (bytes.get(end[edge]!) ?? 0) + this.bytes(edge));
        layer = [...bytes.keys()].filter((at) => !seen.has(at));
        for (const at of layer) {
          seen.add(at);
          if (steps.has(at) && Math.abs(steps.get(at)!) <= step) continue;
          steps.set(at, side * step);
          weights.set(at, bytes.get(at)!);
        }
      }
    }
    const order = [...steps.keys()].sort((a, b) =>
      Math.abs(steps.get(a)!) - Math.abs(steps.get(b)!) || weights.get(b)! - weights.get(a)! || a - b
    );
    return { steps: new Map(fairShare(order, steps, max).map((at) => [at, steps.get(at)!])), all: steps.size };
  }
}

/** The first of those asked and of those that ask: neither side takes the other's half where both need theirs. */
function fairShare(order: readonly number[], steps: ReadonlyMap<number, number>, max: number): readonly number[] {
  const asking = order.filter((at) => steps.get(at)! < 0),
    asked = order.filter((at) => steps.get(at)! > 0),
    half = Math.floor((max - 1) / 2);
  const askedShown = Math.max(half, max - 1 - asking.length);
  const shown = [...asking.slice(0, Math.max(half, max - 1 - asked.length)), ...asked.slice(0, askedShown)];
  return [...order.slice(0, 1), ...shown];
}
