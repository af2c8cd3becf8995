/** The services that much depends on. */

import { stronglyConnectedComponents } from "graphology-components";
import { pagerank } from "graphology-metrics/centrality";
import { type Engine, valuesView } from "../portable_sql.ts";
import { readServiceGraph, type ServiceGraph, serviceOf } from "../service_graph.ts";
import { type Analysis, sqlFile } from "./analysis.ts";

export const hubs: Analysis = {
  name: "hubs",
  description: "services by how much depends on them: fan-in, fan-out, PageRank, cut points, cycles and blast radius",
  file: sqlFile("hubs"),
  parameters: ["rollup"],
  isGraph: false,
  reads: "edges",
  prepare: async (engine: Engine) => {
    const columns = [
      ["service", "text"],
      ["page_rank", "double"],
      ["is_cut_point", "whole"],
      ["cycle_services", "whole"],
      ["cycle_with", "text"],
      ["blast_services", "whole"],
      ["blast_bytes", "whole"],
    ] as const;
    const measures = measureServices(await readServiceGraph(engine));
    const rows = measures.map((
      m,
    ) => [m.service, m.pageRank, m.isCutPoint ? 1 : 0, m.cycle.length, m.cycle[0] ?? null, m.blast, m.blastBytes]);
    await engine.run(valuesView("service_measure", columns, rows));
  },
};

interface ServiceMeasure {
  readonly service: string;
  /** Weighted by bytes; of all services together 1. */
  readonly pageRank: number;
  /** Without it the graph falls into more parts. */
  readonly isCutPoint: boolean;
  /** Services that depend on each other in a circle with this one, itself among them, by name; none where it is in no circle. */
  readonly cycle: readonly string[];
  /** Services that depend on it, directly and by way of others. */
  readonly blast: number;
  /** Bytes of the edges on their ways to it. */
  readonly blastBytes: number;
}

export function measureServices(graph: ServiceGraph): ServiceMeasure[] {
  if (graph.order === 0) return [];
  const ranks = pagerank(graph, { getEdgeWeight: (_edge, { bytes }) => bytes + 1, maxIterations: 10_000, tolerance: 1e-10 });
  const cuts = cutPoints(graph);
  const cycles = new Map<string, readonly string[]>();
  for (const component of stronglyConnectedComponents(graph)) {
    const nodes = component.toSorted(), services = nodes.map(serviceOf);
    for (const node of nodes) cycles.set(node, nodes.length > 1 || graph.hasEdge(node, node) ? services : []);
  }
  const blasts = blastRadii(graph);
  return graph.nodes().map((node, i) => {
    const { services, bytes } = blasts[i]!;
    return {
      service: serviceOf(node),
      pageRank: ranks[node] ?? 0,
      isCutPoint: cuts.has(node),
      cycle: cycles.get(node) ?? [],
      blast: services,
      blastBytes: bytes,
    };
  });
}

/**
 * Who depends on each service, by the numbers of nodes: a walk from each of thousands of services through all edges is too many steps
 * for a graph of objects.
 */
function blastRadii(graph: ServiceGraph): readonly { readonly services: number; readonly bytes: number }[] {
  const nodes = graph.nodes(), indexOf = new Map(nodes.map((node, i) => [node, i]));
  const clients = nodes.map((node) => Int32Array.from(graph.mapInEdges(node, (_edge, _attributes, client) => indexOf.get(client)!)));
  const bytesIn = nodes.map((node) => graph.reduceInEdges(node, (sum, _edge, { bytes }) => sum + bytes, 0));
  const seenBy = new Int32Array(nodes.length).fill(-1), queue = new Int32Array(nodes.length);
  return nodes.map((_, start) => {
    let length = 1, bytes = 0;
    queue[0] = start;
    seenBy[start] = start;
    for (let at = 0; at < length; at++) {
      const node = queue[at]!;
      bytes += bytesIn[node]!;
      for (const client of clients[node]!) {
        if (seenBy[client] === start) continue;
        seenBy[client] = start;
        queue[length++] = client;
      }
    }
    return { services: length - 1, bytes };
  });
}

/**
 * Nodes whose removal leaves more parts, whichever way edges point: Tarjan's low points (SIAM J. Comput. 1(2), 1972, section 3), with
 * a stack of our own, as a chain of services may be longer than the engine's.
 */
export function cutPoints(graph: ServiceGraph): Set<string> {
  const order = new Map<string, number>(), low = new Map<string, number>(), cuts = new Set<string>();
  for (const root of graph.nodes()) {
    if (order.has(root)) continue;
    let rootChildren = 0;
    const stack = [visit(root, null)];
    while (stack.length > 0) {
      const { node, parent, neighbours } = stack.at(-1)!;
      const neighbour = neighbours.pop();
      if (neighbour !== undefined) {
        if (!order.has(neighbour)) stack.push(visit(neighbour, node));
        else if (neighbour !== parent) low.set(node, Math.min(low.get(node)!, order.get(neighbour)!));
        continue;
      }
      stack.pop();
      if (parent === null) continue;
      low.set(parent, Math.min(low.get(parent)!, low.get(node)!));
      if (parent === root) rootChildren++;
      else if (low.get(node)! >= order.get(parent)!) cuts.add(parent);
    }
    if (rootChildren > 1) cuts.add(root);
  }
  return cuts;

  function visit(node: string, parent: string | null) {
    order.set(node, order.size);
    low.set(node, order.get(node)!);
    return { node, parent, neighbours: graph.neighbors(node) };
  }
}
