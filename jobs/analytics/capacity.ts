/** How full links are, or how much services move, and when that will be too much. */

import { type Engine, valuesView } from "../portable_sql.ts";
import type { Question } from "../question.ts";
import { rangesView } from "../timed_ranges.ts";
import { type Hop, readTopology, router, type Topology } from "../topology.ts";
import { type Analysis, createView, sqlFile } from "./analysis.ts";

export const capacity: Analysis = {
  name: "capacity",
  description: "p95 and p99 of the busy hour, growth, and when a link will be full; without a topology of each service",
  file: sqlFile("capacity"),
  parameters: ["topology"],
  isGraph: false,
  prepare: async (engine: Engine, { topology }: Question) => {
    if (topology === null) {
      await createView(engine, "service_minute", "subject_minute");
      return await engine.keep("subject_minute");
    }
    const network = await readTopology(topology);
    await createDemandViews(engine, network);
    await engine.run(await linkSharesView(engine, network));
    await createView(engine, "link_minute", "subject_minute");
    await engine.keep("subject_minute");
  },
};

/** Makes node_demand. */
export async function createDemandViews(engine: Engine, { attached }: Topology): Promise<void> {
  await engine.run(rangesView("node_range", "node", attached));
  for (const view of ["address_node", "node_demand"]) await createView(engine, view);
  await engine.keep("node_demand");
}

/** The statement that makes link_share: of what goes from one node to another, the share that each hop carries. */
async function linkSharesView(engine: Engine, network: Topology): Promise<string> {
  const route = router(network, new Set());
  const { rows } = await engine.table(`
    select distinct source_node, target_node from node_demand where source_node is not null and target_node is not null`);
  const shares = rows.flatMap((row) => {
    const source = String(row["source_node"]), target = String(row["target_node"]);
    return [...route(source, target)?.values() ?? []].map(({ hop, share }) => shareRow(source, target, hop, share));
  });
  const columns = [
    ["source_node", "text"],
    ["target_node", "text"],
    ["from_node", "text"],
    ["to_node", "text"],
    ["capacity_bps", "double"],
    ["share", "double"],
  ] as const;
  return valuesView("link_share", columns, shares);
}

function shareRow(source: string, target: string, { link, from, to }: Hop, share: number): (string | number)[] {
  return [source, target, from, to, link.capacityBps, share];
}
