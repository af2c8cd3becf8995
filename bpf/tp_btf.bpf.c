// SPDX-License-Identifier: GPL-2.0
/* Rung tp_btf: for kernels with BTF, also without kprobes or under lockdown. */
#include "rung_tp_btf.bpf.h"
#include "conversation.bpf.h"

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(skyfall_state, struct sock *sk, int old_state, int new_state)
{
	return sk->sk_protocol == IPPROTO_TCP ? on_state(sk, old_state, new_state) : 0;
}

SEC("cgroup/sock_release")
int skyfall_release(struct bpf_sock *sk)
{
	if (sk->protocol == IPPROTO_TCP)
		on_release(bpf_sk_storage_get(&sockets, sk, 0, 0), bpf_get_socket_cookie(sk));
	return 1;
}

SEC("tp_btf/sched_process_exit")
int skyfall_exit(void *ctx)
{
	return on_process_exit();
}

/*
 * Which end connected: bytes_acked counts from the initial sequence number of the end that did, and so has its SYN; at the
 * other end it counts from the number after. Else it is all that was sent, without what is not acknowledged yet. Before our
 * FIN, which counts too. Left open where the sums disagree.
 */
static __always_inline void find_opener(struct followed_socket *followed, const struct tcp_sock *tp)
{
	__u8 state = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state;
	__u64 acked = tp->bytes_sent - tp->bytes_retrans - (__u32)(tp->snd_nxt - tp->snd_una);

	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return;
	followed->active_open = tp->bytes_acked == acked + 1;
	followed->passive_open = tp->bytes_acked == acked;
}

/* Begins to follow a socket that was open before the programs were attached, with what it did until now left out. */
static __always_inline struct followed_socket *follow_found(struct sock *sk, const struct tcp_sock *tp)
{
	struct followed_socket *followed = follow(sk);

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

/* Whether there is anything to say of an open socket. */
static __always_inline bool is_news(const struct followed_socket *followed, const struct socket_totals *totals)
{
	return totals->segs_out != followed->reported.segs_out || totals->segs_in != followed->reported.segs_in ||
	       (followed->established_ktime_ns != 0 && !followed->open_reported) || (followed->found && !followed->found_reported);
}

/* Tells what each open socket did since it was last told; with the socket's lock held. */
SEC("iter/tcp")
int skyfall_live(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct followed_socket *followed;
	struct socket_totals totals;
	struct tcp_event event;
	struct tcp_sock *tp;
	struct sock *sk;
	__u8 state;

	if (!common)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (!tp) /* a minisocket, in TIME-WAIT or NEW-SYN-RECV */
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	state = sk->__sk_common.skc_state;
	followed = bpf_sk_storage_get(&sockets, tp, 0, 0);
	if (!followed)
		followed = follow_found((struct sock *)tp, tp);
	if (!followed || state == TCP_SYN_SENT)
		return 0;
	read_totals(&totals, tp);
	if (!is_news(followed, &totals))
		return 0;
	if (followed->first_fin == FIRST_FIN_NONE)
		take_quality(followed, tp);
	event.socket_cookie = socket_id(sk);
	fill_tcp_event(&event, tp, followed, EVENT_SOCKET_LIVE, state);
	fill_amounts(&event, &totals, &followed->reported);
	/* Where the buffer is full the kernel calls again for the same socket: nothing is marked as told before it is. */
	if (bpf_seq_write(ctx->meta->seq, &event, sizeof(event)) != 0)
		return 0;
	followed->reported = totals;
	followed->reported_ktime_ns = event.ktime_ns;
	followed->found_reported = 1;
	if (event.opened)
		followed->open_reported = 1;
	return 0;
}

/* Not inlined: its parameter brings the structure into the object's BTF. */
static __noinline int fill_elsewhere(struct socket_elsewhere *elsewhere, struct task_struct *task, __u32 network_namespace)
{
	if (!elsewhere || !task)
		return 0;
	elsewhere->network_namespace = network_namespace;
	elsewhere->pid = task->tgid;
	return 0;
}

/* iter/tcp walks the agent's network namespace alone: the others are told, to be walked from within. */
static __always_inline void tell_elsewhere(struct seq_file *seq, struct task_struct *task, struct sock *sk)
{
	__u32 network_namespace = network_namespace_of(&sk->__sk_common);
	struct socket_elsewhere elsewhere;

	if (network_namespace == network_namespace_of_task(current_task()) || network_namespace != network_namespace_of_task(task))
		return; /* the agent's own, or one that this task is no way into */
	fill_elsewhere(&elsewhere, task, network_namespace);
	bpf_seq_write(seq, &elsewhere, sizeof(elsewhere));
}

/*
 * Gives each socket that has no owner the process that holds it open, of several the first that the walk meets; another
 * walk may find that it was passed on.
 */
SEC("iter/task_file")
int skyfall_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct followed_socket *followed;
	__u32 walk = ctx->meta->session_id;
	bool owner_is_late;
	struct socket *socket;
	struct tcp_sock *tp;
	struct sock *sk;

	if (!task || !file) /* of threads that share their leader's files, the kernel shows the leader alone */
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	tell_elsewhere(ctx->meta->seq, task, sk);
	followed = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!followed) {
		tp = bpf_skc_to_tcp_sock(sk);
		if (!tp || sk->__sk_common.skc_state == TCP_CLOSE)
			return 0;
		followed = follow_found(sk, tp);
		if (!followed)
			return 0;
	}
	if (followed->pid != 0 && (followed->attribution != ATTRIBUTION_TASK_FILE || followed->owner_walk == walk))
		return 0;
	owner_is_late = followed->ended && followed->pid == 0;
	followed->owner_walk = walk;
	followed->process_start_ns = task->group_leader->start_time;
	followed->exec_id = (__u32)task->self_exec_id;
	followed->user_id = task->cred->uid.val;
	followed->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
	followed->attribution = ATTRIBUTION_TASK_FILE;
	followed->pid = task->tgid;
	no_longer_unowned(followed);
	if (owner_is_late)
		report_owner(followed, socket_id(sk));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
