/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is open now, and who holds it: for kernels without type information, and so without iterators. The agent reads
 * /proc/net/tcp and follows the links in /proc/PID/fd, and the kernel's functions that write what it reads show the programs
 * the sockets and processes themselves. They look at what the agent's thread reads alone.
 */
#ifndef SKYFALL_KPROBE_PROC_BPF_H
#define SKYFALL_KPROBE_PROC_BPF_H

#include "socket_walk.bpf.h"
#include "walked_process.bpf.h"

/* Bounds: the agent empties it after each read of /proc/net/tcp, which gives a page of lines. */
#define SHOWN_BYTES (256 * 1024)

#ifdef SKYFALL_KERNEL_TYPES
#define FIELD_OFFSET(type, field) __builtin_offsetof(type, field)
#else
#define FIELD_OFFSET(type, field) bpf_core_field_offset(type, field)
#endif

struct proc_walk {
	__u64 reader; /* the agent's thread */
	struct walked_process process; /* whose links it follows */
	__u32 number;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proc_walk);
} proc_walk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SHOWN_BYTES);
} shown SEC(".maps");

/* Null where it is not the agent that reads. */
static __always_inline struct proc_walk *walk_of_reader(void)
{
	__u32 zero = 0;
	struct proc_walk *walk = bpf_map_lookup_elem(&proc_walk, &zero);

	return walk && walk->reader == bpf_get_current_pid_tgid() ? walk : 0;
}

/* Attached nowhere: the agent runs it before it reads, the first argument being the number of the walk. */
SEC("raw_tp")
int skyfall_walk(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	struct proc_walk *walk = bpf_map_lookup_elem(&proc_walk, &zero);

	if (!walk)
		return 0;
	walk->reader = bpf_get_current_pid_tgid();
	walk->number = ctx->args[0];
	walk->process.pid = 0;
	return 0;
}

/* The socket is in the kernel's table, whose lock is held. */
static __noinline int on_shown(struct sock *sk)
{
	struct followed_socket *known;
	struct socket_totals totals;
	struct tcp_event *event;
	__u8 state;

	if (!walk_of_reader() || (unsigned long)sk <= 1 || !is_walked(&sk->__sk_common)) /* 1: SEQ_START_TOKEN, for the head line */
		return 0;
	state = KERNEL_READ(sk, __sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV || state == TCP_CLOSE) /* a minisocket, or about to be destroyed */
		return 0;
	known = followed_of(sk);
	if (!known)
		known = follow_found(sk, tcp_sock_of(sk));
	if (!known || state == TCP_SYN_SENT)
		return 0;
	read_totals(&totals, tcp_sock_of(sk));
	if (!is_news(known, &totals))
		return 0;
	event = bpf_ringbuf_reserve(&shown, sizeof(*event), 0);
	if (!event)
		return 0;
	if (known->first_fin == FIRST_FIN_NONE)
		take_quality(known, tcp_sock_of(sk));
	event->socket_cookie = socket_id(sk);
	fill_tcp_event(event, tcp_sock_of(sk), known, EVENT_SOCKET_LIVE, state);
	fill_amounts(event, &totals, &known->reported);
	if (known->ended) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return 0;
	}
	mark_reported(known, event, &totals);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Writes a line of /proc/net/tcp. */
SEC("kprobe/tcp4_seq_show")
int BPF_KPROBE(skyfall_show_v4, void *file, struct sock *sk)
{
	return on_shown(sk);
}

/* Of /proc/net/tcp6. */
SEC("kprobe/tcp6_seq_show")
int BPF_KPROBE(skyfall_show_v6, void *file, struct sock *sk)
{
	return on_shown(sk);
}

/* Writes /proc/PID/stat, which the agent reads before it follows the process's links. */
SEC("kprobe/proc_tgid_stat")
int BPF_KPROBE(skyfall_walked_process, void *file, void *namespace, void *pid, struct task_struct *task)
{
	struct proc_walk *walk = walk_of_reader();

	if (walk)
		read_walked_process(&walk->process, task);
	return 0;
}

/* Writes where a link to a socket leads. */
SEC("kprobe/sockfs_dname")
int BPF_KPROBE(skyfall_walked_file, struct dentry *dentry)
{
	struct proc_walk *walk = walk_of_reader();
	struct followed_socket *known;
	struct socket *socket;
	struct sock *sk;

	if (!walk || walk->process.pid == 0)
		return 0;
	socket = (void *)KERNEL_READ(dentry, d_inode) - FIELD_OFFSET(struct socket_alloc, vfs_inode) + FIELD_OFFSET(struct socket_alloc, socket);
	sk = KERNEL_READ(socket, sk);
	if (!sk || !is_tcp(sk))
		return 0;
	known = followed_of(sk);
	if (!known && KERNEL_READ(sk, __sk_common.skc_state) != TCP_CLOSE)
		known = follow_found(sk, tcp_sock_of(sk));
	if (known && may_own_by_walk(known, walk->number))
		own_by_walked_process(known, sk, &walk->process, walk->number);
	return 0;
}

#endif
