/** Truth: over more than 10,000 connections of every kind, what the lake holds beside what both processes counted. */

import { type ObservedPlan, observeTraffic } from "../tests/traffic/observed.ts";
import { KINDS } from "../tests/traffic/plan.ts";
import { formatTable } from "./table.ts";

const CONNECTIONS = 14_000, LONG_PER_PLAN = 10, WINDOW_S = 5;

const startMs = performance.now();
const { ends, ledgers: { agent, collector }, lakeEvents } = await observeTraffic(
  { kinds: KINDS, connections: CONNECTIONS, longPerPlan: LONG_PER_PLAN, concurrency: 64, perSecond: 1_000 },
  await Deno.makeTempDir(),
  WINDOW_S,
);
const durationS = (performance.now() - startMs) / 1_000;

const isEqual = ({ counted, observed }: ObservedPlan) => JSON.stringify(counted) === JSON.stringify(observed);
const rows = ends.map((row) => {
  const { plan: { kind, family }, end, counted, observed } = row;
  const both = (figure: keyof typeof counted) => `${counted[figure]} = ${observed?.[figure] ?? "none"}`;
  const connections = both(kind === "refused" ? "refused" : "connections");
  return [kind, family, end, connections, both("tx_bytes"), both("rx_bytes"), isEqual(row) ? "yes" : "NO"];
});
console.log("as the processes counted = as the lake has it\n");
console.log(formatTable(["kind", "family", "seen by", "connections", "Tx bytes", "Rx bytes", "equal"], rows));

const connections = ends.filter(({ end }) => end === "client").reduce((sum, { counted }) => sum + counted.connections + counted.refused, 0);
const lost = ["ring_lost_events", "map_full_sockets", "send_lost_records"].reduce((sum, name) => sum + agent[name]!, 0);
const steps = [agent["flow_records"]!, collector["flow_records_received"]!, collector["events_published"]!, lakeEvents];
console.log(
  `\n${connections} connections in ${durationS.toFixed(1)} s; ${ends.filter(isEqual).length} of ${ends.length} ends equal in every figure`,
);
console.log(`ledger: ${agent["kernel_events"]} kernel events, ${lost} lost on the way`);
console.log(`ledger: flow records made ${steps[0]}, received ${steps[1]}, in the topic ${steps[2]}, in the lake ${steps[3]}`);
const isTrue = connections >= 10_000 && ends.every(isEqual) && lost === 0 && new Set(steps).size === 1;
console.log(isTrue ? "exact" : "NOT exact");
Deno.exit(isTrue ? 0 : 1);
