/** What a running collector can be asked about itself: its agents, and the life of a conversation's rows; and what its workers are told. */

import { z } from "zod";

const Question = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("agents") }),
  /** Addresses as 32 hexadecimal digits, IPv4 mapped. */
  z.object({ kind: z.literal("explain"), client: z.string(), server: z.string(), serverPort: z.int() }),
  /** Puts other rules of admission into force; ranges as text. */
  z.object({ kind: z.literal("admit"), allowed: z.array(z.string()), sourceLimit: z.number(), keysText: z.string().nullable() }),
]);
export type Question = z.infer<typeof Question>;

export function readQuestion(text: string): Question {
  return Question.parse(JSON.parse(text));
}

/** The stream of an agent: what arrived, and what is known to be missing. */
export const AgentStream = z.object({
  agent_address: z.string(),
  sub_agent_id: z.number(),
  datagrams_received: z.number(),
  datagrams_lost: z.number(),
  datagrams_duplicated: z.number(),
  datagrams_reordered: z.number(),
  restarts: z.number(),
  flow_records_missing: z.number(),
  agent_dropped_events: z.number(),
  last_seen: z.string(),
  /** Collector's clock less the agent's; null where it is not known. */
  clock_skew_ms: z.number().nullable(),
});
export type AgentStream = z.infer<typeof AgentStream>;

/** One of our agents, all its lanes together, which have no sub-agent; or a stream of another sFlow agent. */
export const Agent = AgentStream.extend({ sub_agent_id: z.number().nullable() });
export type Agent = z.infer<typeof Agent>;

/** A row that is in a table now. */
export const ExplainedRow = z.object({
  network_transport: z.string(),
  observer_role: z.string(),
  observer_address: z.string(),
  observer_host_name: z.string().nullable(),
  service_name: z.string().nullable(),
  process_executable_name: z.string().nullable(),
  flow_source: z.string(),
  sampling_rate: z.number(),
  /** As the column of that name: rows that the conversation may have been folded into are shown too. */
  fold_level: z.number(),
  minute: z.string(),
  leaves_at: z.string(),
  client_ports: z.array(z.number()),
  client_port_count: z.number(),
  /** By name, as the table has them. */
  values: z.record(z.string(), z.number()),
});
export type ExplainedRow = z.infer<typeof ExplainedRow>;

/** What `/status` answers, and `top` shows. */
export const StatusDocument = z.object({
  time: z.string(),
  faults: z.array(z.string()),
  ledger: z.record(z.string(), z.number()),
  topic: z.object({ waiting_bytes: z.number(), waiting_events: z.number(), waiting_messages: z.number() }),
  workers: z.array(z.object({
    worker: z.number(),
    report_age_ms: z.number(),
    datagrams_received: z.number(),
    flow_records_received: z.number(),
    socket_dropped_datagrams: z.number(),
    table_rows: z.number(),
    table_rows_max: z.number(),
    table_events: z.number(),
  })),
  /** Those that sent most first. */
  agents: z.array(Agent),
});
export type StatusDocument = z.infer<typeof StatusDocument>;

/** What `/explain` answers. */
export const Explanation = z.object({
  time: z.string(),
  /** Workers that did not answer in time. */
  silent_workers: z.number(),
  /** When rows of the conversation last left a table, as far as that is remembered. */
  last_left: z.string().nullable(),
  rows: z.array(ExplainedRow.extend({ worker: z.number() })),
  /** Of the agents that reported the rows. */
  streams: z.array(AgentStream.extend({ worker: z.number() })),
});
export type Explanation = z.infer<typeof Explanation>;
