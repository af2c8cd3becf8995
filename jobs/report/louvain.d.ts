/** The function of graphology-communities-louvain as Deno gives it: the package's own types have it one level deeper. */

import type { ServiceGraph } from "../service_graph.ts";

export default function louvain(
  graph: ServiceGraph,
  options: { readonly getEdgeWeight: "bytes"; readonly randomWalk: false },
): Readonly<Record<string, number>>;
