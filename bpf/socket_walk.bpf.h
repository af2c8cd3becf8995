/* SPDX-License-Identifier: GPL-2.0 */
/* Which open sockets a walk tells of. */
#ifndef SKYFALL_SOCKET_WALK_BPF_H
#define SKYFALL_SOCKET_WALK_BPF_H

/* The two ends of one conversation, as local ports in the lower and the upper half; 0: all sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} walked_ports SEC(".maps");

static __always_inline bool is_walked(const struct sock_common *common)
{
	__u32 zero = 0;
	__u64 *ports = bpf_map_lookup_elem(&walked_ports, &zero);
	__u32 port;

	if (!ports || *ports == 0)
		return true;
	port = KERNEL_READ(common, skc_num);
	return port == (__u32)*ports || port == (__u32)(*ports >> 32);
}

#endif
