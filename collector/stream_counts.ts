/** What is counted of streams of datagrams: totals that add up over incarnations, agents and workers. */

import { type AgentLosses, NO_LOSSES } from "../lib/sflow/agent_losses.ts";

/** Totals of one or of all streams. */
export interface StreamCounts {
  /** Datagrams that came and were neither duplicates nor stale. */
  received: number;
  /** Sequence numbers that never came, of the datagrams that the window has passed or that are missing in it now. */
  lost: number;
  duplicated: number;
  reordered: number;
  restarted: number;
  /** Too old to be told apart from a duplicate, or of no incarnation that is known. */
  stale: number;
  /**
   * Flow records that the agents sent and that did not arrive: those missing by sample_pool that are in no agent's drops.
   * Less than 0 in parts of a sum, as an agent tells in one of its streams what it could not send in any.
   */
  missingRecords: number;
  /** Events that the agents say they lost themselves. */
  agentDrops: number;
  /** Of them, those before the collector first heard of the agent. */
  agentDropsBefore: number;
  /** The same by place, as last told; all 0 where an agent does not tell. */
  agentLosses: AgentLosses;
  /** Connections that the kernels counted otherwise than the agents, persistently, as last told. */
  agentUnreconciled: number;
}

export function emptyCounts(): StreamCounts {
  return {
    received: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    restarted: 0,
    stale: 0,
    missingRecords: 0,
    agentDrops: 0,
    agentDropsBefore: 0,
    agentLosses: NO_LOSSES,
    agentUnreconciled: 0,
  };
}

/** Adds up two streams' counts into the first. */
export function addCounts(total: StreamCounts, counts: StreamCounts): void {
  total.received += counts.received;
  total.lost += counts.lost;
  total.duplicated += counts.duplicated;
  total.reordered += counts.reordered;
  total.restarted += counts.restarted;
  total.stale += counts.stale;
  total.missingRecords += counts.missingRecords;
  total.agentDrops += counts.agentDrops;
  total.agentDropsBefore += counts.agentDropsBefore;
  if (counts.agentLosses !== NO_LOSSES) total.agentLosses = combine(total.agentLosses, counts.agentLosses, add);
  total.agentUnreconciled += counts.agentUnreconciled;
}

/** The losses of every place, two and two. */
export function combine(a: AgentLosses, b: AgentLosses, by: (x: number, y: number) => number): AgentLosses {
  return {
    ring_lost_events: by(a.ring_lost_events, b.ring_lost_events),
    map_full_sockets: by(a.map_full_sockets, b.map_full_sockets),
    missed_hook_runs: by(a.missed_hook_runs, b.missed_hook_runs),
    udp_lost_datagrams: by(a.udp_lost_datagrams, b.udp_lost_datagrams),
    udp_missed_calls: by(a.udp_missed_calls, b.udp_missed_calls),
    governor_dropped_flows: by(a.governor_dropped_flows, b.governor_dropped_flows),
    send_lost_records: by(a.send_lost_records, b.send_lost_records),
  };
}

export function add(a: number, b: number): number {
  return a + b;
}
