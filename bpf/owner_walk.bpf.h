/* SPDX-License-Identifier: GPL-2.0 */
/* What a walk over the open files of all tasks finds of a socket, on rungs with iterators. */
#ifndef SKYFALL_OWNER_WALK_BPF_H
#define SKYFALL_OWNER_WALK_BPF_H

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
	struct task_struct *leader = KERNEL_READ(task, group_leader);
	const struct cred *cred = KERNEL_READ(task, cred);
	struct css_set *set = KERNEL_READ(task, cgroups);
	struct cgroup *group = KERNEL_READ(set, dfl_cgrp);
	struct kernfs_node *node = KERNEL_READ(group, kn);
	bool owner_is_late = followed->ended && followed->pid == 0;
	__u64 thread = bpf_get_current_pid_tgid();
	__u32 zero = 0;

	bpf_map_update_elem(&walker, &zero, &thread, BPF_ANY);
	if (followed->pid != 0 && (followed->attribution != ATTRIBUTION_TASK_FILE || followed->owner_walk == walk))
		return;
	followed->owner_walk = walk;
	followed->process_start_ns = KERNEL_READ(leader, start_time);
	followed->exec_id = (__u32)KERNEL_READ(task, self_exec_id);
	followed->user_id = KERNEL_READ(cred, uid.val);
	followed->cgroup_id = KERNEL_READ(node, id);
	followed->attribution = ATTRIBUTION_TASK_FILE;
	followed->pid = KERNEL_READ(task, tgid);
	no_longer_unowned(followed);
	if (owner_is_late)
		report_owner(followed, socket_id(sk));
}

#endif
