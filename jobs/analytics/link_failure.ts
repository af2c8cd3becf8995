/** What a failed link or switch would overload or cut off, and which services that hits. */

import { log } from "../../lib/log.ts";
import { readTiers } from "../names.ts";
import { type Answer, type Engine, valuesView } from "../portable_sql.ts";
import { type Question, QuestionError } from "../question.ts";
import { type Failure, readTopology, singleFailures, type Topology } from "../topology.ts";
import { type Analysis, createView, sqlFile } from "./analysis.ts";
import { createDemandViews } from "./capacity.ts";
import { type Demand, ELEPHANT_SHARE, type Load, route, type Routed } from "./link_load.ts";

/** Services that a row names. */
const SERVICES_MAX = 5;
/** So many times the even share of a link is told where nothing has failed, too. */
const UNEVEN = 1.05;

export const linkFailure: Analysis = {
  name: "link-failure",
  description:
    "what every single failure of a link, switch, risk group or maintenance would overload or cut off, and which services it hits",
  file: sqlFile("link_failure"),
  parameters: ["topology"],
  isGraph: false,
  prepare: async (engine: Engine, { topology, names }: Question) => {
    if (topology === null) throw new QuestionError("Cannot let links fail: no topology is given, needed --topology FILE");
    const network = await readTopology(topology), tiers = await readTiers(names);
    await createDemandViews(engine, network);
    for (const view of ["planning_demand", "demand_growth", "tuple_rate"]) await createView(engine, view);
    await engine.keep("tuple_rate");
    await warnOfUnattached(engine);
    const demands = await readDemands(engine, network, tiers);
    await engine.run(failureView(simulate(network, demands), await lastDay(engine)));
  },
};

/** What a failure does to a link in one direction, or, with no hop, to what it cuts off. */
export interface Impact {
  readonly failure: string;
  readonly load: Load | null;
  readonly healthyBps: number;
  readonly failedBps: number;
  readonly services: string;
  /** The most critical of them; null where none has a tier. */
  readonly tier: number | null;
}

async function readDemands(engine: Engine, { links }: Topology, tiers: ReadonlyMap<string, number>): Promise<Demand[]> {
  const { rows } = await engine.table(`
    select d.source_node, d.target_node, d.bps, g.bps_per_day
    from planning_demand d
    join demand_growth g on g.source_node = d.source_node and g.target_node = d.target_node
    order by d.source_node, d.target_node`);
  const shares = await engine.table(`
    select source_node, target_node, client_service, server_service, cast(sum(bits) as bigint) as bits from node_demand
    where source_node is not null and target_node is not null
    group by source_node, target_node, client_service, server_service
    order by bits desc, client_service, server_service`);
  const buckets = await engine.table(`
    select source_node, target_node, bucket, sum(bits) as bits from tuple_rate
    group by source_node, target_node, bucket order by source_node, target_node, bucket`);
  const elephantBps = ELEPHANT_SHARE * Math.min(...links.map(({ capacityBps }) => capacityBps));
  const flows = await engine.table(`
    select source_node, target_node, bucket, peak_bps from tuple_rate where peak_bps >= ${Number.isFinite(elephantBps) ? elephantBps : 0}`);
  const pair = (row: Answer["rows"][number]) => JSON.stringify([row["source_node"], row["target_node"]]);
  const [services, bucketsOf, flowsOf] = [shares, buckets, flows].map((answer) => Map.groupBy(answer.rows, pair));
  const tierOf = (row: Answer["rows"][number]) =>
    least([row["client_service"], row["server_service"]].map((name) => tiers.get(String(name)) ?? null));
  return rows.map((row) => {
    const ofBuckets = bucketsOf!.get(pair(row)) ?? [], bits = ofBuckets.reduce((sum, of) => sum + Number(of["bits"]), 0);
    return {
      source: String(row["source_node"]),
      target: String(row["target_node"]),
      bps: Number(row["bps"]),
      bpsPerDay: Number(row["bps_per_day"] ?? 0),
      services: (services!.get(pair(row)) ?? []).map((of) => ({
        name: `${of["client_service"]} -> ${of["server_service"]}`,
        bits: Number(of["bits"]),
        tier: tierOf(of),
      })),
      buckets: new Map(ofBuckets.map((of) => [Number(of["bucket"]), Number(of["bits"]) / bits])),
      flows: (flowsOf!.get(pair(row)) ?? []).map((of) => ({ bucket: Number(of["bucket"]), peakBps: Number(of["peak_bps"]) })),
    };
  });
}

