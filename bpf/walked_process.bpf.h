/* SPDX-License-Identifier: GPL-2.0 */
/* Who holds a socket open, as a walk over open files finds it, on every rung. */
#ifndef SKYFALL_WALKED_PROCESS_BPF_H
#define SKYFALL_WALKED_PROCESS_BPF_H

struct walked_process {
	__u64 start_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 exec_id;
	__u32 user_id;
	__u32 reserved;
};

static __always_inline void read_walked_process(struct walked_process *process, struct task_struct *task)
{
	struct task_struct *leader = KERNEL_READ(task, group_leader);
	const struct cred *cred = KERNEL_READ(task, cred);
	struct css_set *set = KERNEL_READ(task, cgroups);
	struct cgroup *group = KERNEL_READ(set, dfl_cgrp);
	struct kernfs_node *node = KERNEL_READ(group, kn);

	process->start_ns = KERNEL_READ(leader, start_time);
	process->exec_id = (__u32)KERNEL_READ(task, self_exec_id);
	process->user_id = KERNEL_READ(cred, uid.val);
	process->cgroup_id = KERNEL_READ(node, id);
	process->pid = KERNEL_READ(task, tgid);
}

/* A socket without an owner, or with one that an earlier walk found. */
static __always_inline bool may_own_by_walk(const struct followed_socket *followed, __u32 walk)
{
	return followed->pid == 0 || (followed->attribution == ATTRIBUTION_TASK_FILE && followed->owner_walk != walk);
}

static __always_inline void own_by_walked_process(struct followed_socket *followed, struct sock *sk, const struct walked_process *process,
						  __u32 walk)
{
	bool owner_is_late = followed->ended && followed->pid == 0;

	followed->owner_walk = walk;
	followed->process_start_ns = process->start_ns;
	followed->exec_id = process->exec_id;
	followed->user_id = process->user_id;
	followed->cgroup_id = process->cgroup_id;
	followed->attribution = ATTRIBUTION_TASK_FILE;
	followed->pid = process->pid;
	no_longer_unowned(followed);
	if (owner_is_late)
		report_owner(followed, socket_id(sk));
}

#endif
