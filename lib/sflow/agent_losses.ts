/** What an agent lost, by place, as it travels (`skyfall_agent_losses`). */

import type { SKYFALL_AGENT_LOSSES } from "./skyfall.gen.ts";

/** Totals since the agent started. */
export type AgentLosses = { readonly [P in keyof typeof SKYFALL_AGENT_LOSSES.fields]: number };

export const NO_LOSSES: AgentLosses = {
  ring_lost_events: 0,
  map_full_sockets: 0,
  missed_hook_runs: 0,
  udp_lost_datagrams: 0,
  udp_missed_calls: 0,
  governor_dropped_flows: 0,
  send_lost_records: 0,
};
