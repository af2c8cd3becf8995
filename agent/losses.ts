/** What the agent loses, by the place where it does: every number ends in the datagrams' drops. */

import type { AgentLosses } from "../lib/sflow/agent_losses.ts";
import type { KernelPrograms } from "./kernel.ts";

/** Losses in the kernel, before the agent knew of anything. */
type KernelLosses = Omit<AgentLosses, "governor_dropped_flows" | "send_lost_records">;

export function kernelLosses(kernel: Pick<KernelPrograms, "counters" | "missedRuns" | "hookCounts" | "udp">): KernelLosses {
  const { ring_lost, map_full } = kernel.counters();
  const udp = kernel.udp?.counters();
  return {
    ring_lost_events: ring_lost,
    map_full_sockets: map_full,
    // What a missed probe would have told of an end is told late, and was not lost then.
    missed_hook_runs: Math.max(0, (kernel.missedRuns() ?? 0) - (kernel.hookCounts()?.["late_end"] ?? 0)),
    udp_lost_datagrams: udp?.udp_lost_datagrams ?? 0,
    udp_missed_calls: udp?.udp_missed_calls ?? 0,
  };
}

/** The drops of a flow sample. */
export function droppedEvents(losses: AgentLosses): number {
  return Object.values(losses).reduce((sum, lost) => sum + lost, 0);
}
