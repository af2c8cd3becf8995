/** The agents of a collector: the streams of an agent's lanes as one. */

import { isLane } from "../lib/lanes.ts";
import type { Agent, AgentStream } from "./question.ts";

/** Agents that an answer holds: those that sent most. */
const AGENTS_MAX = 5_000;

/** A stream by itself as an agent; a lane is a part of one. */
export function agentOf(stream: AgentStream): Agent {
  return { ...stream, sub_agent_id: isLane(stream.sub_agent_id) ? null : stream.sub_agent_id };
}

/**
 * Parts of the same agent, of its lanes or from several workers, as one. Counts are added up: what concerns a whole agent goes
 * with one of its lanes alone. Only a restart is one of every lane.
 */
export function mergeAgents(parts: Iterable<Agent>): Agent[] {
  const agents = new Map<string, Agent>();
  for (const part of parts) {
    const key = agentKey(part), agent = agents.get(key);
    agents.set(key, agent === undefined ? part : merged(agent, part));
  }
  return [...agents.values()].sort((a, b) => b.datagrams_received - a.datagrams_received).slice(0, AGENTS_MAX);
}

/** An agent's own key among all. */
export function agentKey({ agent_address, sub_agent_id }: Agent): string {
  return `${agent_address}/${sub_agent_id ?? "lanes"}`;
}

function merged(a: Agent, b: Agent): Agent {
  return {
    agent_address: a.agent_address,
    sub_agent_id: a.sub_agent_id,
    datagrams_received: a.datagrams_received + b.datagrams_received,
    datagrams_lost: a.datagrams_lost + b.datagrams_lost,
    datagrams_duplicated: a.datagrams_duplicated + b.datagrams_duplicated,
    datagrams_reordered: a.datagrams_reordered + b.datagrams_reordered,
    restarts: Math.max(a.restarts, b.restarts),
    flow_records_missing: a.flow_records_missing + b.flow_records_missing,
    agent_dropped_events: a.agent_dropped_events + b.agent_dropped_events,
    last_seen: a.last_seen > b.last_seen ? a.last_seen : b.last_seen,
    clock_skew_ms: least(a.clock_skew_ms, b.clock_skew_ms),
  };
}

/** The shortest way is the nearest to the clocks' difference. */
function least(a: number | null, b: number | null): number | null {
  return a === null || b === null ? a ?? b : Math.min(a, b);
}
