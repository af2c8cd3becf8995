/** The services and who asks whom, as a graph in memory: for what SQL is the wrong tool. */

import { DirectedGraph } from "graphology";
import type { Engine } from "./portable_sql.ts";

/** Nodes are services, by `nodeOf()`; of an edge, `bytes` are those of both directions over all ports. */
export type ServiceGraph = DirectedGraph<Record<string, never>, { readonly bytes: number }>;

const EDGES_SQL = `
select client_service, server_service, cast(sum(tx_bytes + rx_bytes) as bigint) as bytes
from named_edge
group by client_service, server_service
order by client_service, server_service`;

/** The graph of named_edge. */
export async function readServiceGraph(engine: Engine): Promise<ServiceGraph> {
  const { rows } = await engine.table(EDGES_SQL);
  return serviceGraph(rows.map((row) => [String(row["client_service"]), String(row["server_service"]), Number(row["bytes"])]));
}

/** @param edges Each pair once. */
export function serviceGraph(edges: readonly (readonly [client: string, server: string, bytes: number])[]): ServiceGraph {
  const graph: ServiceGraph = new DirectedGraph({ allowSelfLoops: true });
  for (const [client, server, bytes] of edges) {
    graph.mergeNode(nodeOf(client));
    graph.mergeNode(nodeOf(server));
    graph.addEdge(nodeOf(client), nodeOf(server), { bytes });
  }
  return graph;
}

/** Nodes are keys of plain objects in graphology, where a service called "constructor" would be found before it is there. */
export function nodeOf(service: string): string {
  return `=${service}`;
}

/** The service of a node. */
export function serviceOf(node: string): string {
  return node.slice(1);
}
