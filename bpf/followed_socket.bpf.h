/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of a socket between its beginning and its end, on every rung. */
#ifndef SKYFALL_FOLLOWED_SOCKET_BPF_H
#define SKYFALL_FOLLOWED_SOCKET_BPF_H

#include <linux/types.h>

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
};

#endif
