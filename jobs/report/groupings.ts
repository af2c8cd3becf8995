/** Puts services into groups, so that a map of thousands can be read: by zone, by name, and by who talks with whom. */

// @ts-types="./louvain.d.ts"
import louvain from "graphology-communities-louvain";
import type { Engine } from "../portable_sql.ts";
import { nodeOf, serviceGraph } from "../service_graph.ts";
import type { Grouping, ReportEdges } from "./report_data.ts";

/** What nothing names goes by its address, each another name. */
const UNMANAGED = "unmanaged ";

/** Of more groups than this a map says no more than of services. */
const GROUPS_MAX = 100;

/** The zone that has the most of a service's bytes. */
const ZONES_SQL = `
select service, zone from (
  select service, zone, row_number() over (partition by service order by sum(bytes) desc, zone) as rank
  from (
    select client_service as service, client_zone as zone, tx_bytes + rx_bytes as bytes from zoned_conversation
    union all
    select server_service as service, server_zone as zone, tx_bytes + rx_bytes as bytes from zoned_conversation
  ) ends
  group by service, zone
) ranked
where rank = 1`;

/** Zone by service, of the view zoned_conversation. */
export async function zonesOf(engine: Engine): Promise<ReadonlyMap<string, string>> {
  const { rows } = await engine.table(ZONES_SQL);
  return new Map(rows.map((row) => [String(row["service"]), String(row["zone"])]));
}

/** @param zones By service; null where there are no zones. */
export function groupings(services: readonly string[], edges: ReportEdges, zones: ReadonlyMap<string, string> | null): Grouping[] {
  const byName = grouping("name", "services whose names begin alike: a namespace, or the first word", services.map(groupName));
  const found = [
    ...zones === null ? [] : [
      grouping(
        "zone",
        "services that have most of their traffic in one security zone",
        services.map((name) => zones.get(name) ?? "unzoned"),
      ),
    ],
    byName,
    grouping(
      "community",
      "services that talk with each other more than with others (Louvain), named after the greatest",
      communities(services, edges),
    ),
  ];
  const isTelling = ({ name, groups }: Grouping) =>
    name === "zone" || groups.length > 1 && groups.length <= Math.min(GROUPS_MAX, services.length / 2);
  return [...found.filter(isTelling), ...found.filter((each) => !isTelling(each))];
}

/** "payments/api" of a namespace, "payments-api-7", "payments.service". */
export function groupName(service: string): string {
  if (service.startsWith(UNMANAGED)) return UNMANAGED.trim();
  const slash = service.indexOf("/");
  if (slash > 0) return service.slice(0, slash);
  return /^[^-._:@ ]+/.exec(service)?.[0] ?? service;
}

function communities(services: readonly string[], edges: ReportEdges): string[] {
  if (services.length === 0) return [];
  const bytes = new Map<number, number>();
  edges.client.forEach((client, i) => {
    const pair = client * services.length + edges.server[i]!;
    bytes.set(pair, (bytes.get(pair) ?? 0) + edges.tx_bytes[i]! + edges.rx_bytes[i]!);
  });
  const pairs = [...bytes].map(([pair, sum]) =>
    [services[Math.floor(pair / services.length)]!, services[pair % services.length]!, sum] as const
  );
  const found = louvain(serviceGraph(pairs), { getEdgeWeight: "bytes", randomWalk: false });
  // Services come with the greatest first.
  const greatest = new Map<number, string>();
  const communityOf = (service: string) => found[nodeOf(service)]!;
  for (const service of services) if (!greatest.has(communityOf(service))) greatest.set(communityOf(service), service);
  return services.map((service) => `around ${greatest.get(communityOf(service))}`);
}

function grouping(name: string, meaning: string, groupOfService: readonly string[]): Grouping {
  const groups = [...new Set(groupOfService)], places = new Map(groups.map((group, i) => [group, i]));
  return { name, meaning, groups, groupOf: groupOfService.map((group) => places.get(group)!) };
}
