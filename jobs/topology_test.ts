/** Ways through a network: shares add up, and files that are wrong are refused. */

import assert from "node:assert/strict";
import { HASH_BUCKETS, hashRouter, linkName, readTopology, router, singleFailures, type Topology } from "./topology.ts";

function network(nodes: number, links: readonly (readonly [number, number])[]): Topology {
  return {
    nodes: Array.from({ length: nodes }, (_, i) => `n${i}`),
    links: links.map(([a, b]) => ({ a: `n${a}`, b: `n${b}`, capacityBps: 1, riskGroup: null })),
    attached: [],
    maintenance: [],
  };
}

Deno.test("router() sends all that is asked from source to target, and keeps none on the way", () => {
  let state = 5;
  const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  for (let round = 0; round < 100; round++) {
    const pairs = new Map<string, [number, number]>();
    for (let i = 0; i < 14; i++) {
      const a = random(8), b = random(8);
      if (a !== b) pairs.set([a, b].toSorted().join(" "), [a, b]);
    }
    const topology = network(8, [...pairs.values()]);
    const shares = router(topology, new Set())("n0", "n7");
    if (shares === null) continue;
    const net = new Map<string, number>();
    for (const { hop, share } of shares.values()) {
      net.set(hop.from, (net.get(hop.from) ?? 0) + share);
      net.set(hop.to, (net.get(hop.to) ?? 0) - share);
    }
    for (const node of topology.nodes) {
      const expected = node === "n0" ? 1 : node === "n7" ? -1 : 0;
      assert.ok(Math.abs((net.get(node) ?? 0) - expected) < 1e-9, `round ${round}, ${node}`);
    }
  }
});

Deno.test("router() splits evenly at each node, along shortest ways alone, and finds none where there is none", () => {
  const diamond = network(6, [[0, 1], [0, 2], [1, 3], [2, 3], [0, 4], [4, 5], [5, 3]]);
  const shares = router(diamond, new Set())("n0", "n3")!;
  assert.deepEqual(Object.fromEntries([...shares].map(([key, { share }]) => [key, share])), {
    "n0>n1": 0.5,
    "n0>n2": 0.5,
    "n1>n3": 0.5,
    "n2>n3": 0.5,
  });
  const [first, second, , , fifth] = diamond.links;
  assert.equal(router(diamond, new Set([first!, second!, fifth!]))("n0", "n3"), null);
});

Deno.test("singleFailures() has every link, switch, and risk group of several links", () => {
  const { nodes, links } = network(3, [[0, 1], [1, 2], [0, 2]]);
  const grouped = links.map((link, i) => ({ ...link, riskGroup: i < 2 ? "duct" : "alone" }));
  const failures = singleFailures({ nodes, links: grouped, attached: [], maintenance: [] });
  assert.deepEqual(failures.map(({ name, links }) => `${name}: ${links.size}`), [
    "link n0-n1: 1",
    "link n1-n2: 1",
    "link n0-n2: 1",
    "switch n0: 2",
    "switch n1: 2",
    "switch n2: 2",
    "group duct: 2",
  ]);
});

const GOOD = "nodes: [{name: a}, {name: b}]\n";

const FAULTS: readonly (readonly [text: string, message: RegExp])[] = [
  [`${GOOD}links:\n- {a: a, b: c, capacity_bps: 1}\nattached: []\n`, /line 3: there is no node "c", needed one of a, b/],
  [`${GOOD}links:\n- {a: a, b: a, capacity_bps: 1}\nattached: []\n`, /line 3: a link of "a" to itself/],
  [
    `${GOOD}links:\n- {a: a, b: b, capacity_bps: 1}\n- {a: b, b: a, capacity_bps: 1}\nattached: []\n`,
    /line 4: the link of line 3 has the same ends/,
  ],
  [`${GOOD}links:\n- {a: a, b: b, capacity_bps: 0}\nattached: []\n`, /line 3: .*capacity_bps.*needed bits per second, more than 0/],
  [`${GOOD}links: []\nattached:\n- {addresses: 10.0.0.0/8, node: z}\n`, /line 4: there is no node "z"/],
  [
    `${GOOD}links:\n- {a: a, b: b, capacity_bps: 1}\nattached: []\nmaintenance:\n- {name: m, links: [[a, z]]}\n`,
    /line 6: there is no link of "a" and "z"/,
  ],
  ["nodes: [{name: a}, {name: a}]\nlinks: []\nattached: []\n", /line 1: node "a" is there twice/],
  ["nodes: [{name: a}]\nlinks: []\n", /attached: it is missing, needed a list of attached/],
];

for (const [text, message] of FAULTS) {
  Deno.test(`a topology is refused with line and reason: ${JSON.stringify(text)}`, async () => {
    const path = `${await Deno.makeTempDir()}/topology.yaml`;
    await Deno.writeTextFile(path, text);
    await assert.rejects(readTopology(path), { name: "SyntaxError", message });
  });
}

Deno.test("hashRouter() sends each flow one of the equal ways, all of them evenly, and nodes in a row not alike", () => {
  const { nodes, links, ...rest } = network(8, [[0, 1], [0, 2], [1, 3], [1, 4], [2, 5], [2, 6], [3, 7], [4, 7], [5, 7], [6, 7]]);
  const taken = hashRouter({ nodes, links, ...rest }, new Set())("n0", "n7", Array.from({ length: HASH_BUCKETS }, (_, i) => i));
  const of = (key: string) => taken.get(key) ?? new Set();
  assert.deepEqual([of("n0>n1").size, of("n0>n2").size], [HASH_BUCKETS / 2, HASH_BUCKETS / 2]);
  assert.deepEqual([...of("n1>n3").union(of("n1>n4"))].sort(), [...of("n0>n1")].sort());
  assert.equal(of("n1>n3").intersection(of("n1>n4")).size, 0);
  for (const key of ["n1>n3", "n1>n4", "n2>n5", "n2>n6"]) assert.ok(of(key).size > HASH_BUCKETS / 8, `${key} ${of(key).size}`);
});

Deno.test("hashRouter() goes another way where one is down, and nowhere where there is none", () => {
  const { nodes, links, ...rest } = network(4, [[0, 1], [0, 2], [1, 3], [2, 3]]);
  assert.deepEqual([...hashRouter({ nodes, links, ...rest }, new Set([links[0]!]))("n0", "n3", [1, 2])], [
    ["n0>n2", new Set([1, 2])],
    ["n2>n3", new Set([1, 2])],
  ]);
  assert.equal(hashRouter({ nodes, links, ...rest }, new Set(links))("n0", "n3", [1]).size, 0);
});

Deno.test("a topology's maintenance takes down its nodes' links and its own, and is a failure of its own", async () => {
  const path = `${await Deno.makeTempDir()}/topology.yaml`;
  const file =
    "nodes: [{name: a}, {name: b}, {name: c}]\nlinks:\n- {a: a, b: b, capacity_bps: 1}\n- {a: b, b: c, capacity_bps: 1}\n- {a: a, b: c, capacity_bps: 1}\nattached: []\n";
  await Deno.writeTextFile(path, `${file}maintenance:\n- {name: night, nodes: [a], links: [[c, b]]}\n- {name: line, links: [[b, a]]}\n`);
  const down = singleFailures(await readTopology(path)).filter(({ name }) => name.startsWith("maintenance"));
  assert.deepEqual(down.map(({ name, links }) => `${name}: ${[...links].map(linkName).sort()}`), [
    "maintenance night: a-b,a-c,b-c",
    "maintenance line: a-b",
  ]);
});
