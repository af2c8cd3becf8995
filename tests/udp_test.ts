/** UDP on this kernel: real programs count their datagrams, and the agent's flows are compared with them, peer by peer. */

import assert from "node:assert/strict";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { observeUdp } from "./udp/observed.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("python3", "--version"));

/** Scenarios of udp/actor.py, and how many peers, of all its processes' sockets, each is about at least. */
const SCENARIOS: Readonly<Record<string, { readonly about: string; readonly talks: number }>> = {
  dns: { about: "4,000 clients of a server that answers from one socket", talks: 6_000 },
  families: { about: "IPv4, IPv6 and mapped addresses with a server bound to every address", talks: 12 },
  quic: { about: "20,000 datagrams each way over one connected socket", talks: 2 },
  statsd: { about: "datagrams to a sink that never answers, and to a port where nobody listens", talks: 3 },
  mmsg: { about: "sendmmsg() and recvmmsg() with several peers", talks: 6 },
  odd: { about: "looks, cut and empty datagrams, segments, other peers than the connected one, unseen peers", talks: 5 },
  forked: { about: "one socket in several processes", talks: 4 },
};

for (const [scenario, { about, talks }] of Object.entries(SCENARIOS)) {
  testWith(missing, `UDP: ${about}: bytes, datagrams, roles and processes as counted`, async () => {
    const { counted, reported } = await observeUdp(scenario, [], false);
    assert.ok(counted.length >= talks, `${counted.length} peers`);
    assert.deepEqual(reported, counted);
  });
}

testWith(missing, "UDP: the deltas of a conversation of several intervals add up to its total", async () => {
  const { counted, reported, flows } = await observeUdp("long", ["--interim-interval-ms", "1000"], false);
  assert.deepEqual(reported, counted);
  assert.ok(flows.length >= 2 * 3, `${flows.length} flows`);
});

testWith(missing, "UDP: sockets that were open before the agent have their owner and their role", async () => {
  const { counted, reported } = await observeUdp("older", [], true);
  assert.deepEqual(reported, counted);
});
