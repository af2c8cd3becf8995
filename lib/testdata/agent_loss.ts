/** Losses for tests. */

import type { AgentLoss } from "../agent_loss.ts";
import { START_US } from "./flow_batch.ts";

const LOOK_US = 10_000_000;

/** What a collector tells of an agent of ours; by default a datagram with 7 records, of the time of most test rows. */
export function agentLoss(agent_address: string | null, amounts: Partial<AgentLoss> = {}): AgentLoss {
  return {
    loss_start: START_US,
    loss_end: START_US + LOOK_US,
    agent_address,
    sub_agent_id: null,
    agent_count: 1,
    datagrams_lost: 1,
    flow_records_missing: 7,
    agent_dropped_events: 0,
    ...amounts,
  };
}
