/* SPDX-License-Identifier: GPL-2.0 */
/* What is told of a socket while it is open, on every rung. */
#ifndef SKYFALL_OPEN_SOCKET_BPF_H
#define SKYFALL_OPEN_SOCKET_BPF_H

/*
 * Which end connected: bytes_acked counts from the initial sequence number of the end that did, and so has its SYN; at the
 * other end it counts from the number after. Else it is all that was sent, without what is not acknowledged yet. Before our
 * FIN, which counts too. Left open where the sums disagree.
 */
static __always_inline void find_opener(struct followed_socket *followed, const struct tcp_sock *tp)
{
	__u8 state = KERNEL_READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	__u64 acked = KERNEL_READ(tp, bytes_sent) - KERNEL_READ(tp, bytes_retrans) - (__u32)(KERNEL_READ(tp, snd_nxt) - KERNEL_READ(tp, snd_una));
	__u64 bytes_acked = KERNEL_READ(tp, bytes_acked);

	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return;
	followed->active_open = bytes_acked == acked + 1;
	followed->passive_open = bytes_acked == acked;
}

/* Begins to follow a socket that was open before the programs were attached, with what it did until now left out. */
static __always_inline struct followed_socket *follow_found(struct sock *sk, const struct tcp_sock *tp)
{
	struct followed_socket *followed;

	if (is_left_out(sk))
		return 0;
	followed = follow(sk);
	if (!followed)
		return 0;
	read_totals(&followed->reported, tp);
	followed->reported_ktime_ns = bpf_ktime_get_ns();
	find_opener(followed, tp);
	followed->found = 1;
	followed->open_reported = 1;
	followed->unowned = 1;
	count(COUNTER_UNOWNED);
	count(COUNTER_FOUND);
	return followed;
}

/* Whether there is anything to say of an open socket. Where there is not, its next period begins here all the same. */
static __always_inline bool is_news(struct followed_socket *followed, const struct socket_totals *totals)
{
	if (totals->segs_out != followed->reported.segs_out || totals->segs_in != followed->reported.segs_in ||
	    (followed->established_ktime_ns != 0 && !followed->open_reported) || (followed->found && !followed->found_reported))
		return true;
	followed->reported_ktime_ns = bpf_ktime_get_ns();
	return false;
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
