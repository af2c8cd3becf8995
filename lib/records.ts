/** The one place that names every column of a flow row, with its type, unit, meaning and source. */

/**
 * Storage types, named as in DuckDB SQL. `TIMESTAMPTZ` holds microseconds since 1970 UTC. `BLOB` holds an address of
 * 16 bytes in network order, IPv4 as `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2).
 */
export type ColumnType = "VARCHAR" | "BLOB" | "INTEGER" | "BIGINT" | "TIMESTAMPTZ" | "INTEGER[]" | "BIGINT[]";

/** Who first writes a column: the collector into the topic's messages, or the ETL job on the way to the lake. */
export type ColumnOrigin = "message" | "etl";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  readonly origin: ColumnOrigin;
  /** Unit of numbers, the closed set of values of an enumeration, or "-". */
  readonly unit: string;
  readonly meaning: string;
  /** Kernel field, sFlow structure or program step that the value is taken from. */
  readonly source: string;
  /** Schema version that brought the column; rows of older ones have null in the lake. */
  readonly since: number;
}

/**
 * Version of the row's meaning; it travels in every message and row, and only grows. Version 2 added `flow_source` to `late_count`;
 * messages and lakes of version 1 are read on.
 */
export const FLOW_SCHEMA_VERSION = 2;

/**
 * Columns of `flow`: one row per observing host and end, service, conversation (transport, client address, server
 * address, server port), minute and collector window. Amounts are deltas of the row's time, so rows may always be added up, but
 * never the rows of the two ends of one conversation. All periods of a row begin in the same minute; those that end in it, or
 * within a second after it, are never in a row with others.
 */
