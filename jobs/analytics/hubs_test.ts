/** What the graph step says of services. */

import assert from "node:assert/strict";
import { connectedComponents } from "graphology-components";
import { serviceGraph } from "../service_graph.ts";
import { cutPoints, measureServices } from "./hubs.ts";

Deno.test("cutPoints() finds the services without which there are more parts", () => {
  let state = 11;
  const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  for (let round = 0; round < 300; round++) {
    const pairs = new Set(Array.from({ length: 12 }, () => `${random(9)} ${random(9)}`));
    const graph = serviceGraph(Array.from(pairs, (pair) => [pair.split(" ")[0]!, pair.split(" ")[1]!, 1]));
    const parts = connectedComponents(graph).length;
    const expected = graph.nodes().filter((node) => {
      const without = graph.copy();
      without.dropNode(node);
      return connectedComponents(without).length > parts;
    });
    assert.deepEqual([...cutPoints(graph)].toSorted(), expected.toSorted(), [...pairs].join(", "));
  }
});

Deno.test("cutPoints() walks a chain of any length", () => {
  const graph = serviceGraph(Array.from({ length: 20_000 }, (_, i) => [`s${i}`, `s${i + 1}`, 1]));
  assert.equal(cutPoints(graph).size, 19_999);
});

Deno.test("measureServices() gives shares of a whole, circles, and whom a failure would reach", () => {
  const graph = serviceGraph([["a", "b", 10], ["b", "c", 20], ["c", "b", 5], ["c", "d", 1], ["e", "e", 3]]);
  const measures = measureServices(graph);
  assert.ok(Math.abs(measures.reduce((sum, { pageRank }) => sum + pageRank, 0) - 1) < 1e-4);
  assert.deepEqual(measures.map(({ service, cycle, blast, blastBytes }) => [service, cycle.join(""), blast, blastBytes]), [
    ["a", "", 0, 0],
    ["b", "bc", 2, 35],
    ["c", "bc", 2, 35],
    ["d", "", 3, 36],
    ["e", "e", 0, 3],
  ]);
});

Deno.test("measureServices() measures none where there is none", () => {
  assert.deepEqual(measureServices(serviceGraph([])), []);
});

Deno.test("measureServices() tells services apart that have the names of parts of every object", () => {
  const measures = measureServices(
    serviceGraph([["__proto__", "constructor", 1], ["constructor", "toString", 1], ["toString", "__proto__", 1]]),
  );
  assert.deepEqual(measures.map(({ service, cycle, pageRank }) => [service, cycle.length, pageRank.toFixed(2)]), [
    ["__proto__", 3, "0.33"],
    ["constructor", 3, "0.33"],
    ["toString", 3, "0.33"],
  ]);
});
