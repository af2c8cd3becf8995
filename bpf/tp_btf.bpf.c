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

SEC("iter/tcp")
int skyfall_live(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct followed_socket unseen = {};
	struct followed_socket *followed;
	struct tcp_event event = {}; /* kernels before 6.3 want all that is handed on to be written first */
	struct tcp_sock *tp;

	if (!common)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (!tp) /* a minisocket, in TIME-WAIT or NEW-SYN-RECV */
		return 0;
	event.socket_cookie = bpf_get_socket_cookie(&tp->inet_conn.icsk_inet.sk);
	followed = bpf_sk_storage_get(&sockets, tp, 0, 0);
	if (!followed)
		followed = &unseen;
	fill_tcp_event(&event, tp, followed, EVENT_SOCKET_LIVE, tp->inet_conn.icsk_inet.sk.__sk_common.skc_state);
	if (followed->first_fin == FIRST_FIN_NONE) {
		take_quality(&unseen, tp);
		event.srtt_us = unseen.srtt_us;
		event.rttvar_us = unseen.rttvar_us;
		event.min_rtt_us = unseen.min_rtt_us;
		event.snd_cwnd = unseen.snd_cwnd;
	}
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
	return 0;
}

/* Not inlined: its parameter brings the structure into the object's BTF. */
static __noinline int fill_socket_owner(struct socket_owner *owner, struct task_struct *task)
{
	if (!owner || !task)
		return 0;
	owner->pid = task->tgid;
	owner->process_start_ns = task->start_time;
	owner->exec_id = (__u32)task->self_exec_id;
	owner->user_id = task->cred->uid.val;
	owner->network_namespace = task->nsproxy ? BPF_CORE_READ(task, nsproxy, net_ns, ns.inum) : 0;
	owner->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	return 0;
}

SEC("iter/task_file")
int skyfall_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket_owner owner = {};
	struct socket *socket;
	struct sock *sk;

	if (!task || !file || task->tgid != task->pid) /* threads share their leader's files */
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	owner.socket_cookie = bpf_get_socket_cookie(sk);
	fill_socket_owner(&owner, task);
	bpf_seq_write(ctx->meta->seq, &owner, sizeof(owner));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
