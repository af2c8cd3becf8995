/** Graphs come out as their readers take them, whatever a service is called. */

import assert from "node:assert/strict";
import { formatGraph } from "./graph_formats.ts";
import { GRAPH, HOSTILE } from "./testdata/graph.ts";

Deno.test("Mermaid has nothing special in its texts", () => {
  const [head, ...lines] = formatGraph(GRAPH, "mermaid").split("\n");
  assert.equal(head, "flowchart LR");
  assert.equal(lines.length, 5);
  for (const line of lines) assert.match(line, /^ {2}n\d(\["([\w .:,/()-]|#\d+;)*"\]| -->\|"([\w .:,/()-]|#\d+;)*"\| n\d)$/);
  const decoded = lines[0]!.replace(/^.*\["|"\]$/g, "").replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
  assert.equal(decoded, HOSTILE);
});

Deno.test("a JSON graph has every column of an edge", () => {
  const { graph } = JSON.parse(formatGraph(GRAPH, "graph-json"));
  assert.deepEqual(Object.keys(graph.nodes), [HOSTILE, "db", "web"]);
  assert.deepEqual(graph.edges[1], {
    source: "web",
    target: "db",
    relation: "depends on",
    metadata: { server_port: 5_432, network_transport: "tcp", tx_bytes: 1, rx_bytes: 1, srtt_us: null },
  });
});

Deno.test("Grafana's frames have as many values as nodes and edges, and name both ends of each", () => {
  const [nodes, edges] = JSON.parse(formatGraph(GRAPH, "node-graph"));
  const columns = (frame: { schema: { fields: { name: string }[] }; data: { values: unknown[][] } }) =>
    Object.fromEntries(frame.schema.fields.map(({ name }, i) => [name, frame.data.values[i]]));
  assert.deepEqual(columns(nodes), {
    id: [HOSTILE, "db", "web"],
    title: [HOSTILE, "db", "web"],
    mainstat: [1_536, 2, 0],
    secondarystat: [0, 0, 1_538],
  });
  const { id, source, target, mainstat } = columns(edges);
  assert.deepEqual({ id, source, target, mainstat }, {
    id: ["e0", "e1"],
    source: ["web", "web"],
    target: [HOSTILE, "db"],
    mainstat: ["80/tcp, 1.5 KiB, 1.5 ms", "5432/tcp, 2 B"],
  });
});
