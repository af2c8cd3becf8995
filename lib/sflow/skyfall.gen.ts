// Do not edit; made by `deno task gen` from lib/sflow/skyfall.x.

export const SKYFALL_HOST = {
  container: "flow_data",
  enterprise: 32473,
  format: 1,
  fixedSize: null,
  fields: {
    host_id: { type: "opaque16", offset: 0, size: 16 },
    boot_id: { type: "opaque16", offset: 16, size: 16 },
    host_name: { type: "string", offset: 32, size: 64 },
  },
} as const;

export const SKYFALL_PROCESS = {
  container: "flow_data",
  enterprise: 32473,
  format: 2,
  fixedSize: null,
  fields: {
    index: { type: "u32", offset: 0, size: 4 },
    pid: { type: "u32", offset: 4, size: 4 },
    user_id: { type: "u32", offset: 8, size: 4 },
    network_namespace: { type: "u32", offset: 12, size: 4 },
    cgroup_id: { type: "u64", offset: 16, size: 8 },
    service_source: { type: "u32", offset: 24, size: 4 },
    service_name: { type: "string", offset: 28, size: 64 },
    executable_name: { type: "string", offset: null, size: 64 },
    executable_path: { type: "string", offset: null, size: 128 },
    command_line: { type: "string", offset: null, size: 255 },
    cgroup_path: { type: "string", offset: null, size: 128 },
    container_id: { type: "string", offset: null, size: 64 },
    container_name: { type: "string", offset: null, size: 64 },
    k8s_namespace: { type: "string", offset: null, size: 64 },
    k8s_pod_name: { type: "string", offset: null, size: 64 },
  },
} as const;

export const SKYFALL_FLOW = {
  container: "flow_data",
  enterprise: 32473,
  format: 3,
  fixedSize: 176,
  fields: {
    flow_id: { type: "u64", offset: 0, size: 8 },
    period_start_unix_us: { type: "u64", offset: 8, size: 8 },
    period_end_unix_us: { type: "u64", offset: 16, size: 8 },
    local_address: { type: "opaque16", offset: 24, size: 16 },
    remote_address: { type: "opaque16", offset: 40, size: 16 },
    local_port: { type: "u32", offset: 56, size: 4 },
    remote_port: { type: "u32", offset: 60, size: 4 },
    transport_protocol: { type: "u32", offset: 64, size: 4 },
    process_index: { type: "u32", offset: 68, size: 4 },
    role: { type: "u32", offset: 72, size: 4 },
    role_source: { type: "u32", offset: 76, size: 4 },
    attribution_source: { type: "u32", offset: 80, size: 4 },
    state: { type: "u32", offset: 84, size: 4 },
    end_reason: { type: "u32", offset: 88, size: 4 },
    opened_count: { type: "u32", offset: 92, size: 4 },
    amounts_known: { type: "u32", offset: 96, size: 4 },
    tx_bytes: { type: "u64", offset: 100, size: 8 },
    rx_bytes: { type: "u64", offset: 108, size: 8 },
    retrans_bytes: { type: "u64", offset: 116, size: 8 },
    tx_segments: { type: "u32", offset: 124, size: 4 },
    rx_segments: { type: "u32", offset: 128, size: 4 },
    retrans_segments: { type: "u32", offset: 132, size: 4 },
    lost_segments: { type: "u32", offset: 136, size: 4 },
    reordering_count: { type: "u32", offset: 140, size: 4 },
    busy_us: { type: "u32", offset: 144, size: 4 },
    rwnd_limited_us: { type: "u32", offset: 148, size: 4 },
    sndbuf_limited_us: { type: "u32", offset: 152, size: 4 },
    srtt_us: { type: "u32", offset: 156, size: 4 },
    rttvar_us: { type: "u32", offset: 160, size: 4 },
    min_rtt_us: { type: "u32", offset: 164, size: 4 },
    snd_cwnd_segments: { type: "u32", offset: 168, size: 4 },
    connect_us: { type: "u32", offset: 172, size: 4 },
  },
} as const;

export const SKYFALL_MIRROR = {
  container: "flow_data",
  enterprise: 32473,
  format: 4,
  fixedSize: 8,
  fields: {
    flow_id: { type: "u64", offset: 0, size: 8 },
  },
} as const;

