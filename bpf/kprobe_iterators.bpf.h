/* SPDX-License-Identifier: GPL-2.0 */
/* What is open now, and who holds it: for kernels with type information, from 5.9 on. */
#ifndef SKYFALL_KPROBE_ITERATORS_BPF_H
#define SKYFALL_KPROBE_ITERATORS_BPF_H

/* Fields that only these programs read; the part of a name from ___ on is left out when it is looked up (CO-RE). */
struct file___socket {
	const void *f_op;
	void *private_data;
} __attribute__((preserve_access_index));

/* Its address tells sockets from other files; bpf_sock_from_file() is there from 5.11 on only. */
extern const void socket_file_ops __ksym __weak;

SEC("iter/tcp")
int skyfall_live(struct bpf_iter__tcp *ctx)
{
	struct sock *sk = (struct sock *)ctx->sk_common;
	struct followed_socket now = {};
	struct followed_socket *known;
	struct tcp_event event = {};
	struct tcp_sock *tp;
	__u8 state;

	if (!sk)
		return 0;
	state = KERNEL_READ(sk, __sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV || state == TCP_CLOSE) /* a minisocket, or about to be destroyed */
		return 0;
	known = followed_of(sk);
	if (!known)
		known = follow(sk); /* older than the programs: from now on it has an identifier */
	if (!known)
		return 0;
	tp = tcp_sock_of(sk);
	event.socket_cookie = socket_id(sk);
	fill_tcp_event(&event, tp, known, EVENT_SOCKET_LIVE, state);
	if (known->first_fin == FIRST_FIN_NONE) {
		take_quality(&now, tp);
		event.srtt_us = now.srtt_us;
		event.rttvar_us = now.rttvar_us;
		event.min_rtt_us = now.min_rtt_us;
		event.snd_cwnd = now.snd_cwnd;
	}
	bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
	return 0;
}

/* Not inlined: its parameter brings the structure into the object's BTF. */
static __noinline int fill_socket_owner(struct socket_owner *owner, struct task_struct *task)
{
	if (!owner || !task)
		return 0;
	owner->pid = BPF_CORE_READ(task, tgid);
	owner->process_start_ns = BPF_CORE_READ(task, start_time);
	owner->exec_id = (__u32)BPF_CORE_READ(task, self_exec_id);
	owner->user_id = BPF_CORE_READ(task, cred, uid.val);
	owner->network_namespace = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	owner->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	return 0;
}

SEC("iter/task_file")
int skyfall_owners(struct bpf_iter__task_file *ctx)
{
	struct file___socket *file = (struct file___socket *)ctx->file;
	struct task_struct *task = ctx->task;
	struct socket_owner owner = {};
	struct kept_socket *kept;
	struct socket *socket;

	if (!task || !file || BPF_CORE_READ(task, tgid) != BPF_CORE_READ(task, pid)) /* threads share their leader's files */
		return 0;
	if (!&socket_file_ops || BPF_CORE_READ(file, f_op) != &socket_file_ops)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	kept = kept_of(BPF_CORE_READ(socket, sk));
	if (!kept)
		return 0;
	owner.socket_cookie = kept->id;
	fill_socket_owner(&owner, task);
	bpf_seq_write(ctx->meta->seq, &owner, sizeof(owner));
	return 0;
}

#endif
