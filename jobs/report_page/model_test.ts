/** What the report's page finds in its edges. */

import assert from "node:assert/strict";
import type { ReportData } from "../report/report_data.ts";
import { Model } from "./model.ts";

/** Pairs of services, each with its bytes. */
function model(services: number, pairs: readonly (readonly [client: number, server: number, bytes: number])[]): Model {
  const sorted = pairs.toSorted(([, , a], [, , b]) => b - a), zeros = sorted.map(() => 0);
  const data: ReportData = {
    fromMs: 0,
    toMs: 0,
    coverage: "",
    services: Array.from({ length: services }, (_, i) => `s${i}`),
    groupings: [{ name: "parity", meaning: "", groups: ["even", "odd"], groupOf: Array.from({ length: services }, (_, i) => i % 2) }],
    edges: {
      client: sorted.map(([client]) => client),
      server: sorted.map(([, server]) => server),
      tx_bytes: sorted.map(([, , bytes]) => bytes),
      rx_bytes: zeros,
      server_port: zeros,
      network_transport: zeros.map(() => "tcp"),
      connections: zeros.map(() => 3),
      failed_connections: zeros.map(() => 1),
      retransmits: zeros,
      srtt_us: zeros,
    },
    edgesLeftOut: 0,
    traffic: { stepMs: 1, servers: [], connectionsPerSecond: [], failedPerSecond: [], retransmitsPerSecond: [] },
    tables: [],
  };
  return new Model(data);
}

const CHAIN = model(6, [[0, 1, 10], [1, 2, 20], [2, 3, 5], [4, 2, 7], [2, 5, 1]]);

Deno.test("neighbourhood() goes up from who asks and down from what is asked, so many steps", () => {
  const steps = (depth: number) => Object.fromEntries([...CHAIN.neighbourhood(2, depth, 9).steps].sort());
  assert.deepEqual(steps(1), { 1: -1, 2: 0, 3: 1, 4: -1, 5: 1 });
  assert.deepEqual(steps(2), { 0: -2, 1: -1, 2: 0, 3: 1, 4: -1, 5: 1 });
});

Deno.test("neighbourhood() keeps the nearest and strongest of either side, and says how many there are", () => {
  const { steps, all } = CHAIN.neighbourhood(2, 2, 3);
  assert.deepEqual([[...steps], all], [[[2, 0], [1, -1], [3, 1]], 6]);
});

Deno.test("groupLines() adds up what goes between groups and within each", () => {
  const lines = CHAIN.groupLines(CHAIN.groupings[0]!).map((
    { from, to, bytes, connections, failed },
  ) => [from, to, bytes, connections, failed]);
  assert.deepEqual(lines, [[1, 0, 20, 3, 1], [0, 1, 16, 9, 3], [0, 0, 7, 3, 1]]);
});

Deno.test("few services may be groups of their own, many may not", () => {
  assert.deepEqual(CHAIN.groupings.map(({ name }) => name), ["parity", "service"]);
  assert.deepEqual(model(41, [[0, 1, 1]]).groupings.map(({ name }) => name), ["parity"]);
});
