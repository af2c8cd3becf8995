/* SPDX-License-Identifier: GPL-2.0 */
/* What is told of a socket while it is open, on every rung. */
#ifndef SKYFALL_OPEN_SOCKET_BPF_H
#define SKYFALL_OPEN_SOCKET_BPF_H

/* Begins to follow a socket that was open before the programs were attached, with what it did until now left out. */
static __always_inline struct followed_socket *follow_found(struct sock *sk, const struct tcp_sock *tp)
{
	struct followed_socket *followed = follow(sk);

	if (!followed)
		return 0;
	read_totals(&followed->reported, tp);
	followed->reported_ktime_ns = bpf_ktime_get_ns();
	followed->found = 1;
	followed->open_reported = 1;
	followed->unowned = 1;
	count(COUNTER_UNOWNED);
	count(COUNTER_FOUND);
	return followed;
}

/* Whether there is anything to say of an open socket. */
static __always_inline bool is_news(const struct followed_socket *followed, const struct socket_totals *totals)
{
	return totals->segs_out != followed->reported.segs_out || totals->segs_in != followed->reported.segs_in ||
	       (followed->established_ktime_ns != 0 && !followed->open_reported) || (followed->found && !followed->found_reported);
}

/* What the event tells is told from now on. */
static __always_inline void mark_reported(struct followed_socket *followed, const struct tcp_event *event, const struct socket_totals *totals)
{
	followed->reported = *totals;
	followed->reported_ktime_ns = event->ktime_ns;
	followed->found_reported = 1;
	if (event->opened)
		followed->open_reported = 1;
}

#endif
