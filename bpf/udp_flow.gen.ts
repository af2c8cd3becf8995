// Do not edit; made by `deno task bpf` from bpf/udp_flow.h.

export const UDP_KEY = {
  size: 32,
  fields: {
    socket_cookie: { offset: 0, size: 8 },
    remote_address: { offset: 8, size: 16 },
    pid: { offset: 24, size: 4 },
    remote_port: { offset: 28, size: 2 },
    reserved: { offset: 30, size: 2 },
  },
} as const;

export const UDP_FLOW = {
  size: 96,
  fields: {
    first_ktime_ns: { offset: 0, size: 8 },
    tx_bytes: { offset: 8, size: 8 },
    rx_bytes: { offset: 16, size: 8 },
    tx_datagrams: { offset: 24, size: 8 },
    rx_datagrams: { offset: 32, size: 8 },
    process_start_ns: { offset: 40, size: 8 },
    cgroup_id: { offset: 48, size: 8 },
    local_address: { offset: 56, size: 16 },
    first_ticks: { offset: 72, size: 4 },
    last_ticks: { offset: 76, size: 4 },
    exec_id: { offset: 80, size: 4 },
    user_id: { offset: 84, size: 4 },
    network_namespace: { offset: 88, size: 4 },
    local_port: { offset: 92, size: 2 },
    flags: { offset: 94, size: 1 },
    reserved: { offset: 95, size: 1 },
  },
} as const;

export const UDP_SOCKET = {
  size: 56,
  fields: {
    socket_cookie: { offset: 0, size: 8 },
    local_address: { offset: 8, size: 16 },
    remote_address: { offset: 24, size: 16 },
    network_namespace: { offset: 40, size: 4 },
    local_port: { offset: 44, size: 2 },
    remote_port: { offset: 46, size: 2 },
    port_bound: { offset: 48, size: 1 },
    reserved: { offset: 49, size: 7 },
  },
} as const;

export const UDP_FLAG = {
  UDP_FLAG_CONNECTED: 1,
  UDP_FLAG_SENT_FIRST: 2,
  UDP_FLAG_PORT_BOUND: 4,
  UDP_FLAG_AMOUNTS_KNOWN: 8,
  UDP_FLAG_BOUND: 16,
} as const;

export const UDP_COUNTER = {
  UDP_COUNTER_FLOWS: 0,
  UDP_COUNTER_MAP_FULL: 1,
  UDP_COUNTER_LOST_DATAGRAMS: 2,
  UDP_COUNTER_LOST_BYTES: 3,
  UDP_COUNTER_PEER_UNKNOWN: 4,
  UDP_COUNTER_RESCUED: 5,
  UDP_COUNTER_MAX: 6,
} as const;