export const FLOW_COLUMNS = [
  column(
    "window_start",
    "TIMESTAMPTZ",
    "us since 1970 UTC",
    "Start of the earliest period in the row",
    "skyfall_flow.period_start_unix_us",
  ),
  column("window_end", "TIMESTAMPTZ", "us since 1970 UTC", "End of the latest period in the row", "skyfall_flow.period_end_unix_us"),
  column(
    "observer_host_id",
    "VARCHAR",
    "hex",
    "Machine id of the host that saw the conversation",
    "/etc/machine-id; skyfall_host.host_id",
    "null",
  ),
  column("observer_host_name", "VARCHAR", "-", "Its host name", "uname(2); skyfall_host.host_name", "null"),
  column(
    "observer_boot_id",
    "VARCHAR",
    "hex",
    "Its boot, so that restarts can be told apart",
    "/proc/sys/kernel/random/boot_id; skyfall_host.boot_id",
    "null",
  ),
  column("observer_address", "VARCHAR", "-", "Agent address of the sFlow datagrams", "sFlow v5 agent_address"),
  column("observer_role", "VARCHAR", "client | server | unknown", "Which end of the conversation the observer holds", "skyfall_flow.role"),
  column("direction_source", "VARCHAR", "connect | accept | listen | heuristic", "Evidence for the role", "skyfall_flow.role_source"),
  column(
    "attribution_source",
    "VARCHAR",
    "connect | accept | close | release | task_file | listener | unknown",
    "Where the observer's process was taken from, the strongest evidence in the row",
    "skyfall_flow.attribution_source",
  ),
  column("network_transport", "VARCHAR", "tcp | udp", "Transport protocol", "skyfall_flow.transport_protocol"),
  etlColumn("network_type", "VARCHAR", "ipv4 | ipv6", "Address family; mapped addresses are ipv4", "client_ip"),
  etlColumn("client_address", "VARCHAR", "-", "Address of the end that opened the conversation, canonical text (RFC 5952)", "client_ip"),
  etlColumn("server_address", "VARCHAR", "-", "Address of the end that listens, canonical text (RFC 5952)", "server_ip"),
  column("client_ip", "BLOB", "16 bytes", "The same address for ranges and joins", "skyfall_flow.local_address or remote_address"),
  column("server_ip", "BLOB", "16 bytes", "The same address for ranges and joins", "skyfall_flow.local_address or remote_address"),
  column("server_port", "INTEGER", "-", "Port of the service", "skyfall_flow.local_port or remote_port"),
  column(
    "client_ports",
    "INTEGER[]",
    "-",
    "Ephemeral ports that were used, ascending, each once",
    "skyfall_flow.local_port or remote_port",
  ),
  column("client_port_count", "INTEGER", "ports", "How many there were, also where the list was cut", "collector"),
  column(
    "client_service_name",
    "VARCHAR",
    "-",
    "Service of the client, null where the observer cannot know it",
    "skyfall_process.service_name",
    "null",
  ),
  column(
    "server_service_name",
    "VARCHAR",
    "-",
    "Service of the server, null where the observer cannot know it",
    "skyfall_process.service_name",
    "null",
  ),
  column(
    "client_process_executable_name",
    "VARCHAR",
    "-",
    "Executable of the client, null as above",
    "skyfall_process.executable_name",
    "null",
  ),
  column(
    "server_process_executable_name",
    "VARCHAR",
    "-",
    "Executable of the server, null as above",
    "skyfall_process.executable_name",
    "null",
  ),
  column(
    "process_pid",
    "INTEGER",
    "-",
    "Process id at the observer, the latest seen in the window",
    "task_struct.tgid; skyfall_process.pid",
    "null",
  ),
  column("process_executable_path", "VARCHAR", "-", "Its executable", "/proc/PID/exe; skyfall_process.executable_path", "null"),
  column(
    "process_command_line",
    "VARCHAR",
    "-",
    "Its command line, at most 255 bytes",
    "mm_struct.arg_start; skyfall_process.command_line",
    "null",
  ),
  column("process_user_id", "INTEGER", "-", "Its real user id", "cred.uid; skyfall_process.user_id", "null"),
  column("process_cgroup", "VARCHAR", "-", "Its control group's path", "/proc/PID/cgroup; skyfall_process.cgroup_path", "null"),
  column(
    "process_network_namespace",
    "BIGINT",
    "inode number",
    "Its network namespace",
    "net.ns.inum; skyfall_process.network_namespace",
    "null",
  ),
  column(
    "bytes_sent",
    "BIGINT",
    "bytes",
    "Application bytes from client to server, without SYN, FIN and retransmissions",
    "tcp_sock.bytes_sent - bytes_retrans at the client, bytes_received - FIN at the server",
  ),
  column("bytes_received", "BIGINT", "bytes", "Application bytes from server to client", "the same at the other end"),
  column("segments_sent", "BIGINT", "segments", "Segments from client to server, with those without data", "tcp_sock.segs_out, segs_in"),
  column(
    "segments_received",
    "BIGINT",
    "segments",
    "Segments from server to client, with those without data",
    "tcp_sock.segs_in, segs_out",
  ),
  column("retransmits", "BIGINT", "segments", "Segments that the observer sent again, SYN included", "tcp_sock.total_retrans"),
  column("bytes_retrans", "BIGINT", "bytes", "Application bytes that the observer sent again", "tcp_sock.bytes_retrans"),
  column("lost", "BIGINT", "segments", "Segments that the observer's sender marked lost", "tcp_sock.lost"),
  column("reordering_seen", "BIGINT", "times", "Times that the observer found its segments reordered", "tcp_sock.reord_seen"),
  column("busy_us", "BIGINT", "us", "Time that the observer had data to send", "tcp_sock.chrono_stat; tcpi_busy_time"),
  column("rwnd_limited_us", "BIGINT", "us", "Of that, stalled by the peer's receive window", "tcp_sock.chrono_stat; tcpi_rwnd_limited"),
  column("sndbuf_limited_us", "BIGINT", "us", "Of that, stalled by the send buffer", "tcp_sock.chrono_stat; tcpi_sndbuf_limited"),
  column(
    "amounts_unknown",
    "BIGINT",
    "records",
    "Records of which the kernel could not tell all bytes; they count as 0",
    "skyfall_flow.amounts_known",
  ),
  column("connections_opened", "BIGINT", "connections", "Connections that reached ESTABLISHED in the window", "inet_sock_set_state"),
  column("connections_closed", "BIGINT", "connections", "Connections that ended in the window", "inet_sock_set_state"),
  column("connections_reset", "BIGINT", "connections", "Those of them that a reset ended", "sock.sk_err"),
  column("connections_timed_out", "BIGINT", "connections", "Those of them that ended unanswered", "sock.sk_err ETIMEDOUT"),
  column("connections_failed_refused", "BIGINT", "connections", "Connection attempts answered by a reset", "sock.sk_err ECONNREFUSED"),
  column("connections_failed_timeout", "BIGINT", "connections", "Connection attempts that were never answered", "sock.sk_err ETIMEDOUT"),
  column(
    "connections_failed_unreachable",
    "BIGINT",
    "connections",
    "Connection attempts with no way to the host or its network",
    "sock.sk_err EHOSTUNREACH, ENETUNREACH",
  ),
  column("connections_failed_other", "BIGINT", "connections", "Connection attempts that failed otherwise", "sock.sk_err"),
  column(
    "srtt_us_sum",
    "BIGINT",
    "us",
    "Sum of the smoothed round-trip times, one per connection and period",
    "tcp_sock.srtt_us >> 3 before the FIN (RFC 6298 SRTT)",
  ),
  column("srtt_samples", "BIGINT", "samples", "How many there are", "collector"),
  column("srtt_us_min", "INTEGER", "us", "Smallest", "tcp_sock.srtt_us >> 3", "null"),
  column("srtt_us_max", "INTEGER", "us", "Greatest", "tcp_sock.srtt_us >> 3", "null"),
  column(
    "rttvar_us_sum",
    "BIGINT",
    "us",
    "Sum of the round-trip time variations, of the same samples",
    "tcp_sock.mdev_us >> 2 (RFC 6298 RTTVAR)",
  ),
  column("min_rtt_us", "INTEGER", "us", "Smallest round-trip time that the kernel measured", "tcp_sock.rtt_min", "null"),
  column("connect_us_sum", "BIGINT", "us", "Sum of the times from SYN-SENT to ESTABLISHED", "inet_sock_set_state"),
  column("connect_samples", "BIGINT", "samples", "How many there are", "collector"),
  column("connect_us_max", "INTEGER", "us", "Greatest", "inet_sock_set_state", "null"),
  column(
    "snd_cwnd_sum",
    "BIGINT",
    "segments",
    "Sum of the sending congestion windows before the FIN, of the srtt samples",
    "tcp_sock.snd_cwnd",
  ),
  column("snd_cwnd_min", "INTEGER", "segments", "Smallest", "tcp_sock.snd_cwnd", "null"),
  column("event_count", "BIGINT", "records", "Flow records of the agent that the row adds up", "collector"),
  since(
    2,
    column(
      "flow_source",
      "VARCHAR",
      "skyfall | sflow",
      "Who measured: our agent, exactly, or another sFlow agent, whose samples are multiplied by sampling_rate",
      "records of the sFlow sample",
    ),
  ),
  since(
    2,
    column(
      "sampling_rate",
      "INTEGER",
      "packets",
      "Of how many packets one was looked at; 1 where everything was",
      "sFlow v5 flow_sample.sampling_rate",
    ),
  ),
  since(
    2,
    column(
      "reporter",
      "VARCHAR",
      "client | server | both",
      "Whose reports of the conversation and minute met at the collector; one of unknown role counts as the client's",
      "collector",
    ),
  ),
  since(
    2,
    column(
      "peer_bytes_sent",
      "BIGINT",
      "bytes",
      "What the other end saw from client to server, null where it was not met",
      "collector",
      "null",
    ),
  ),
  since(
    2,
    column("peer_bytes_received", "BIGINT", "bytes", "What the other end saw from server to client, null as above", "collector", "null"),
  ),
  since(
    2,
    column(
      "fold_level",
      "INTEGER",
      "0 | 3 | 4 | 5",
      "How the collector folded the row when short of memory: 0 not; 3 client_ip cut to /24 or /64; 4 the targets of a scanning client (server_ip zeros, server_port 0); 5 every client (client_ip zeros)",
      "collector",
    ),
  ),
  since(
    2,
    column(
      "late_count",
      "BIGINT",
      "records",
      "Records in the row that came more than two windows after their period ended",
      "collector",
    ),
  ),
  column("schema_version", "INTEGER", "-", "FLOW_SCHEMA_VERSION when the row was written", "collector"),
  etlColumn("src_topic", "VARCHAR", "-", "Topic that the row was read from", "topic"),
  etlColumn("src_partition", "INTEGER", "-", "Its partition", "topic"),
  etlColumn("src_offset", "BIGINT", "-", "Offset of the message in the partition", "topic"),
  etlColumn("src_index", "INTEGER", "-", "Index of the row in the message", "topic"),
  etlColumn("ingest_time", "TIMESTAMPTZ", "us since 1970 UTC", "When the ETL job read the row", "etl"),
] as const satisfies readonly Column[];

