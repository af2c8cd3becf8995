/* SPDX-License-Identifier: GPL-2.0 */
/* How programs with typed pointers (tp_btf, iterators) read the kernel, and where they keep what they know of a socket. */
#ifndef SKYFALL_RUNG_TP_BTF_BPF_H
#define SKYFALL_RUNG_TP_BTF_BPF_H

#include "kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "tcp_event.h"
#include "followed_socket.bpf.h"

/* The verifier knows the pointers' types, so that a field is a plain load. */
#define KERNEL_READ(pointer, field) ((pointer)->field)
/* For what is read once a process: the verifier searches all types of the kernel by name for each typed load of a pointer. */
#define KERNEL_READ_SELDOM(pointer, field) BPF_CORE_READ(pointer, field)
/* A plain load of what is a bit-field in the running kernel is refused when the object is loaded. */
#define KERNEL_READ_BITS(pointer, field) BPF_CORE_READ_BITFIELD(pointer, field)

/* Lives and dies with the socket: no bound to set, nothing to clean up, and found without a search. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct followed_socket);
} sockets SEC(".maps");

static __always_inline struct followed_socket *stored_of(struct sock *sk)
{
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

/* Zeroed, or null where there is no memory. */
static __always_inline struct followed_socket *follow_new(struct sock *sk)
{
	return bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

#ifdef SKYFALL_YOUNG_SOCKETS
#include "young_socket.bpf.h"
#else
static __always_inline struct followed_socket *followed_of(struct sock *sk)
{
	return stored_of(sk);
}
#endif

/* Unique for as long as the host runs. */
static __always_inline __u64 socket_id(struct sock *sk)
{
	return bpf_get_socket_cookie(sk);
}

/* Chooses the sockets that are left out. */
static __always_inline __u64 sampling_number(struct sock *sk)
{
	return bpf_get_socket_cookie(sk);
}

static __always_inline struct tcp_sock *tcp_sock_of(struct sock *sk)
{
	return bpf_skc_to_tcp_sock(sk);
}

static __always_inline struct task_struct *current_task(void)
{
	return bpf_get_current_task_btf();
}

#endif
