/* SPDX-License-Identifier: GPL-2.0 */
/* The hooks of rung kprobe whose calls are counted, as a check on what the handlers saw. */
#ifndef SKYFALL_KPROBE_HOOK_H
#define SKYFALL_KPROBE_HOOK_H

enum kprobe_hook {
	HOOK_TCP_SET_STATE = 0,
	HOOK_TCP_V4_CONNECT = 1, /* an IPv6 socket that connects to a mapped address calls it too */
	HOOK_TCP_V6_CONNECT = 2,
	HOOK_INET_CSK_ACCEPT = 3, /* returns with a connection */
	HOOK_SECURITY_SOCK_GRAFT = 4, /* a connection was handed to accept(2) */
	HOOK_IP4_DATAGRAM_CONNECT = 5,
	HOOK_IP6_DATAGRAM_CONNECT = 6,
	/* Not hooks, but ends at which tcp_set_state was missed: */
	HOOK_LATE_END = 7, /* reported later */
	HOOK_LOST_END = 8, /* never reported: another socket has taken the place */
	HOOK_MAX = 9,
};

#endif
