/** The services that a service asks, or that ask it, and theirs, so many steps away. */

import { bfsFromNode } from "graphology-traversal";
import { type Engine, valuesView } from "../portable_sql.ts";
import { assertService, type Question, QuestionError } from "../question.ts";
import { nodeOf, readServiceGraph, type ServiceGraph, serviceOf } from "../service_graph.ts";
import { type Analysis, sqlFile } from "./analysis.ts";

type Direction = "upstream" | "downstream";

export const upstream = neighbours("upstream", "who depends on a service, directly and by way of others");
export const downstream = neighbours("downstream", "what a service depends on, directly and by way of others");

function neighbours(name: Direction, description: string): Analysis {
  return {
    name,
    description,
    file: sqlFile("neighbours"),
    parameters: ["service", "rollup"],
    isGraph: true,
    reads: "edges",
    prepare: async (engine: Engine, { service, depth }: Question) => {
      if (service === null) throw new QuestionError(`Cannot look ${name}: no service is given, needed one`);
      await assertService(engine, service);
      const edges = reachedEdges(await readServiceGraph(engine), service, depth, name);
      await engine.run(
        valuesView("reached_edge", [["client_service", "text"], ["server_service", "text"], ["distance", "whole"]], edges),
      );
    },
  };
}

/** Edges on the ways of at most `depth` steps, each with the step that it is. */
function reachedEdges(graph: ServiceGraph, service: string, depth: number, direction: Direction): [string, string, number][] {
  const edges: [string, string, number][] = [];
  const mode = direction === "downstream" ? "outbound" : "inbound";
  bfsFromNode(graph, nodeOf(service), (node, _attributes, distance) => {
    if (distance >= depth) return true;
    for (const edge of mode === "outbound" ? graph.outEdges(node) : graph.inEdges(node)) {
      edges.push([serviceOf(graph.source(edge)), serviceOf(graph.target(edge)), distance + 1]);
    }
    return false;
  }, { mode });
  return edges;
}