export type FlowColumn = typeof FLOW_COLUMNS[number];

/** Columns that a topic message carries, in this order. */
export type MessageColumn = Extract<FlowColumn, { origin: "message" }>;
export const MESSAGE_COLUMNS: readonly MessageColumn[] = FLOW_COLUMNS.filter((c): c is MessageColumn => c.origin === "message");

/** Version of the meaning of `dead_letter`'s rows. */
export const DEAD_LETTER_SCHEMA_VERSION = 1;

/** Columns of `dead_letter`: one row per message that gave no rows of `flow`. Its offset counts as taken in. */
export const DEAD_LETTER_COLUMNS = [
  etlColumn("src_topic", "VARCHAR", "-", "Topic that the message was read from", "topic"),
  etlColumn("src_partition", "INTEGER", "-", "Its partition", "topic"),
  etlColumn("src_offset", "BIGINT", "-", "Its offset in the partition", "topic"),
  etlColumn("reason", "VARCHAR", "-", "Why it gave no rows", "etl"),
  etlColumn("value", "BLOB", "-", "The message itself", "topic"),
  etlColumn("ingest_time", "TIMESTAMPTZ", "us since 1970 UTC", "When the ETL job read it", "etl"),
] as const satisfies readonly Column[];

/** Version of the meaning of `agent_loss`'s rows. */
export const AGENT_LOSS_SCHEMA_VERSION = 1;

