/** Faults that are injected one at a time into a cell, and what the verdict on each of its edges must be then. */

import { type Edge, EDGES, HOSTS, SERVICES } from "./cell.ts";
import type { Cell, Path } from "./yard.ts";

export type Verdict =
  | "network path"
  | "remote host"
  | "remote application"
  | "local host"
  | "local application"
  | "insufficient data"
  | "healthy";

export interface Fault {
  readonly kind: string;
  /** Where, and how much. */
  readonly detail: string;
  readonly inject: (cell: Cell) => Promise<void>;
  /** Edges that are not healthy. */
  readonly expected: ReadonlyMap<Edge, Verdict>;
}

/** Numbers from 0 to before 1 of a seed (mulberry32). */
type Random = () => number;

function randomOf(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(random: Random, from: readonly T[]): T {
  const picked = from[Math.floor(random() * from.length)];
  if (picked === undefined) throw new Error("Cannot pick: there is nothing to pick from");
  return picked;
}

function between(random: Random, least: number, most: number): number {
  return Math.round(least + random() * (most - least));
}

type Kind = (random: Random) => Omit<Fault, "kind">;

const expecting = (edges: readonly Edge[], verdict: Verdict) => new Map(edges.map((edge) => [edge, verdict] as const));

/** Something on the way between two hosts, in both directions. */
function onPath(random: Random, path: Partial<Path>, detail: string): Omit<Fault, "kind"> {
  const { from, to } = pick(random, EDGES);
  return {
    detail: `hosts ${from} and ${to}, ${detail}`,
    inject: (cell) => cell.setPath(from, to, path),
    expected: expecting(EDGES.filter((edge) => edge.from === from && edge.to === to), "network path"),
  };
}

/** Something that one end of an edge's exchanges does. */
function atClient(random: Random, kinds: readonly Edge["kind"][], what: string, value: number): Omit<Fault, "kind"> {
  const edge = pick(random, EDGES.filter(({ kind }) => kinds.includes(kind)));
  return {
    detail: `${edge.client} to ${edge.server}, ${what} ${value}`,
    inject: (cell) => cell.order(edge.client, `ask ${edge.index} ${what} ${value}`),
    expected: expecting([edge], "local application"),
  };
}

function atServer(random: Random, servers: readonly string[], order: string, kinds?: readonly Edge["kind"][]): Omit<Fault, "kind"> {
  const server = pick(random, servers);
  const edges = EDGES.filter((edge) => edge.server === server && (kinds === undefined || kinds.includes(edge.kind)));
  return {
    detail: `${server}, ${order}`,
    inject: (cell) => cell.order(server, order),
    expected: expecting(edges, "remote application"),
  };
}

const SERVERS = SERVICES.filter(({ port }) => port > 0).map(({ name }) => name);

/** Everything on a host goes slowly: it is remote to who asks it, and local where it asks. */
function starved(random: Random, hosts: readonly number[]): Omit<Fault, "kind"> {
  const host = pick(random, hosts);
  return {
    detail: `host ${host}`,
    inject: (cell) => cell.starve(host),
    expected: new Map([
      ...expecting(EDGES.filter(({ to }) => to === host), "remote host"),
      ...expecting(EDGES.filter(({ from }) => from === host), "local host"),
    ]),
  };
}

const KINDS: Readonly<Record<string, Kind>> = {
  "delay": (random) => {
    const ms = between(random, 5, 60);
    return onPath(random, { delayUs: ms * 1_000 }, `${ms} ms each way`);
  },
  "loss": (random) => {
    const percent = between(random, 2, 8);
    return onPath(random, { lossPpm: percent * 10_000 }, `${percent} %`);
  },
  "reordering": (random) => {
    const percent = between(random, 10, 30);
    return onPath(random, { reorderPpm: percent * 10_000 }, `${percent} %`);
  },
  "narrow path": (random) => {
    const kilobytes = between(random, 12, 20);
    return onPath(random, { bytesPerSecond: kilobytes * 1_000 }, `${kilobytes} kB/s`);
  },
  "cut path": (random) => onPath(random, { lossPpm: 1_000_000 }, "nothing goes through"),
  "slow reader, server": (random) => atServer(random, ["store", "cache"], `serve read ${between(random, 4_000, 12_000)}`, ["push"]),
  "slow reader, client": (random) => atClient(random, ["pull"], "read", between(random, 4_000, 12_000)),
  "slow sender, server": (random) => atServer(random, ["api", "store", "cache"], `serve write ${between(random, 4_000, 12_000)}`, ["pull"]),
  "slow sender, client": (random) => atClient(random, ["push"], "write", between(random, 4_000, 12_000)),
  "slow answers": (random) => atServer(random, SERVERS, `serve pause ${between(random, 2_500, 4_000)}`),
  "slow asking": (random) => atClient(random, ["exchange"], "pause", between(random, 2_500, 4_000)),
  "server host without processor time": (random) => starved(random, [3]),
  "client host without processor time": (random) => starved(random, [0, 1]),
  "middle host without processor time": (random) => starved(random, [2]),
  "full accept queue": (random) => atServer(random, SERVERS, "accept 0"),
  "refused": (random) => atServer(random, SERVERS, "listen 0"),
  "reset by the server": (random) => atServer(random, SERVERS, `serve reset ${between(random, 30, 100)}`),
  "dead host": (random) => {
    const host = pick(random, [3]);
    return {
      detail: `host ${host}`,
      inject: async (cell) => {
        for (const other of HOSTS) if (other !== host) await cell.setPath(other, host, { lossPpm: 1_000_000 });
      },
      expected: expecting(EDGES.filter(({ to }) => to === host), "remote host"),
    };
  },
};

export const KIND_NAMES: readonly string[] = Object.keys(KINDS);

/** So many faults, of every kind in turn. */
export function faultsOf(seed: number, count: number, kinds: readonly string[] = KIND_NAMES): Fault[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, (_, i) => {
    const kind = kinds[i % kinds.length]!, make = KINDS[kind];
    if (make === undefined) throw new Error(`Cannot inject "${kind}": needed one of ${KIND_NAMES.join(", ")}`);
    return { kind, ...make(random) };
  });
}
