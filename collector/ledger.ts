/** What became of every datagram and every flow record, of all workers together. */

import { NO_LOSSES } from "../lib/sflow/agent_losses.ts";
import type { Publisher } from "./publish.ts";
import type { Spool } from "./spool.ts";
import { combine } from "./stream_counts.ts";
import type { WorkerReport } from "./worker_protocol.ts";

/** Each entry of the ledger; a gauge may fall. */
export const LEDGER = {
  datagrams_received: { kind: "counter", help: "Datagrams received" },
  datagrams_refused_source: { kind: "counter", help: "Datagrams of senders that are not allowed" },
  datagrams_refused_rate: { kind: "counter", help: "Datagrams beyond what one sender may send" },
  datagrams_refused_unauthenticated: { kind: "counter", help: "Datagrams without a signature of a known key" },
  datagrams_refused_replayed: { kind: "counter", help: "Signed datagrams that came before, or were sent too long ago" },
  datagrams_lost: { kind: "gauge", help: "Datagrams that never came, by their sequence numbers; one that comes late is taken off" },
  datagrams_duplicated: { kind: "counter", help: "Datagrams that came again, or too late to be told from that; left out" },
  datagrams_reordered: { kind: "counter", help: "Datagrams that came after a later one" },
  datagrams_malformed: { kind: "counter", help: "Datagrams with something in them that cannot be read" },
  datagrams_stale: { kind: "counter", help: "Of the duplicated ones, those too old to be told from a duplicate" },
  streams_evicted: { kind: "counter", help: "Streams of long silent agents that are no longer accounted for, in favour of new ones" },
  socket_dropped_datagrams: { kind: "counter", help: "Datagrams that the kernel dropped because a receive buffer was full" },
  leaves_sent: { kind: "counter", help: "Times that an agent was told, at the end, to send elsewhere" },
  agents_restarted: { kind: "counter", help: "Restarts of agents" },
  agent_dropped_events: { kind: "counter", help: "Events that the agents say they lost" },
  agent_ring_lost_events: { kind: "counter", help: "Of them, lost in the ring buffer" },
  agent_map_full_sockets: { kind: "counter", help: "Of them, sockets not followed because a kernel map was full" },
  agent_missed_hook_runs: { kind: "counter", help: "Of them, calls of kernel hooks at which no program ran" },
  agent_udp_lost_datagrams: { kind: "counter", help: "Of them, UDP datagrams for which there was no room" },
  agent_udp_missed_calls: { kind: "counter", help: "Of them, UDP calls that no program counted" },
  agent_governor_dropped_flows: { kind: "counter", help: "Of them, flows left out by the governor" },
  agent_send_lost_records: { kind: "counter", help: "Of them, flow records that could not be sent" },
  agent_unreconciled_connections: { kind: "gauge", help: "Connections that the kernels counted otherwise than the agents, persistently" },
  samples_ignored: { kind: "counter", help: "Samples of a kind that holds no flow" },
  mirror_samples_ignored: { kind: "counter", help: "Our own flows restated for other readers" },
  records_ignored: { kind: "counter", help: "Records of an unknown kind" },
  descriptors_refused: { kind: "counter", help: "Descriptions of hosts and processes that cannot be read, or found no room" },
  flow_records_received: { kind: "counter", help: "Flow records received" },
  listener_records_received: { kind: "counter", help: "Records about listening sockets" },
  flow_records_missing: { kind: "gauge", help: "Flow records that the agents made and that did not come, by sample_pool" },
  flow_records_refused: { kind: "counter", help: "Flow records with an impossible value" },
  standard_samples_received: { kind: "counter", help: "Flow samples of other sFlow agents" },
  standard_samples_refused: { kind: "counter", help: "Flow samples of other sFlow agents that hold no TCP or UDP packet that can be read" },
  flow_records_unknown_process: { kind: "counter", help: "Flow records whose process was not described" },
  events_in_tables: { kind: "gauge", help: "Flow records in rows that have not left the tables yet, as the workers last told" },
  events_given_up: { kind: "counter", help: "Flow records that no row had room for" },
  bytes_given_up: { kind: "counter", help: "Application bytes that no row had room for" },
  events_simplified: { kind: "counter", help: "Flow records of which a row had no room for the rarer values" },
  events_folded_prefix: { kind: "counter", help: "Flow records that went to a row of their client's /24 or /64" },
  events_folded_scan: { kind: "counter", help: "Flow records of a client with too many targets, in one row of that client" },
  events_folded_client: { kind: "counter", help: "Flow records that went to a row of every client" },
  events_late: { kind: "counter", help: "Flow records that came more than two windows after their period ended" },
  identity_rounds: { kind: "counter", help: "Times that a worker forgot the processes that no row refers to" },
  rows_early: { kind: "counter", help: "Rows that left before their time because a table was getting full" },
  conversations_both: { kind: "counter", help: "Conversations and minutes of which both ends' reports met" },
  conversations_client_only: { kind: "counter", help: "Conversations and minutes that the client's end alone reported" },
  conversations_server_only: { kind: "counter", help: "Conversations and minutes that the server's end alone reported" },
  bytes_disagreements: {
    kind: "counter",
    help: "Of those of both ends, the ones whose views differ by more than can have been on its way",
  },
  events_published: { kind: "counter", help: "Flow records in rows that the topic has" },
  rows_published: { kind: "counter", help: "Rows that the topic has" },
  messages_published: { kind: "counter", help: "Messages that the topic has" },
  bytes_published: { kind: "counter", help: "Bytes of those messages" },
  publish_failures: { kind: "counter", help: "Attempts to write to the topic that failed; each is tried again" },
  events_recovered: { kind: "counter", help: "Flow records in the spool at the start: what the collector before left" },
  events_found_published: { kind: "counter", help: "Of them, those that the topic had already" },
  events_spooled: { kind: "gauge", help: "Flow records in rows that wait for the topic on disk" },
  spool_bytes: { kind: "gauge", help: "Bytes of the spool" },
  spool_cut_bytes: { kind: "counter", help: "Bytes at the spool's end that a crash left torn" },
  spool_failures: { kind: "counter", help: "Writes to the spool that failed; what they held waits in memory" },
  events_unpublished: {
    kind: "gauge",
    help: "Flow records in rows that wait for the topic in memory; at the end, those that it never took",
  },
  balance: { kind: "gauge", help: "Flow records and standard samples received that are in no other entry; always 0" },
} as const satisfies Readonly<Record<string, { readonly kind: "counter" | "gauge"; readonly help: string }>>;

