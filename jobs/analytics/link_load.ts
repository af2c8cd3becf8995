/** What demands put on links: split evenly, as planning has it, and by a hash of their real flows, as switches do. */

import { type Failure, hashRouter, type Hop, router, type Topology } from "../topology.ts";

/** Of a link's capacity, what makes one flow an elephant. */
export const ELEPHANT_SHARE = 0.1;

/** What has to go from one node to another. */
export interface Demand {
  readonly source: string;
  readonly target: string;
  readonly bps: number;
  readonly bpsPerDay: number;
  /** Whose it is, the most first, each as "client -> server". */
  readonly services: readonly { readonly name: string; readonly bits: number; readonly tier: number | null }[];
  /** Of its flows, by the place in which a hash puts them, the part of all bits. */
  readonly buckets: ReadonlyMap<number, number>;
  /** Its greatest flows, those that could be elephants. */
  readonly flows: readonly { readonly bucket: number; readonly peakBps: number }[];
}

/** What a link carries in one direction. */
export interface Load {
  readonly hop: Hop;
  readonly bps: number;
  readonly hashedBps: number;
  readonly elephants: number;
  readonly bpsPerDay: number;
}

export interface Routed {
  readonly loads: ReadonlyMap<string, Load>;
  readonly cutOff: readonly Demand[];
  /** Demands by the links that they use. */
  readonly users: ReadonlyMap<Hop["link"], readonly Demand[]>;
}

/** Routes every demand around what is down. */
export function route(network: Topology, demands: readonly Demand[], { links }: Failure): Routed {
  const shares = router(network, links), hashed = hashRouter(network, links);
  const loads = new Map<string, Load>(), cutOff: Demand[] = [], users = new Map<Hop["link"], Demand[]>();
  for (const demand of demands) {
    if (demand.source === demand.target) continue;
    const ways = shares(demand.source, demand.target);
    if (ways === null) {
      cutOff.push(demand);
      continue;
    }
    const taken = hashed(demand.source, demand.target, demand.buckets.keys());
    for (const [key, { hop, share }] of ways) {
      const before = loads.get(key), buckets = taken.get(key) ?? new Set();
      const part = demand.buckets.size === 0
        ? share
        : demand.buckets.entries().reduce((sum, [bucket, of]) => buckets.has(bucket) ? sum + of : sum, 0);
      const elephants = demand.flows.filter(({ bucket, peakBps }) =>
        peakBps >= ELEPHANT_SHARE * hop.link.capacityBps && buckets.has(bucket)
      );
      loads.set(key, {
        hop,
        bps: (before?.bps ?? 0) + demand.bps * share,
        hashedBps: (before?.hashedBps ?? 0) + demand.bps * part,
        elephants: (before?.elephants ?? 0) + elephants.length,
        bpsPerDay: (before?.bpsPerDay ?? 0) + demand.bpsPerDay * share,
      });
      const using = users.get(hop.link);
      if (using === undefined) users.set(hop.link, [demand]);
      else using.push(demand);
    }
  }
  return { loads, cutOff, users };
}
