/* SPDX-License-Identifier: GPL-2.0 */
/* The names that make a control group's path: read where the id is, for later the process may be gone, or elsewhere. */
#ifndef SKYFALL_CGROUP_NAMES_BPF_H
#define SKYFALL_CGROUP_NAMES_BPF_H

/* Bounds: with a container in Kubernetes in a container, there are ten. */
#define CGROUP_DEPTH_MAX 12
#define CGROUP_NAME_BYTES 128

/* Linux 6.15 renamed the field (commit 633488947ef6). */
static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
#ifdef SKYFALL_KERNEL_TYPES
	return KERNEL_READ_SELDOM(node, KERNFS_PARENT);
#else
	if (bpf_core_field_exists(node->__parent))
		return KERNEL_READ_SELDOM(node, __parent);
	return KERNEL_READ_SELDOM((struct kernfs_node___parent *)node, parent);
#endif
}

/* From the innermost outwards, without the root; returns the bytes written, 0 where the path is longer than the bounds. */
static __always_inline __u32 read_cgroup_names(__u8 names[CGROUP_NAMES_BYTES], struct task_struct *task)
{
	struct css_set *set = KERNEL_READ_SELDOM(task, cgroups);
	struct cgroup *group = KERNEL_READ_SELDOM(set, dfl_cgrp);
	struct kernfs_node *node = KERNEL_READ_SELDOM(group, kn), *parent;
	__u32 at = 0;
	int i;

#pragma unroll
	for (i = 0; i < CGROUP_DEPTH_MAX; i++) {
		long bytes;

		parent = parent_of(node);
		if (!parent)
			return at;
		if (at > CGROUP_NAMES_BYTES - CGROUP_NAME_BYTES)
			return 0;
		bytes = bpf_probe_read_kernel_str(names + at, CGROUP_NAME_BYTES, KERNEL_READ_SELDOM(node, name));
		if (bytes <= 0 || bytes >= CGROUP_NAME_BYTES)
			return 0;
		at += bytes;
		node = parent;
	}
	return 0;
}

#endif