function least(values: Iterable<number | null>): number | null {
  let found: number | null = null;
  for (const value of values) if (value !== null && (found === null || value < found)) found = value;
  return found;
}

/** Days since 1970 of the last one that is asked about. */
async function lastDay(engine: Engine): Promise<number> {
  const [row] = (await engine.table("select max(last_day) as last_day from demand_growth")).rows;
  return Number(row?.["last_day"] ?? 0);
}

/** Routes every demand again for every failure. */
function simulate(network: Topology, demands: readonly Demand[]): Impact[] {
  const healthy = route(network, demands, { name: "none", links: new Set() });
  const isTold = ({ hop, bps, hashedBps }: Load) => bps >= hop.link.capacityBps || hashedBps >= UNEVEN * bps;
  const told = [...healthy.loads.values()].filter(isTold).map((load) => ({
    failure: "none",
    load,
    healthyBps: load.bps,
    failedBps: load.bps,
    services: "",
    tier: null,
  }));
  return [...told, ...singleFailures(network).flatMap((failure) => impactsOf(failure, healthy, route(network, demands, failure)))];
}

function impactsOf(failure: Failure, healthy: Routed, failed: Routed): Impact[] {
  const hit = [...new Set([...failure.links].flatMap((link) => healthy.users.get(link) ?? []))];
  const services = serviceText(hit), tier = tierOfAll(hit), impacts: Impact[] = [];
  for (const [key, load] of failed.loads) {
    const before = healthy.loads.get(key)?.bps ?? 0;
    if (load.bps > before * (1 + 1e-9)) {
      impacts.push({ failure: failure.name, load, healthyBps: before, failedBps: load.bps, services, tier });
    }
  }
  const before = new Set(healthy.cutOff), cutOff = failed.cutOff.filter((demand) => !before.has(demand));
  if (cutOff.length === 0) return impacts;
  const bps = cutOff.reduce((sum, demand) => sum + demand.bps, 0);
  return [...impacts, {
    failure: failure.name,
    load: null,
    healthyBps: bps,
    failedBps: 0,
    services: serviceText(cutOff),
    tier: tierOfAll(cutOff),
  }];
}

function tierOfAll(demands: readonly Demand[]): number | null {
  return least(demands.flatMap(({ services }) => services.map(({ tier }) => tier)));
}

function serviceText(demands: readonly Demand[]): string {
  const bits = new Map<string, number>();
  for (const { services } of demands) for (const service of services) bits.set(service.name, (bits.get(service.name) ?? 0) + service.bits);
  const names = [...bits].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const rest = names.length - SERVICES_MAX;
  return names.slice(0, SERVICES_MAX).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function failureView(impacts: readonly Impact[], lastDay: number): string {
  const columns = [
    ["failure", "text"],
    ["from_node", "text"],
    ["to_node", "text"],
    ["capacity_bps", "double"],
    ["healthy_bps", "double"],
    ["failed_bps", "double"],
    ["hashed_bps", "double"],
    ["elephant_flows", "whole"],
    ["growth_bps_per_day", "double"],
    ["last_day", "whole"],
    ["tier", "whole"],
    ["services", "text"],
  ] as const;
  return valuesView(
    "failure_impact",
    columns,
    impacts.map(({ failure, load, healthyBps, failedBps, services, tier }) => [
      failure,
      load?.hop.from ?? null,
      load?.hop.to ?? null,
      load?.hop.link.capacityBps ?? null,
      healthyBps,
      failedBps,
      load?.hashedBps ?? null,
      load?.elephants ?? null,
      load?.bpsPerDay ?? null,
      lastDay,
      tier,
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
