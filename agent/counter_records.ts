/** What the agent tells of itself: the counter records of lib/sflow/skyfall.x. */

import { SKYFALL_AGENT_COUNTERS, SKYFALL_AGENT_LOSSES, SKYFALL_RECONCILIATION, SKYFALL_UDP_COUNTERS } from "../lib/sflow/skyfall.gen.ts";
import { type AgentCounters, type CounterRecord, counterRecord } from "./encode.ts";
import type { AgentLosses } from "../lib/sflow/agent_losses.ts";
import type { ReconciliationTotals } from "./reconcile.ts";
import type { UdpCounters } from "./udp_kernel.ts";

/** @param udp Undefined where UDP is not observed. */
export function counterRecords(
  counters: AgentCounters,
  losses: AgentLosses,
  udp: UdpCounters | undefined,
  reconciliation: ReconciliationTotals,
): CounterRecord[] {
  return [
    counterRecord(SKYFALL_AGENT_COUNTERS, counters),
    counterRecord(SKYFALL_AGENT_LOSSES, losses),
    ...udp === undefined ? [] : [counterRecord(SKYFALL_UDP_COUNTERS, udp)],
    counterRecord(SKYFALL_RECONCILIATION, reconciliation),
  ];
}
