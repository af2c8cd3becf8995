/* SPDX-License-Identifier: GPL-2.0 */
/* What is open now, and who holds it: for kernels with type information, from 5.9 on. */
#ifndef SKYFALL_KPROBE_ITERATORS_BPF_H
#define SKYFALL_KPROBE_ITERATORS_BPF_H

#include "owner_walk.bpf.h"
#include "socket_walk.bpf.h"

/* Fields that only these programs read; the part of a name from ___ on is left out when it is looked up (CO-RE). */
struct file___socket {
	const void *f_op;
	void *private_data;
} __attribute__((preserve_access_index));

/* Address of socket_file_ops, which tells sockets from other files, for kernels without bpf_sock_from_file(); 0: not known. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} socket_file_operations SEC(".maps");

/* Since 5.11 the kernel tells; what is not there is not reached, and so not refused. */
static __always_inline struct socket *socket_of(struct file *typed_file)
{
	struct file___socket *file = (struct file___socket *)typed_file;
	__u32 zero = 0;
	__u64 *operations;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file))
		return bpf_sock_from_file(typed_file);
	operations = bpf_map_lookup_elem(&socket_file_operations, &zero);
	if (!operations || *operations == 0 || (__u64)(unsigned long)BPF_CORE_READ(file, f_op) != *operations)
		return 0;
	return BPF_CORE_READ(file, private_data);
}

SEC("iter/tcp")
int skyfall_live(struct bpf_iter__tcp *ctx)
{
	struct sock *sk = (struct sock *)ctx->sk_common;
	struct followed_socket *known;
	struct tcp_event event = {};
	struct socket_totals totals;
	struct tcp_sock *tp;
	__u8 state;

	if (!sk || !is_walked(&sk->__sk_common))
		return 0;
	state = KERNEL_READ(sk, __sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV || state == TCP_CLOSE) /* a minisocket, or about to be destroyed */
		return 0;
	tp = tcp_sock_of(sk);
	known = followed_of(sk);
	if (!known)
		known = follow_found(sk, tp);
	if (!known || state == TCP_SYN_SENT)
		return 0;
	read_totals(&totals, tp);
	if (!is_news(known, &totals))
		return 0;
	if (known->first_fin == FIRST_FIN_NONE)
		take_quality(known, tp);
	event.socket_cookie = socket_id(sk);
	fill_tcp_event(&event, tp, known, EVENT_SOCKET_LIVE, state);
	fill_amounts(&event, &totals, &known->reported);
	/* Where the buffer is full the kernel calls again for the same socket: nothing is marked as told before it is. */
	if (known->ended || bpf_seq_write(ctx->meta->seq, &event, sizeof(event)) != 0)
		return 0;
	mark_reported(known, &event, &totals);
	return 0;
}

/*
 * Gives each socket that has no owner the process that holds it open, of several the first that the walk meets; another
 * walk may find that it was passed on.
 */
SEC("iter/task_file")
int skyfall_owners(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct task_struct *task = ctx->task;
	struct followed_socket *known;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file) /* of threads that share their leader's files, the kernel shows the leader alone */
		return 0;
	socket = socket_of(file);
	sk = socket ? BPF_CORE_READ(socket, sk) : 0;
	if (!sk || !is_tcp(sk))
		return 0;
	tell_elsewhere(ctx->meta->seq, task, sk);
	known = followed_of(sk);
	if (!known && KERNEL_READ(sk, __sk_common.skc_state) != TCP_CLOSE)
		known = follow_found(sk, tcp_sock_of(sk));
	if (known)
		own_by_walk(known, sk, task, ctx->meta->session_id);
	return 0;
}

#endif
