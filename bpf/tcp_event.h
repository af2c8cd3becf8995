/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel programs tell the agent; bpf/tcp_event.gen.ts is made from these structures by `deno task bpf`. */
#ifndef SKYFALL_TCP_EVENT_H
#define SKYFALL_TCP_EVENT_H

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

enum event_kind {
	EVENT_SOCKET_ENDED = 1,   /* a connection, or an attempt to connect, ended */
	EVENT_SOCKET_OWNED = 2,   /* the owner of a connection that ended before it was known */
	EVENT_LISTEN_STARTED = 3, /* a socket began to listen */
	EVENT_LISTEN_ENDED = 4,
	EVENT_SOCKET_LIVE = 5,    /* iterator: what an open socket did since it was last reported */
	EVENT_PROCESS = 6,        /* struct process_event: a process that owns a socket */
};

/* How the owner in a tcp_event was found: always in its own context, never in a softirq. */
enum attribution {
	ATTRIBUTION_UNKNOWN = 0,
	ATTRIBUTION_CONNECT = 1, /* connect(2) */
	ATTRIBUTION_CLOSE = 2,   /* close(2) or shutdown(2) */
	ATTRIBUTION_RELEASE = 3, /* last close(2), seen by cgroup/sock_release */
	ATTRIBUTION_TASK_FILE = 4, /* a walk over the open files of all tasks */
	ATTRIBUTION_LISTEN = 5,  /* listen(2) */
	ATTRIBUTION_ACCEPT = 6,  /* accept(2) */
};

/* Which end closed first. */
enum first_fin {
	FIRST_FIN_NONE = 0,
	FIRST_FIN_LOCAL = 1,
	FIRST_FIN_REMOTE = 2,
};

/*
 * What a socket did in a period. Amounts are of the period alone: each is told once, and together they are the socket's
 * totals. Gauges are of the period's end.
 */
struct tcp_event {
	__u64 period_start_ktime_ns;
	__u64 ktime_ns;               /* end of the period: bpf_ktime_get_ns() */
	__u64 socket_cookie;
	__u64 bytes_sent;             /* tcp_sock.bytes_sent - bytes_retrans: application bytes */
	__u64 bytes_received;         /* tcp_sock.bytes_received without the peer's FIN: application bytes */
	__u64 bytes_retrans;
	__u64 process_start_ns;       /* task_struct.start_time of the group leader */
	__u64 cgroup_id;
	__u8 local_address[16];       /* IPv4 mapped (RFC 4291, section 2.5.5.2) */
	__u8 remote_address[16];
	__u32 pid;                    /* thread group id, initial namespace; 0: unknown */
	__u32 exec_id;                /* task_struct.self_exec_id: one pid, several programs */
	__u32 user_id;
	__u32 network_namespace;
	__u32 segs_out;
	__u32 segs_in;
	__u32 total_retrans;
	__u32 lost;                   /* segments marked lost; not the gauge lost_out */
	__u32 reord_seen;             /* times that segments were found to arrive out of order */
	__u32 busy_ticks;             /* time with data to send, as TCP_INFO's tcpi_busy_time, in ticks of CONFIG_HZ */
	__u32 rwnd_limited_ticks;     /* of that, stalled by the peer's receive window */
	__u32 sndbuf_limited_ticks;   /* of that, stalled by the send buffer */
	__u32 srtt_us;                /* unscaled (kernel: << 3), taken before a FIN; 0: no sample */
	__u32 rttvar_us;              /* mdev_us unscaled (kernel: << 2), as TCP_INFO's tcpi_rttvar */
	__u32 min_rtt_us;             /* 0: no sample */
	__u32 snd_cwnd;               /* segments, taken before a FIN */
	__u32 connect_us;             /* SYN-SENT to ESTABLISHED, if that was in the period; else 0 */
	__u32 socket_error;           /* sock.sk_err: errno */
	__u16 local_port;
	__u16 remote_port;
	__u8 kind;                    /* enum event_kind */
	__u8 state;                   /* TCP_* of the kernel; before the end for EVENT_SOCKET_ENDED */
	__u8 active_open;             /* this end called connect(2) */
	__u8 attribution;             /* enum attribution */
	__u8 seen_from_start;         /* the programs saw the connection begin */
	__u8 first_fin;               /* enum first_fin */
	__u8 opened;                  /* ESTABLISHED was reached in the period */
	__u8 passive_open;            /* the other end did; of sockets older than the programs either is found out, or neither */
	__u8 reserved[4];
};

#define EXECUTABLE_NAME_BYTES 64
#define COMMAND_LINE_BYTES 256
#define CGROUP_NAMES_BYTES 380

/* A process, described in its own context, so that it is known even if it lives for a moment only. */
struct process_event {
	__u64 process_start_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 exec_id;
	__u32 user_id;
	__u32 network_namespace;
	__u32 cgroup_names_bytes;     /* names of the control group and those around it, each ended by a NUL; 0: the root, or unknown */
	__u32 command_line_bytes;     /* arguments, each ended by a NUL; cut at COMMAND_LINE_BYTES */
	__u8 kind;                    /* EVENT_PROCESS, at another offset than in tcp_event: records differ in size */
	__u8 reserved[3];
	__u8 comm[16];
	__u8 executable_name[EXECUTABLE_NAME_BYTES];
	__u8 command_line[COMMAND_LINE_BYTES];
	__u8 cgroup_names[CGROUP_NAMES_BYTES];
};

/* A socket that is in another network namespace than the agent, from the walk over the files of all tasks. */
struct socket_elsewhere {
	__u32 network_namespace;
	__u32 pid; /* a process in it, which holds the socket */
};

#pragma clang diagnostic pop

/* Indexes of the per-CPU counters. */
enum counter {
	COUNTER_EVENTS = 0,    /* events that the programs wanted to report */
	COUNTER_RING_LOST = 1, /* of those, lost because the ring buffer was full */
	COUNTER_MAP_FULL = 2,  /* sockets not followed because the map was full */
	COUNTER_OPENED = 3,    /* connections that reached ESTABLISHED */
	COUNTER_ENDED = 4,     /* of those, ended */
	COUNTER_FAILED = 5,    /* attempts to connect that ended before ESTABLISHED */
	COUNTER_FOUND = 6,     /* connections that were open before the programs were attached */
	COUNTER_UNOWNED = 7,   /* connections that began without an owner */
	COUNTER_OWNED = 8,     /* of those, that got one, or ended without */
	COUNTER_LEFT_OUT = 9,  /* connections and attempts that ended and were not followed, as of so many one was */
	COUNTER_MAX = 10,
};

#endif
