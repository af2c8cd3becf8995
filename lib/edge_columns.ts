/** The one place that names every column of the tables of service edges, `edge_1m` and what is added up from it. */

import type { Column, ColumnType } from "./records.ts";

/**
 * How rows of one edge become one: those of several minutes, or the revisions of one. A `key` tells edges apart, `minute` is the
 * time that they are of, and `source` says what of the topic a row is made of: it is of single rows and falls away.
 */
export type EdgeMerge = "minute" | "key" | "sum" | "min" | "max" | "sum of each" | "source";

export interface EdgeColumn extends Column {
  readonly merge: EdgeMerge;
}

/** Version of the meaning of an edge's rows. */
export const EDGE_SCHEMA_VERSION = 1;

/** Counts in a histogram: of 2^i to before 2^(i + 1) microseconds in place i, from 0; of 0 in the first. */
export const HISTOGRAM_BUCKETS = 32;

/**
 * Columns of `edge_1m`: one row per minute, transport, client, server and port, topic partition and revision. An end is its
 * service, or its address where no report of the minute names it. Of a conversation that both ends report the greater view counts,
 * so that rows may always be added up, revisions too: a later one holds what changes, and may be negative.
 */
export const EDGE_COLUMNS = [
  column("window_start", "TIMESTAMPTZ", "minute", "us since 1970 UTC", "Begin of the minute", "flow.window_start"),
  column("network_transport", "VARCHAR", "key", "tcp | udp", "Transport protocol", "flow.network_transport"),
  column("client_service_name", "VARCHAR", "key", "-", "Service upstream, that asks; empty where not known", "flow.client_service_name"),
  column("client_address", "VARCHAR", "key", "-", "Its address (RFC 5952) where the service is not known, else empty", "flow.client_ip"),
  column(
    "server_service_name",
    "VARCHAR",
    "key",
    "-",
    "Service downstream, that answers; empty where not known",
    "flow.server_service_name",
  ),
  column("server_address", "VARCHAR", "key", "-", "Its address (RFC 5952) where the service is not known, else empty", "flow.server_ip"),
  column("server_port", "INTEGER", "key", "-", "Port of the service", "flow.server_port"),
  column("connections_opened", "BIGINT", "sum", "connections", "Connections that reached ESTABLISHED", "flow.connections_opened"),
  column("connections_closed", "BIGINT", "sum", "connections", "Connections that ended", "flow.connections_closed"),
  column("connections_reset", "BIGINT", "sum", "connections", "Those of them that a reset ended", "flow.connections_reset"),
  column("connections_timed_out", "BIGINT", "sum", "connections", "Those of them that ended unanswered", "flow.connections_timed_out"),
  column(
    "connections_failed_refused",
    "BIGINT",
    "sum",
    "connections",
    "Connection attempts answered by a reset",
    "flow.connections_failed_refused",
  ),
  column(
    "connections_failed_timeout",
    "BIGINT",
    "sum",
    "connections",
    "Connection attempts that were never answered",
    "flow.connections_failed_timeout",
  ),
  column(
    "connections_failed_unreachable",
    "BIGINT",
    "sum",
    "connections",
    "Connection attempts with no way to the host or its network",
    "flow.connections_failed_unreachable",
  ),
  column(
    "connections_failed_other",
    "BIGINT",
    "sum",
    "connections",
    "Connection attempts that failed otherwise",
    "flow.connections_failed_other",
  ),
  column("bytes_sent", "BIGINT", "sum", "bytes", "Application bytes from client to server (Tx)", "flow.bytes_sent"),
  column("bytes_received", "BIGINT", "sum", "bytes", "Application bytes from server to client (Rx)", "flow.bytes_received"),
  column("segments_sent", "BIGINT", "sum", "segments", "Segments from client to server", "flow.segments_sent"),
  column("segments_received", "BIGINT", "sum", "segments", "Segments from server to client", "flow.segments_received"),
  column(
    "retransmits",
    "BIGINT",
    "sum",
    "segments",
    "Segments sent again, by either end that reports: they are of different directions",
    "flow.retransmits",
  ),
  column("srtt_us_sum", "BIGINT", "sum", "us", "Sum of the smoothed round-trip times, the client's where it reports", "flow.srtt_us_sum"),
  column("srtt_samples", "BIGINT", "sum", "samples", "How many there are", "flow.srtt_samples"),
  nullable(column("srtt_us_min", "INTEGER", "min", "us", "Smallest", "flow.srtt_us_min")),
  nullable(column("srtt_us_max", "INTEGER", "max", "us", "Greatest", "flow.srtt_us_max")),
  column(
    "srtt_us_histogram",
    "BIGINT[]",
    "sum of each",
    "samples",
    `How many there are of 2^i to before 2^(i + 1) us, i from 0 to ${HISTOGRAM_BUCKETS - 1}, those of 0 in the first. Of a flow row's ` +
      "samples the smallest and the greatest stand for themselves, all others for the mean of what is left: exact up to three",
    "flow.srtt_us_sum, srtt_samples, srtt_us_min, srtt_us_max",
  ),
  column("connect_us_sum", "BIGINT", "sum", "us", "Sum of the times from SYN-SENT to ESTABLISHED", "flow.connect_us_sum"),
  column("connect_samples", "BIGINT", "sum", "samples", "How many there are", "flow.connect_samples"),
  nullable(column("connect_us_max", "INTEGER", "max", "us", "Greatest", "flow.connect_us_max")),
  column("flow_rows", "BIGINT", "sum", "rows", "Rows of flow that tell of the edge's conversations, of either end", "dependencies"),
  column(
    "revision",
    "BIGINT",
    "source",
    "-",
    "0 of the row that the minute's close made; of one that late rows made, its src_offset_to",
    "dependencies",
  ),
  column("src_topic", "VARCHAR", "source", "-", "Topic that the rows were read from", "topic"),
  column("src_partition", "INTEGER", "source", "-", "Its partition", "topic"),
  column(
    "src_offset_from",
    "BIGINT",
    "source",
    "-",
    "First offset with rows of the minute; the revisions that have it in common add up to what its rows before the last src_offset_to give",
    "topic",
  ),
  column("src_offset_to", "BIGINT", "source", "-", "Offset before which rows are counted", "topic"),
  column("schema_version", "INTEGER", "max", "-", "EDGE_SCHEMA_VERSION when the row was written", "dependencies"),
] as const satisfies readonly EdgeColumn[];

/** Columns of `edge_1h` and `edge_1d`: one row per hour or day, transport, client, server and port. */
export const ROLLED_EDGE_COLUMNS: readonly EdgeColumn[] = EDGE_COLUMNS.filter(({ merge }) => merge !== "source");

function column<const N extends string, const T extends ColumnType, const M extends EdgeMerge>(
  name: N,
  type: T,
  merge: M,
  unit: string,
  meaning: string,
  source: string,
): { name: N; type: T; merge: M; origin: "etl"; nullable: boolean; unit: string; meaning: string; source: string; since: number } {
  return { name, type, merge, origin: "etl", nullable: false, unit, meaning, source, since: 1 };
}

function nullable<C extends Column>(column: C): C {
  return { ...column, nullable: true };
}
