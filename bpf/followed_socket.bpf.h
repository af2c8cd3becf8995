/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of a socket between its beginning and its end, on every rung. */
#ifndef SKYFALL_FOLLOWED_SOCKET_BPF_H
#define SKYFALL_FOLLOWED_SOCKET_BPF_H

#include <linux/types.h>

/* Totals of a socket as the kernel counts them, but for the corrections of struct tcp_event. */
struct socket_totals {
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 bytes_retrans;
	__u32 segs_out;
	__u32 segs_in;
	__u32 total_retrans;
	__u32 lost;
	__u32 reord_seen;
	__u32 busy_ticks;
	__u32 rwnd_limited_ticks;
	__u32 sndbuf_limited_ticks;
};

struct followed_socket {
	__u64 syn_sent_ktime_ns;
	__u64 established_ktime_ns;
	__u64 process_start_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 exec_id;
	__u32 user_id;
	__u32 srtt_us;
	__u32 rttvar_us;
	__u32 min_rtt_us;
	__u32 snd_cwnd;
	__u8 active_open;
	__u8 attribution;
	__u8 first_fin; /* enum first_fin; quality is taken at it */
	__u8 ended;
	/* From here on read and written by reports alone. */
	__u64 reported_ktime_ns; /* 0: nothing is reported yet */
	__u8 open_reported;      /* that it reached ESTABLISHED */
	__u8 found;              /* it was open before the programs were attached */
	__u8 found_reported;
	__u8 unowned;            /* counted as such */
	__u32 reserved;
	struct socket_totals reported;
};

#endif
