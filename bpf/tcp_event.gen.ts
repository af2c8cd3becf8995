// Do not edit; made by `deno task bpf` from bpf/tcp_event.h.

export const TCP_EVENT = {
  size: 184,
  fields: {
    period_start_ktime_ns: { offset: 0, size: 8 },
    ktime_ns: { offset: 8, size: 8 },
    socket_cookie: { offset: 16, size: 8 },
    bytes_sent: { offset: 24, size: 8 },
    bytes_received: { offset: 32, size: 8 },
    bytes_retrans: { offset: 40, size: 8 },
    process_start_ns: { offset: 48, size: 8 },
    cgroup_id: { offset: 56, size: 8 },
    local_address: { offset: 64, size: 16 },
    remote_address: { offset: 80, size: 16 },
    pid: { offset: 96, size: 4 },
    exec_id: { offset: 100, size: 4 },
    user_id: { offset: 104, size: 4 },
    network_namespace: { offset: 108, size: 4 },
    segs_out: { offset: 112, size: 4 },
    segs_in: { offset: 116, size: 4 },
    total_retrans: { offset: 120, size: 4 },
    lost: { offset: 124, size: 4 },
    reord_seen: { offset: 128, size: 4 },
    busy_ticks: { offset: 132, size: 4 },
    rwnd_limited_ticks: { offset: 136, size: 4 },
    sndbuf_limited_ticks: { offset: 140, size: 4 },
    srtt_us: { offset: 144, size: 4 },
    rttvar_us: { offset: 148, size: 4 },
    min_rtt_us: { offset: 152, size: 4 },
    snd_cwnd: { offset: 156, size: 4 },
    connect_us: { offset: 160, size: 4 },
    socket_error: { offset: 164, size: 4 },
    local_port: { offset: 168, size: 2 },
    remote_port: { offset: 170, size: 2 },
    kind: { offset: 172, size: 1 },
    state: { offset: 173, size: 1 },
    active_open: { offset: 174, size: 1 },
    attribution: { offset: 175, size: 1 },
    seen_from_start: { offset: 176, size: 1 },
    first_fin: { offset: 177, size: 1 },
    opened: { offset: 178, size: 1 },
    passive_open: { offset: 179, size: 1 },
    reserved: { offset: 180, size: 4 },
  },
} as const;

export const PROCESS_EVENT = {
  size: 760,
  fields: {
    process_start_ns: { offset: 0, size: 8 },
    cgroup_id: { offset: 8, size: 8 },
    pid: { offset: 16, size: 4 },
    exec_id: { offset: 20, size: 4 },
    user_id: { offset: 24, size: 4 },
    network_namespace: { offset: 28, size: 4 },
    cgroup_names_bytes: { offset: 32, size: 4 },
    command_line_bytes: { offset: 36, size: 4 },
    kind: { offset: 40, size: 1 },
    reserved: { offset: 41, size: 3 },
    comm: { offset: 44, size: 16 },
    executable_name: { offset: 60, size: 64 },
    command_line: { offset: 124, size: 256 },
    cgroup_names: { offset: 380, size: 380 },
  },
} as const;

export const SOCKET_ELSEWHERE = {
  size: 8,
  fields: {
    network_namespace: { offset: 0, size: 4 },
    pid: { offset: 4, size: 4 },
  },
} as const;

export const EVENT_KIND = {
  EVENT_SOCKET_ENDED: 1,
  EVENT_SOCKET_OWNED: 2,
  EVENT_LISTEN_STARTED: 3,
  EVENT_LISTEN_ENDED: 4,
  EVENT_SOCKET_LIVE: 5,
  EVENT_PROCESS: 6,
} as const;

export const ATTRIBUTION = {
  ATTRIBUTION_UNKNOWN: 0,
  ATTRIBUTION_CONNECT: 1,
  ATTRIBUTION_CLOSE: 2,
  ATTRIBUTION_RELEASE: 3,
  ATTRIBUTION_TASK_FILE: 4,
  ATTRIBUTION_LISTEN: 5,
  ATTRIBUTION_ACCEPT: 6,
} as const;

export const FIRST_FIN = {
  FIRST_FIN_NONE: 0,
  FIRST_FIN_LOCAL: 1,
  FIRST_FIN_REMOTE: 2,
} as const;

export const COUNTER = {
  COUNTER_EVENTS: 0,
  COUNTER_RING_LOST: 1,
  COUNTER_MAP_FULL: 2,
  COUNTER_OPENED: 3,
  COUNTER_ENDED: 4,
  COUNTER_FAILED: 5,
  COUNTER_FOUND: 6,
  COUNTER_UNOWNED: 7,
  COUNTER_OWNED: 8,
  COUNTER_LEFT_OUT: 9,
  COUNTER_MAX: 10,
} as const;
