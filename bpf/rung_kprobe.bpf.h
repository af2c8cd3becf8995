/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How programs without typed pointers (kprobes) read the kernel, and where they keep what they know of a socket.
 * With SKYFALL_KERNEL_TYPES the offsets are those of one kernel, else they are relocated when the object is loaded.
 */
#ifndef SKYFALL_RUNG_KPROBE_BPF_H
#define SKYFALL_RUNG_KPROBE_BPF_H

#include "kernel_types.bpf.h"
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "tcp_event.h"
#include "followed_socket.bpf.h"

#ifdef SKYFALL_KERNEL_TYPES
#define KERNEL_READ(pointer, field)                                                                  \
	({                                                                                           \
		typeof((pointer)->field) value_;                                                     \
		bpf_probe_read_kernel((void *)&value_, sizeof(value_), (const void *)&(pointer)->field); \
		value_;                                                                              \
	})
/* tools/kernel_types.ts made it a byte; only the two lowest bits are ever read. */
#define KERNEL_READ_BITS(pointer, field) (KERNEL_READ(pointer, field) & 3)
#else
#define KERNEL_READ(pointer, field) BPF_CORE_READ(pointer, field)
#define KERNEL_READ_BITS(pointer, field) BPF_CORE_READ_BITFIELD_PROBED(pointer, field)
#endif

#define KERNEL_READ_SELDOM(pointer, field) KERNEL_READ(pointer, field)

/* Bounds: 15 MB of the kernel's memory, taken when the object is loaded. */
#define SOCKETS_MAX 131072
/* An identifier stays below 2^53: that of the processor, then a sequence with a beginning of its own for every run. */
#define ID_SEQUENCE_BITS 43

struct kept_socket {
	struct followed_socket followed;
	__u64 id;
};

/* By the address of the socket, which is used again at once: an entry lives exactly as long as the socket, see skyfall_destroy. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u64);
	__type(value, struct kept_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

static __always_inline __u64 new_socket_id(void)
{
	__u32 zero = 0;
	__u64 *sequence = bpf_map_lookup_elem(&sequences, &zero);

	if (!sequence)
		return 0;
	if (*sequence == 0)
		*sequence = (__u64)bpf_get_prandom_u32() << (ID_SEQUENCE_BITS - 32);
	*sequence += 1;
	return ((__u64)(bpf_get_smp_processor_id() & 0x3ff) << ID_SEQUENCE_BITS) | (*sequence & ((1ULL << ID_SEQUENCE_BITS) - 1));
}

static __always_inline struct kept_socket *kept_of(const struct sock *sk)
{
	__u64 key = (__u64)(unsigned long)sk;

	return bpf_map_lookup_elem(&sockets, &key);
}

static __always_inline struct followed_socket *followed_of(struct sock *sk)
{
	struct kept_socket *kept = kept_of(sk);

	return kept ? &kept->followed : 0;
}

/* Null where the map is full. */
static __always_inline struct followed_socket *follow_new(struct sock *sk)
{
	__u64 key = (__u64)(unsigned long)sk;
	struct kept_socket *kept = bpf_map_lookup_elem(&sockets, &key);

	if (!kept) {
		struct kept_socket none = {};

		bpf_map_update_elem(&sockets, &key, &none, BPF_ANY);
		kept = bpf_map_lookup_elem(&sockets, &key);
	}
	if (!kept)
		return 0;
	kept->id = new_socket_id();
	return &kept->followed;
}

static __always_inline __u64 socket_id(struct sock *sk)
{
	struct kept_socket *kept = kept_of(sk);

	return kept ? kept->id : new_socket_id();
}

/* Chooses the sockets that are left out: by the address, whose lower bits are alike (Fibonacci hashing). */
static __always_inline __u64 sampling_number(struct sock *sk)
{
	__u64 address = (__u64)(unsigned long)sk, number = 0;

	/* In an iterator it is a typed pointer, with which the verifier lets nobody reckon: read back, it is a number. */
	bpf_probe_read_kernel(&number, sizeof(number), &address);
	return (number * 0x9e3779b97f4a7c15ULL) >> 32;
}

static __always_inline struct tcp_sock *tcp_sock_of(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

#endif
