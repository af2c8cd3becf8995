/* SPDX-License-Identifier: GPL-2.0 */
/* What a walk over the open files of all tasks finds of a socket, on rungs with iterators. */
#ifndef SKYFALL_OWNER_WALK_BPF_H
#define SKYFALL_OWNER_WALK_BPF_H

#include "walked_process.bpf.h"

/* Not inlined: its parameter brings the structure into the object's BTF. */
static __noinline int fill_elsewhere(struct socket_elsewhere *elsewhere, struct task_struct *task, __u32 network_namespace)
{
	if (!elsewhere || !task)
		return 0;
	elsewhere->network_namespace = network_namespace;
	elsewhere->pid = KERNEL_READ(task, tgid);
	return 0;
}

/* iter/tcp walks the agent's network namespace alone: the others are told, to be walked from within. */
static __always_inline void tell_elsewhere(struct seq_file *seq, struct task_struct *task, struct sock *sk)
{
	__u32 network_namespace = network_namespace_of(&sk->__sk_common);
	struct socket_elsewhere elsewhere = {};

	if (network_namespace == network_namespace_of_task(current_task()) || network_namespace != network_namespace_of_task(task))
		return; /* the agent's own, or one that this task is no way into */
	fill_elsewhere(&elsewhere, task, network_namespace);
	bpf_seq_write(seq, &elsewhere, sizeof(elsewhere));
}

/* Makes the task's process the owner, if the socket has none yet, or one from an earlier walk. */
static __always_inline void own_by_walk(struct followed_socket *followed, struct sock *sk, struct task_struct *task, __u32 walk)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct walked_process process;
	__u32 zero = 0;

	bpf_map_update_elem(&walker, &zero, &thread, BPF_ANY);
	if (!may_own_by_walk(followed, walk))
		return;
	read_walked_process(&process, task);
	own_by_walked_process(followed, sk, &process, walk);
}

#endif
