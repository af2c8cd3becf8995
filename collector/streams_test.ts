/** Streams are told apart by the whole of address and sub-agent, and bounded without losing a count. */

import assert from "node:assert/strict";
import { parseAddress } from "../lib/ip_address.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import type { Stream } from "./stream.ts";
import { StreamTable } from "./streams.ts";

function find(table: StreamTable, address: string, subAgentId = 0): Stream {
  const bytes = parseAddress(address);
  const isIpv4 = !address.includes(":");
  return table.find(new DataView(bytes.buffer), isIpv4 ? 12 : 0, isIpv4 ? 4 : 16, subAgentId);
}

Deno.test("StreamTable finds a stream again, and tells every address, family and sub-agent apart", () => {
  const table = new StreamTable(64);
  const agents: readonly [string, number][] = [
    ["10.0.0.1", 0],
    ["10.0.0.1", 1],
    ["10.0.0.2", 0],
    ["a00:1::", 0], // begins with the bytes of 10.0.0.1
    ["2001:db8::1", 0],
    ["2001:db8::1:0:0:1", 0],
  ];
  const streams = agents.map(([address, subAgent]) => find(table, address, subAgent));
  assert.equal(new Set(streams).size, agents.length);
  assert.deepEqual(agents.map(([address, subAgent]) => find(table, address, subAgent)), streams);
  assert.deepEqual([...table.snapshots()].map(({ agentAddress, subAgentId }) => [agentAddress, subAgentId]).reverse(), agents);
});

Deno.test("StreamTable gives a new agent the place of the one silent for longest, and keeps its counts", () => {
  const table = new StreamTable(4);
  for (let i = 1; i <= 4; i++) {
    table.nowMs = i * 10_000;
    for (const number of [1, 3, 3]) find(table, `10.0.0.${i}`).arrive(number, 1_000, table.nowMs);
  }
  table.nowMs = 50_000;
  find(table, "10.0.0.1").arrive(5, 1_000, table.nowMs);
  find(table, "10.0.0.9").arrive(1, 1_000, table.nowMs); // in place of 10.0.0.2
  assert.deepEqual([...table.snapshots()].map(({ agentAddress }) => agentAddress).sort(), ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.9"]);
  const { received, lost, duplicated } = table.counts();
  assert.deepEqual([received, lost, duplicated, table.evictedStreams, table.streamCount], [10, 5, 4, 1, 4]);
  find(table, "10.0.0.2").arrive(1, 1_000, table.nowMs);
  assert.deepEqual([table.counts().restarted, table.counts().received], [0, 11]);
});

Deno.test("StreamTable finds the right stream after any number of evictions", () => {
  const random = randomNumbers(Date.now());
  const table = new StreamTable(64);
  const newest: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    table.nowMs += 1_000;
    const address = `10.0.${random(2)}.${random(100)}`;
    const at = newest.indexOf(address), isKnown = at >= 0;
    if (isKnown) newest.splice(at, 1);
    else if (newest.length === 64) newest.shift();
    newest.push(address);
    const before = table.evictedStreams + table.streamCount;
    find(table, address).arrive(i, i, table.nowMs);
    assert.equal(table.evictedStreams + table.streamCount - before, isKnown ? 0 : 1, address);
  }
  assert.deepEqual([...table.snapshots()].map(({ agentAddress }) => agentAddress).reverse(), newest);
  assert.equal(table.counts().received, 20_000);
});

Deno.test("StreamTable shows each stream with its counts, uptime and share lost", () => {
  const table = new StreamTable(4);
  table.nowMs = 1_700_000_000_000;
  const stream = find(table, "192.0.2.7", 3);
  for (const number of [1, 2, 4]) stream.arrive(number, 5_000 + number, table.nowMs);
  stream.arriveClock(1_699_999_999_000, table.nowMs);
  const { counts, ...shown } = [...table.snapshots()][0]!;
  assert.deepEqual(shown, {
    agentAddress: "192.0.2.7",
    subAgentId: 3,
    lastSeenMs: 1_700_000_000_000,
    uptimeMs: 5_004,
    skewMs: 1_000,
    lossFraction: 0.25,
  });
  assert.equal(counts.lost, 1);
});
