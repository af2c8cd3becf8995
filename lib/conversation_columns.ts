/** The one place that names every column of `conversation_1m`: conversations by minute, as the answers count them. */

import type { Column, ColumnType } from "./records.ts";

/** Version of the meaning of a conversation's rows; a lake of another has them made anew. */
export const CONVERSATION_SCHEMA_VERSION = 1;

/** Columns of `conversation_1m`: one row per row of `jobs/analytics/views/flow_conversation.sql`. */
export const CONVERSATION_COLUMNS = [
  column("window_start", "TIMESTAMPTZ", "us since 1970 UTC", "Begin of the minute", "flow.window_start"),
  column("network_transport", "VARCHAR", "tcp | udp", "Transport protocol", "flow.network_transport"),
  column("client_ip", "BLOB", "16 bytes", "Address of the end that opened the conversation", "flow.client_ip"),
  column("server_ip", "BLOB", "16 bytes", "Address of the end that listens", "flow.server_ip"),
  column("server_port", "INTEGER", "-", "Port of the service", "flow.server_port"),
  column("client_address", "VARCHAR", "-", "The client's address as text (RFC 5952)", "flow.client_address"),
  column("server_address", "VARCHAR", "-", "The server's", "flow.server_address"),
  column(
    "client_service_name",
    "VARCHAR",
    "-",
    "Service that asks, as reported; empty where no report named it",
    "flow.client_service_name",
  ),
  column("server_service_name", "VARCHAR", "-", "Service that answers; empty as above", "flow.server_service_name"),
  column(
    "seen_by",
    "VARCHAR",
    "both | client | server | estimate",
    "Whose reports there were; an estimate is of another sFlow agent",
    "flow.observer_role, flow_source",
  ),
  column(
    "connections_failed_refused",
    "BIGINT",
    "connections",
    "Connection attempts answered by a reset",
    "flow.connections_failed_refused",
  ),
  column(
    "connections_failed_timeout",
    "BIGINT",
    "connections",
    "Connection attempts that were never answered",
    "flow.connections_failed_timeout",
  ),
  column(
    "connections_failed_unreachable",
    "BIGINT",
    "connections",
    "Connection attempts with no way to the host or its network",
    "flow.connections_failed_unreachable",
  ),
  column("connections_failed_other", "BIGINT", "connections", "Connection attempts that failed otherwise", "flow.connections_failed_other"),
  column("connections_reset", "BIGINT", "connections", "Connections that a reset ended", "flow.connections_reset"),
  column("connections_timed_out", "BIGINT", "connections", "Connections that ended unanswered", "flow.connections_timed_out"),
  column(
    "connections_opened",
    "BIGINT",
    "connections",
    "Connections that reached ESTABLISHED, the greater view",
    "flow.connections_opened",
  ),
  column("bytes_sent", "BIGINT", "bytes", "Application bytes from client to server, the greater view", "flow.bytes_sent"),
  column("bytes_received", "BIGINT", "bytes", "Application bytes from server to client, the greater view", "flow.bytes_received"),
  column("segments_sent", "BIGINT", "segments", "Segments from client to server, the greater view", "flow.segments_sent"),
  column("segments_received", "BIGINT", "segments", "Segments from server to client, the greater view", "flow.segments_received"),
  column("client_retransmits", "BIGINT", "segments", "Segments that the client sent again", "flow.retransmits"),
  column("server_retransmits", "BIGINT", "segments", "Segments that the server sent again", "flow.retransmits"),
  column("reordering_seen", "BIGINT", "times", "Times that either end found its segments reordered", "flow.reordering_seen"),
  column("client_busy_us", "BIGINT", "us", "Time that the client had data to send", "flow.busy_us"),
  column("client_rwnd_limited_us", "BIGINT", "us", "Of that, stalled by the server's receive window", "flow.rwnd_limited_us"),
  column("client_sndbuf_limited_us", "BIGINT", "us", "Of that, stalled by its send buffer", "flow.sndbuf_limited_us"),
  column("server_busy_us", "BIGINT", "us", "Time that the server had data to send", "flow.busy_us"),
  column("server_rwnd_limited_us", "BIGINT", "us", "Of that, stalled by the client's receive window", "flow.rwnd_limited_us"),
  column("server_sndbuf_limited_us", "BIGINT", "us", "Of that, stalled by its send buffer", "flow.sndbuf_limited_us"),
  column("srtt_us_sum", "BIGINT", "us", "Sum of the smoothed round-trip times, the client's where it reports", "flow.srtt_us_sum"),
  column("srtt_samples", "BIGINT", "samples", "How many there are", "flow.srtt_samples"),
  column("server_srtt_us_sum", "BIGINT", "us", "The same of the server", "flow.srtt_us_sum"),
  column("server_srtt_samples", "BIGINT", "samples", "How many there are", "flow.srtt_samples"),
  column("min_rtt_us", "INTEGER", "us", "Smallest round-trip time that the kernel measured", "flow.min_rtt_us", "null"),
  column("connect_us_sum", "BIGINT", "us", "Sum of the times from SYN-SENT to ESTABLISHED", "flow.connect_us_sum"),
  column("connect_samples", "BIGINT", "samples", "How many there are", "flow.connect_samples"),
  column("connect_us_max", "INTEGER", "us", "Greatest", "flow.connect_us_max", "null"),
] as const satisfies readonly Column[];

function column<const N extends string, const T extends ColumnType>(
  name: N,
  type: T,
  unit: string,
  meaning: string,
  source: string,
  nullability: "null" | "not null" = "not null",
): { name: N; type: T; nullable: boolean; origin: "etl"; unit: string; meaning: string; source: string; since: number } {
  return { name, type, nullable: nullability === "null", origin: "etl", unit, meaning, source, since: 1 };
}