/** Columns of `agent_loss`: one row per agent of which a collector found something lost, and time in which it did. */
export const AGENT_LOSS_COLUMNS = [
  column("loss_start", "TIMESTAMPTZ", "us since 1970 UTC", "What was lost was lost after this", "collector"),
  column("loss_end", "TIMESTAMPTZ", "us since 1970 UTC", "And before this", "collector"),
  column("agent_address", "VARCHAR", "-", "Address of the agent; null for those that are not named", "sFlow v5 agent_address", "null"),
  column("sub_agent_id", "BIGINT", "-", "Null for our agents, whose lanes are one", "sFlow v5 sub_agent_id", "null"),
  column("agent_count", "INTEGER", "agents", "1, or how many are not named: a row names those that lost most", "collector"),
  column("datagrams_lost", "BIGINT", "datagrams", "Sequence numbers that never came; below 0 where some came late", "collector"),
  column("flow_records_missing", "BIGINT", "records", "Flow records that the agent sent and that never came", "skyfall sample_pool"),
  column("agent_dropped_events", "BIGINT", "events", "What the agent says that it lost itself", "skyfall drops"),
  etlColumn("src_topic", "VARCHAR", "-", "Topic that the row was read from", "topic"),
  etlColumn("src_partition", "INTEGER", "-", "Its partition", "topic"),
  etlColumn("src_offset", "BIGINT", "-", "Offset of the message in the partition", "topic"),
  etlColumn("src_index", "INTEGER", "-", "Index of the row among those of the message", "topic"),
  etlColumn("ingest_time", "TIMESTAMPTZ", "us since 1970 UTC", "When the ETL job read it", "etl"),
] as const satisfies readonly Column[];

type Nullability = "null" | "not null";

function column<const N extends string, const T extends ColumnType>(
  name: N,
  type: T,
  unit: string,
  meaning: string,
  source: string,
  nullability: Nullability = "not null",
): { name: N; type: T; origin: "message"; nullable: boolean; unit: string; meaning: string; source: string; since: number } {
  return { name, type, origin: "message", nullable: nullability === "null", unit, meaning, source, since: 1 };
}

function since<C extends Column>(version: number, added: C): C {
  return { ...added, since: version };
}

function etlColumn<const N extends string, const T extends ColumnType>(
  name: N,
  type: T,
  unit: string,
  meaning: string,
  source: string,
): { name: N; type: T; origin: "etl"; nullable: boolean; unit: string; meaning: string; source: string; since: number } {
  return { name, type, origin: "etl", nullable: false, unit, meaning, source, since: 1 };
}