/** `balance` is 0 when nothing is unaccounted for. */
export type CollectorLedger = Readonly<Record<keyof typeof LEDGER, number>>;

/** A worker as the main thread sees it: what it told last, and the flow records in the messages that came from it. */
export interface WorkerAccount {
  readonly report: WorkerReport;
  readonly eventsHandedOver: number;
  /** The same when that report came: a worker hands over and reports in order. */
  readonly eventsHandedOverThen: number;
}

export function ledgerOf(workers: readonly WorkerAccount[], publisher: Publisher, spool: Spool | null): CollectorLedger {
  const published = publisher.counts, unpublished = publisher.waiting().events, spooled = publisher.spooledEvents;
  const fromBefore = published.events_recovered - published.events_found_published;
  const reports = workers.map(({ report }) => report);
  const sum = (of: (report: WorkerReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  const received = sum((r) => r.counts.flow_records_received), refused = sum((r) => r.counts.flow_records_refused);
  const standard = sum((r) => r.counts.standard_samples_received), standardRefused = sum((r) => r.counts.standard_samples_refused);
  const givenUp = sum((r) => r.table.dropped_events), inTables = sum((r) => r.tableEvents);
  const handedOver = workers.reduce((total, { eventsHandedOver }) => total + eventsHandedOver, 0);
  const handedOverThen = workers.reduce((total, { eventsHandedOverThen }) => total + eventsHandedOverThen, 0);
  return {
    datagrams_received: sum((r) => r.counts.datagrams_received),
    datagrams_refused_source: sum((r) => r.refusals.datagrams_refused_source),
    datagrams_refused_rate: sum((r) => r.refusals.datagrams_refused_rate),
    datagrams_refused_unauthenticated: sum((r) => r.refusals.datagrams_refused_unauthenticated),
    datagrams_refused_replayed: sum((r) => r.refusals.datagrams_refused_replayed),
    datagrams_lost: sum((r) => r.streams.lost),
    datagrams_duplicated: sum((r) => r.counts.datagrams_duplicated),
    datagrams_reordered: sum((r) => r.streams.reordered),
    datagrams_malformed: sum((r) => r.counts.datagrams_malformed),
    datagrams_stale: sum((r) => r.streams.stale),
    streams_evicted: sum((r) => r.evictedStreams),
    socket_dropped_datagrams: sum((r) => r.socketDroppedDatagrams),
    leaves_sent: sum((r) => r.leavesSent),
    agents_restarted: sum((r) => r.streams.restarted),
    agent_dropped_events: sum((r) => r.streams.agentDrops),
    ...agentLosses(reports),
    agent_unreconciled_connections: sum((r) => r.streams.agentUnreconciled),
    samples_ignored: sum((r) => r.counts.samples_ignored),
    mirror_samples_ignored: sum((r) => r.counts.mirror_samples_ignored),
    records_ignored: sum((r) => r.counts.records_ignored),
    descriptors_refused: sum((r) => r.counts.descriptors_refused),
    flow_records_received: received,
    listener_records_received: sum((r) => r.counts.listener_records_received),
    flow_records_missing: Math.max(0, sum((r) => r.streams.missingRecords)), // told by the agent before the next sample
    flow_records_refused: refused,
    standard_samples_received: standard,
    standard_samples_refused: standardRefused,
    flow_records_unknown_process: sum((r) => r.counts.flow_records_unknown_process),
    events_in_tables: inTables,
    events_given_up: givenUp,
    bytes_given_up: sum((r) => r.table.dropped_bytes),
    events_simplified: sum((r) => r.table.simplified_events),
    events_folded_prefix: sum((r) => r.table.folded_prefix_events),
    events_folded_scan: sum((r) => r.table.folded_scan_events),
    events_folded_client: sum((r) => r.table.folded_client_events),
    events_late: sum((r) => r.table.late_events),
    identity_rounds: sum((r) => r.identityRounds),
    rows_early: sum((r) => r.earlyRows),
    conversations_both: sum((r) => r.pairs.conversations_both),
    conversations_client_only: sum((r) => r.pairs.conversations_client_only),
    conversations_server_only: sum((r) => r.pairs.conversations_server_only),
    bytes_disagreements: sum((r) => r.pairs.bytes_disagreements),
    events_published: published.events_published,
    rows_published: published.rows_published,
    messages_published: published.messages_published,
    bytes_published: published.bytes_published,
    publish_failures: published.publish_failures,
    events_recovered: published.events_recovered,
    events_found_published: published.events_found_published,
    events_spooled: spooled,
    spool_bytes: spool?.bytes ?? 0,
    spool_cut_bytes: spool?.cutBytes ?? 0,
    spool_failures: spool?.failures ?? 0,
    events_unpublished: unpublished,
    // Two cuts: between socket and messages as of each worker's report, between messages and topic as of now.
    balance: (received + standard - refused - standardRefused - givenUp - inTables - handedOverThen) +
      (handedOver + fromBefore - published.events_published - spooled - unpublished),
  };
}

/** What the agents lost, by place. */
function agentLosses(reports: readonly WorkerReport[]) {
  const total = reports.reduce((sum, { streams }) => combine(sum, streams.agentLosses, (a, b) => a + b), NO_LOSSES);
  return {
    agent_ring_lost_events: total.ring_lost_events,
    agent_map_full_sockets: total.map_full_sockets,
    agent_missed_hook_runs: total.missed_hook_runs,
    agent_udp_lost_datagrams: total.udp_lost_datagrams,
    agent_udp_missed_calls: total.udp_missed_calls,
    agent_governor_dropped_flows: total.governor_dropped_flows,
    agent_send_lost_records: total.send_lost_records,
  };
}
