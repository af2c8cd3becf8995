/** What a failed link or switch would overload or cut off, and which services that hits. */

import { log } from "../../lib/log.ts";
import { type Engine, valuesView } from "../portable_sql.ts";
import { type Question, QuestionError } from "../question.ts";
import { type Failure, type Hop, readTopology, router, singleFailures, type Topology } from "../topology.ts";
import { type Analysis, createView, sqlFile } from "./analysis.ts";
import { createDemandViews } from "./capacity.ts";

/** Services that a row names. */
const SERVICES_MAX = 5;

export const linkFailure: Analysis = {
  name: "link-failure",
  description: "what every single failure of a link, switch or risk group would overload or cut off, and which services it hits",
  file: sqlFile("link_failure"),
  parameters: ["topology"],
  isGraph: false,
  prepare: async (engine: Engine, { topology }: Question) => {
    if (topology === null) throw new QuestionError("Cannot let links fail: no topology is given, needed --topology FILE");
    const network = await readTopology(topology);
    await createDemandViews(engine, network);
    await createView(engine, "planning_demand");
    await warnOfUnattached(engine);
    await engine.run(failureView(simulate(network, await readDemands(engine))));
  },
};

/** What has to go from one node to another. */
export interface Demand {
  readonly source: string;
  readonly target: string;
  readonly bps: number;
  /** Whose it is, the most first, each as "client -> server". */
  readonly services: readonly { readonly name: string; readonly bits: number }[];
}

/** What a failure does to a link in one direction, or, with no hop, to what it cuts off. */
export interface Impact {
  readonly failure: string;
  readonly hop: Hop | null;
  readonly healthyBps: number;
  readonly failedBps: number;
  readonly services: string;
}

async function readDemands(engine: Engine): Promise<Demand[]> {
  const { rows } = await engine.table("select source_node, target_node, bps from planning_demand order by source_node, target_node");
  const shares = await engine.table(`
    select source_node, target_node, client_service, server_service, cast(sum(bits) as bigint) as bits from node_demand
    where source_node is not null and target_node is not null
    group by source_node, target_node, client_service, server_service
    order by bits desc, client_service, server_service`);
  const services = Map.groupBy(shares.rows, (row) => JSON.stringify([row["source_node"], row["target_node"]]));
  return rows.map((row) => ({
    source: String(row["source_node"]),
    target: String(row["target_node"]),
    bps: Number(row["bps"]),
    services: (services.get(JSON.stringify([row["source_node"], row["target_node"]])) ?? []).map((of) => ({
      name: `${of["client_service"]} -> ${of["server_service"]}`,
      bits: Number(of["bits"]),
    })),
  }));
}

/** Routes every demand again for every failure. */
export function simulate(network: Topology, demands: readonly Demand[]): Impact[] {
  const healthy = route(network, demands, { name: "none", links: new Set() });
  const overloaded = [...healthy.loads.values()].filter(({ hop, bps }) => bps >= hop.link.capacityBps)
    .map(({ hop, bps }) => ({ failure: "none", hop, healthyBps: bps, failedBps: bps, services: "" }));
  return [...overloaded, ...singleFailures(network).flatMap((failure) => impactsOf(failure, healthy, route(network, demands, failure)))];
}

interface Routed {
  readonly loads: ReadonlyMap<string, { readonly hop: Hop; readonly bps: number }>;
  readonly cutOff: readonly Demand[];
  /** Demands by the links that they use. */
  readonly users: ReadonlyMap<Hop["link"], readonly Demand[]>;
}

function route(network: Topology, demands: readonly Demand[], { links }: Failure): Routed {
  const shares = router(network, links);
  const loads = new Map<string, { hop: Hop; bps: number }>(), cutOff: Demand[] = [];
  const users = new Map<Hop["link"], Demand[]>();
  for (const demand of demands) {
    if (demand.source === demand.target) continue;
    const ways = shares(demand.source, demand.target);
    if (ways === null) cutOff.push(demand);
    for (const [key, { hop, share }] of ways ?? []) {
      loads.set(key, { hop, bps: (loads.get(key)?.bps ?? 0) + demand.bps * share });
      users.set(hop.link, [...users.get(hop.link) ?? [], demand]);
    }
  }
  return { loads, cutOff, users };
}

function impactsOf(failure: Failure, healthy: Routed, failed: Routed): Impact[] {
  const hit = [...new Set([...failure.links].flatMap((link) => healthy.users.get(link) ?? []))];
  const services = serviceText(hit);
  const impacts: Impact[] = [];
  for (const [key, { hop, bps }] of failed.loads) {
    const before = healthy.loads.get(key)?.bps ?? 0;
    if (bps > before * (1 + 1e-9)) impacts.push({ failure: failure.name, hop, healthyBps: before, failedBps: bps, services });
  }
  const before = new Set(healthy.cutOff), cutOff = failed.cutOff.filter((demand) => !before.has(demand));
  if (cutOff.length === 0) return impacts;
  const bps = cutOff.reduce((sum, demand) => sum + demand.bps, 0);
  return [...impacts, { failure: failure.name, hop: null, healthyBps: bps, failedBps: 0, services: serviceText(cutOff) }];
}

function serviceText(demands: readonly Demand[]): string {
  const bits = new Map<string, number>();
  for (const { services } of demands) for (const service of services) bits.set(service.name, (bits.get(service.name) ?? 0) + service.bits);
  const names = [...bits].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const rest = names.length - SERVICES_MAX;
  return names.slice(0, SERVICES_MAX).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function failureView(impacts: readonly Impact[]): string {
  const columns = [
    ["failure", "text"],
    ["from_node", "text"],
    ["to_node", "text"],
    ["capacity_bps", "double"],
    ["healthy_bps", "double"],
    ["failed_bps", "double"],
    ["services", "text"],
  ] as const;
  return valuesView(
    "failure_impact",
    columns,
    impacts.map(({ failure, hop, healthyBps, failedBps, services }) => [
      failure,
      hop?.from ?? null,
      hop?.to ?? null,
      hop?.link.capacityBps ?? null,
      healthyBps,
      failedBps,
      services,
    ]),
  );
}

/** What the topology does not know is on none of its links. */
async function warnOfUnattached(engine: Engine): Promise<void> {
  const [row] = (await engine.table(`
    select round(100.0 * sum(case when source_node is null or target_node is null then bits else 0 end) / sum(bits), 2) as percent
    from node_demand`)).rows;
  const percent = Number(row?.["percent"] ?? 0);
  if (percent > 0) log("warn", "jobs", "traffic of addresses that no node of the topology has is left out", { percent });
}