export const SKYFALL_LISTENER = {
  container: "flow_data",
  enterprise: 32473,
  format: 5,
  fixedSize: 52,
  fields: {
    local_address: { type: "opaque16", offset: 0, size: 16 },
    local_port: { type: "u32", offset: 16, size: 4 },
    transport_protocol: { type: "u32", offset: 20, size: 4 },
    network_namespace: { type: "u32", offset: 24, size: 4 },
    process_index: { type: "u32", offset: 28, size: 4 },
    first_seen_unix_us: { type: "u64", offset: 32, size: 8 },
    last_seen_unix_us: { type: "u64", offset: 40, size: 8 },
    listening: { type: "u32", offset: 48, size: 4 },
  },
} as const;

export const SKYFALL_AGENT_COUNTERS = {
  container: "counter_data",
  enterprise: 32473,
  format: 1,
  fixedSize: 64,
  fields: {
    kernel_events: { type: "u64", offset: 0, size: 8 },
    ring_lost_events: { type: "u64", offset: 8, size: 8 },
    map_full_sockets: { type: "u64", offset: 16, size: 8 },
    flow_records: { type: "u64", offset: 24, size: 8 },
    send_lost_records: { type: "u64", offset: 32, size: 8 },
    opened_connections: { type: "u64", offset: 40, size: 8 },
    ended_connections: { type: "u64", offset: 48, size: 8 },
    unattributed_connections: { type: "u64", offset: 56, size: 8 },
  },
} as const;

export const SKYFALL_AGENT_LOSSES = {
  container: "counter_data",
  enterprise: 32473,
  format: 2,
  fixedSize: 56,
  fields: {
    ring_lost_events: { type: "u64", offset: 0, size: 8 },
    map_full_sockets: { type: "u64", offset: 8, size: 8 },
    missed_hook_runs: { type: "u64", offset: 16, size: 8 },
    udp_lost_datagrams: { type: "u64", offset: 24, size: 8 },
    udp_missed_calls: { type: "u64", offset: 32, size: 8 },
    governor_dropped_flows: { type: "u64", offset: 40, size: 8 },
    send_lost_records: { type: "u64", offset: 48, size: 8 },
  },
} as const;

export const SKYFALL_UDP_COUNTERS = {
  container: "counter_data",
  enterprise: 32473,
  format: 3,
  fixedSize: 32,
  fields: {
    udp_flows: { type: "u64", offset: 0, size: 8 },
    udp_map_full_datagrams: { type: "u64", offset: 8, size: 8 },
    udp_lost_bytes: { type: "u64", offset: 16, size: 8 },
    udp_peer_unknown_datagrams: { type: "u64", offset: 24, size: 8 },
  },
} as const;

export const SKYFALL_RECONCILIATION = {
  container: "counter_data",
  enterprise: 32473,
  format: 4,
  fixedSize: 88,
  fields: {
    network_namespaces: { type: "u64", offset: 0, size: 8 },
    network_namespaces_left_out: { type: "u64", offset: 8, size: 8 },
    active_opens: { type: "u64", offset: 16, size: 8 },
    active_opens_difference: { type: "u64", offset: 24, size: 8 },
    active_opens_persistent_difference: { type: "u64", offset: 32, size: 8 },
    passive_opens: { type: "u64", offset: 40, size: 8 },
    passive_opens_difference: { type: "u64", offset: 48, size: 8 },
    passive_opens_persistent_difference: { type: "u64", offset: 56, size: 8 },
    estab_resets: { type: "u64", offset: 64, size: 8 },
    estab_resets_difference: { type: "u64", offset: 72, size: 8 },
    estab_resets_persistent_difference: { type: "u64", offset: 80, size: 8 },
  },
} as const;

export const SKYFALL_AUTHENTICATION = {
  container: "counter_data",
  enterprise: 32473,
  format: 5,
  fixedSize: 36,
  fields: {
    session_unix_us: { type: "u64", offset: 0, size: 8 },
    sent_unix_us: { type: "u64", offset: 8, size: 8 },
    key_id: { type: "u32", offset: 16, size: 4 },
    mac: { type: "opaque16", offset: 20, size: 16 },
  },
} as const;
