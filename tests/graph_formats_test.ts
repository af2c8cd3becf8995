/** Graphviz draws our DOT and graphology reads our GraphML, whatever a service is called. */

import assert from "node:assert/strict";
import { formatGraph } from "../jobs/graph_formats.ts";
import { GRAPH, HOSTILE } from "../jobs/testdata/graph.ts";
import { DirectedGraph } from "graphology";
import { parse } from "graphology-graphml";
import { missingCommand, testWith } from "./require.ts";

testWith(await missingCommand("dot", "-V"), "Graphviz draws the graph, with each name as it is", async () => {
  const child = new Deno.Command("dot", { args: ["-Tjson"], stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(formatGraph(GRAPH, "dot")));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { objects, edges } = JSON.parse(new TextDecoder().decode(stdout));
  const unescape = (text: string) => text.replace(/\\(.)/gs, (_, c) => c === "n" ? "\n" : c);
  assert.deepEqual(objects.map(({ label }: { label: string }) => unescape(label)), [HOSTILE.replace("\u0001", " "), "db", "web"]);
  assert.deepEqual(edges.map(({ tail, head, label }: Record<string, unknown>) => [tail, head, label]), [
    [2, 0, "80/tcp, 1.5 KiB, 1.5 ms"],
    [2, 1, "5432/tcp, 2 B"],
  ]);
});

Deno.test("graphology reads the GraphML: services by name, and the values of every edge", () => {
  const graph = parse(DirectedGraph, formatGraph(GRAPH, "graphml"));
  const services = graph.mapNodes((_, { service }) => service);
  assert.deepEqual(services, [HOSTILE.replace("\u0001", "\ufffd"), "db", "web"]);
  assert.deepEqual(graph.mapEdges((_, values, source, target) => ({ source, target, ...values })), [
    { source: "n2", target: "n0", server_port: 80, network_transport: "tcp", tx_bytes: 1_024, rx_bytes: 512, srtt_us: 1_500 },
    { source: "n2", target: "n1", server_port: 5_432, network_transport: "tcp", tx_bytes: 1, rx_bytes: 1 },
  ]);
});
