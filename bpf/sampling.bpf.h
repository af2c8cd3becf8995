/* SPDX-License-Identifier: GPL-2.0 */
/* Which connections are left out while the agent costs more than it may: all that is done for them is to count them. */
#ifndef SKYFALL_SAMPLING_BPF_H
#define SKYFALL_SAMPLING_BPF_H

/* Of so many connections one is followed: a power of 2. The agent sets it; 0 is 1. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sampling SEC(".maps");

/* Whether a socket that is not followed is one of those left out; the same at every moment of its life, as long as the number is. */
static __always_inline bool is_left_out(struct sock *sk)
{
	__u32 zero = 0;
	__u64 *keep_one_in = bpf_map_lookup_elem(&sampling, &zero);

	return keep_one_in && *keep_one_in > 1 && (sampling_number(sk) & (*keep_one_in - 1)) != 0;
}

#endif
