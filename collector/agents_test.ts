/** An agent is all its lanes. */

import assert from "node:assert/strict";
import { laneSubAgent } from "../lib/lanes.ts";
import { agentOf, mergeAgents } from "./agents.ts";
import type { AgentStream } from "./question.ts";

const STREAM: AgentStream = {
  agent_address: "10.0.0.1",
  sub_agent_id: laneSubAgent(0, 4),
  datagrams_received: 10,
  datagrams_lost: 1,
  datagrams_duplicated: 2,
  datagrams_reordered: 3,
  restarts: 1,
  flow_records_missing: 4,
  agent_dropped_events: 5,
  last_seen: "2026-01-01T00:00:02.000Z",
  clock_skew_ms: 7,
};

function merged(...streams: readonly Partial<AgentStream>[]) {
  return mergeAgents(streams.map((stream) => agentOf({ ...STREAM, ...stream })));
}

Deno.test("mergeAgents() adds up what an agent's lanes count, also where their number has changed", () => {
  const other = { datagrams_received: 100, datagrams_lost: 10, datagrams_duplicated: 20, datagrams_reordered: 30 };
  assert.deepEqual(
    merged({}, { ...other, sub_agent_id: laneSubAgent(7, 8), flow_records_missing: 40, agent_dropped_events: 50 }),
    [{
      ...STREAM,
      sub_agent_id: null,
      datagrams_received: 110,
      datagrams_lost: 11,
      datagrams_duplicated: 22,
      datagrams_reordered: 33,
      flow_records_missing: 44,
      agent_dropped_events: 55,
    }],
  );
});

Deno.test("mergeAgents() counts the restart of an agent once, though each of its lanes restarts", () => {
  assert.equal(merged({ restarts: 2 }, { restarts: 1, sub_agent_id: laneSubAgent(1, 4) })[0]!.restarts, 2);
});

Deno.test("mergeAgents() takes the latest datagram of any lane, and the least difference of clocks that is known", () => {
  const late = { last_seen: "2026-01-01T00:00:03.000Z", clock_skew_ms: null };
  const [agent] = merged({ clock_skew_ms: 9 }, late, { last_seen: "2026-01-01T00:00:01.000Z", clock_skew_ms: 8 });
  assert.deepEqual([agent!.last_seen, agent!.clock_skew_ms], [late.last_seen, 8]);
});

Deno.test("mergeAgents() keeps apart the sub-agents of other sFlow agents, and agents by address", () => {
  const agents = merged({}, { sub_agent_id: 1 }, { sub_agent_id: 2 }, { agent_address: "10.0.0.2" });
  assert.deepEqual(agents.map(({ agent_address, sub_agent_id }) => [agent_address, sub_agent_id]), [
    ["10.0.0.1", null],
    ["10.0.0.1", 1],
    ["10.0.0.1", 2],
    ["10.0.0.2", null],
  ]);
});
