/**
 * Precision and recall of the dependency graph's edges over fleets whose edges are known (bench/topology.ts).
 *
 *     deno task bench edges
 */

import { analyse, ANALYSES } from "../jobs/analytics.ts";
import { goldenDatabase } from "../jobs/testdata/golden.ts";
import { formatTable } from "./table.ts";
import { makeTopology } from "./topology.ts";

const FLEETS = 5;

const graph = ANALYSES.find(({ name }) => name === "dependency-graph")!;
const rows: string[][] = [];
for (let seed = 1; seed <= FLEETS; seed++) {
  const { csv, edges } = makeTopology(seed), file = await Deno.makeTempFile({ suffix: ".csv" });
  await Deno.writeTextFile(file, csv);
  using database = await goldenDatabase(file);
  const found = (await analyse(database, graph)).rows.map((row) =>
    ["client_service", "server_service", "server_port", "connections", "tx_bytes", "rx_bytes"].map((name) => String(row[name])).join(" ")
  );
  const edge = (text: string) => text.split(" ").slice(0, -3).join(" ");
  const known = new Set(edges.map(({ client, server, port }) => `${client} ${server} ${port}`)), seen = new Set(found.map(edge));
  const right = new Set(edges.map((e) => `${e.client} ${e.server} ${e.port} ${e.connections} ${e.txBytes} ${e.rxBytes}`));
  rows.push([
    String(seed),
    String(known.size),
    (seen.intersection(known).size / seen.size).toFixed(4),
    (seen.intersection(known).size / known.size).toFixed(4),
    String(found.filter((text) => right.has(text)).length),
  ]);
  await Deno.remove(file);
}
console.log(formatTable(["fleet", "edges", "precision", "recall", "edges with the right amounts"], rows));
