/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel programs keep of UDP for the agent; bpf/udp_flow.gen.ts is made from these structures by `deno task bpf`. */
#ifndef SKYFALL_UDP_FLOW_H
#define SKYFALL_UDP_FLOW_H

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

/* Bits of udp_flow.flags. */
enum udp_flag {
	UDP_FLAG_CONNECTED = 1,     /* the socket was connected to the peer when the flow was first seen */
	UDP_FLAG_SENT_FIRST = 2,    /* the flow's first datagram of the period was sent, not received */
	UDP_FLAG_PORT_BOUND = 4,    /* the program asked for this local port by its number */
	UDP_FLAG_AMOUNTS_KNOWN = 8, /* bytes and datagrams are counted; else only the peer is known */
	UDP_FLAG_BOUND = 16,        /* the program bound the socket to this port or to an address */
};

/* One socket, peer and process. A peer of zero address and port is unknown. */
struct udp_key {
	__u64 socket_cookie;
	__u8 remote_address[16];  /* IPv4 mapped (RFC 4291, section 2.5.5.2) */
	__u32 pid;                /* thread group id, initial namespace; 0: a thread of the kernel */
	__u16 remote_port;
	__u8 reserved[2];
};

/* What was done under a key since the agent last took the flows: payload that was handed to the kernel or to the program. */
struct udp_flow {
	__u64 first_ktime_ns;     /* bpf_ktime_get_ns() */
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 tx_datagrams;
	__u64 rx_datagrams;
	__u64 process_start_ns;   /* task_struct.start_time of the group leader */
	__u64 cgroup_id;
	__u8 local_address[16];   /* zero or 0.0.0.0: the socket is bound to every address, and no packet told which one it was */
	__u32 first_ticks;        /* jiffies at first_ktime_ns, and below at the last call: reading a clock costs more than the rest */
	__u32 last_ticks;
	__u32 exec_id;            /* task_struct.self_exec_id: one pid, several programs */
	__u32 user_id;
	__u32 network_namespace;
	__u16 local_port;         /* 0: not yet bound */
	__u8 flags;               /* enum udp_flag */
	__u8 reserved[1];
};

/* Iterator: a socket as it is now. */
struct udp_socket {
	__u64 socket_cookie;
	__u8 local_address[16];
	__u8 remote_address[16];
	__u32 network_namespace;
	__u16 local_port;
	__u16 remote_port;        /* 0: not connected */
	__u8 port_bound;          /* the program asked for this port by its number */
	__u8 reserved[7];
};

#pragma clang diagnostic pop

/* Indexes of the per-CPU counters of UDP. */
enum udp_counter {
	UDP_COUNTER_FLOWS = 0,          /* flows begun */
	UDP_COUNTER_MAP_FULL = 1,       /* datagrams counted without their peer, because the map of flows was full */
	UDP_COUNTER_LOST_DATAGRAMS = 2, /* datagrams not counted, because that map was full too */
	UDP_COUNTER_LOST_BYTES = 3,
	UDP_COUNTER_PEER_UNKNOWN = 4,   /* datagrams whose peer the programs could not see */
	UDP_COUNTER_RESCUED = 5,        /* calls that only the second program counted */
	UDP_COUNTER_MAX = 6,
};

#endif
