// SPDX-License-Identifier: GPL-2.0
/* Rungs kprobe, kprobe-elf and kprobe-min-btf: entry probes of kernel functions, and one return probe as a check. */
#include "rung_kprobe.bpf.h"
#include "conversation.bpf.h"
#include "open_socket.bpf.h"
#include "kprobe_hook.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOK_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hooks SEC(".maps");

/* Not inlined: its parameter brings the enumeration into the object's BTF. */
static __noinline int count_hook(enum kprobe_hook hook)
{
	__u32 index = hook;
	__u64 *value = bpf_map_lookup_elem(&hooks, &index);

	if (value)
		*value += 1;
	return 0;
}

static __always_inline bool is_tcp(const struct sock *sk)
{
	__u16 family = KERNEL_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) && KERNEL_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline bool is_unended(const struct followed_socket *known)
{
	return known->established_ktime_ns && !known->ended;
}

/* What is known is of an earlier socket at this address, whose end was missed. */
static __always_inline void forget_earlier(const struct followed_socket *known)
{
	if (known && is_unended(known))
		count_hook(HOOK_LOST_END);
}

/* The state before an end that was missed. */
static __always_inline __u8 state_before_end(const struct followed_socket *known)
{
	if (known->first_fin == FIRST_FIN_NONE)
		return TCP_ESTABLISHED;
	return known->first_fin == FIRST_FIN_LOCAL ? TCP_FIN_WAIT2 : TCP_LAST_ACK;
}

/*
 * A probe is passed over where an interrupt enters its function while another probe runs on the same processor: some calls
 * in ten thousand. A socket that is closed though its end was not seen is such a case, and its end is reported now.
 */
static __noinline int report_late_end(struct sock *sk)
{
	struct followed_socket *known = followed_of(sk);

	if (!known || !is_unended(known) || KERNEL_READ(sk, __sk_common.skc_state) != TCP_CLOSE || !is_tcp(sk))
		return 0;
	count_hook(HOOK_LATE_END);
	on_end(sk, tcp_sock_of(sk), state_before_end(known));
	return 1;
}

/* The socket still holds the old state. It does not see moves to SYN-RECV and LISTEN, which the kernel makes elsewhere. */
SEC("kprobe/tcp_set_state")
int BPF_KPROBE(skyfall_state, struct sock *sk, int new_state)
{
	int old_state = KERNEL_READ(sk, __sk_common.skc_state);
	struct followed_socket *known;

	count_hook(HOOK_TCP_SET_STATE);
	if (!is_tcp(sk) || old_state == new_state)
		return 0;
	known = followed_of(sk);
	/* skyfall_v4_connect or skyfall_v6_connect took it in. */
	if (new_state == TCP_SYN_SENT && known && known->active_open && !known->ended)
		return 0;
	if (new_state == TCP_ESTABLISHED && old_state != TCP_SYN_SENT && known && (known->established_ktime_ns || known->ended)) {
		forget_earlier(known);
		follow(sk);
	}
	return on_state(sk, old_state, new_state);
}

/* The socket that connects to a mapped address comes here twice, at once. */
static __noinline int connect_once(struct sock *sk)
{
	struct followed_socket *known = followed_of(sk);

	if (!is_tcp(sk))
		return 0;
	forget_earlier(known);
	on_connect(sk);
	return 0;
}

SEC("kprobe/tcp_v4_connect")
int BPF_KPROBE(skyfall_v4_connect, struct sock *sk)
{
	count_hook(HOOK_TCP_V4_CONNECT);
	return connect_once(sk);
}

SEC("kprobe/tcp_v6_connect")
int BPF_KPROBE(skyfall_v6_connect, struct sock *sk)
{
	count_hook(HOOK_TCP_V6_CONNECT);
	return connect_once(sk);
}

/* A check alone: a return probe misses the calls that were waiting before it was attached, and those beyond its pool. */
SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(skyfall_accept, struct sock *accepted)
{
	if (accepted && is_tcp(accepted))
		count_hook(HOOK_INET_CSK_ACCEPT);
	return 0;
}

/* Once for each connection that accept(2) takes, in the context of the process that called it. */
SEC("kprobe/security_sock_graft")
int BPF_KPROBE(skyfall_graft, struct sock *sk)
{
	struct followed_socket *known;

	if (!is_tcp(sk))
		return 0;
	count_hook(HOOK_SECURITY_SOCK_GRAFT);
	known = followed_of(sk);
	if (!known && !is_left_out(sk))
		known = follow(sk);
	if (known)
		on_owner_close(known, ATTRIBUTION_ACCEPT);
	return 0;
}

/* Attached to __ip4_datagram_connect where connect(2) of UDP no longer comes through this one. */
SEC("kprobe/ip4_datagram_connect")
int BPF_KPROBE(skyfall_ip4_datagram)
{
	return count_hook(HOOK_IP4_DATAGRAM_CONNECT);
}

SEC("kprobe/ip6_datagram_connect")
int BPF_KPROBE(skyfall_ip6_datagram)
{
	return count_hook(HOOK_IP6_DATAGRAM_CONNECT);
}

SEC("kprobe/inet_csk_listen_start")
int BPF_KPROBE(skyfall_listen, struct sock *sk)
{
	if (is_tcp(sk))
		on_listen(sk, tcp_sock_of(sk), EVENT_LISTEN_STARTED);
	return 0;
}

/* The last close(2), in the owner's context. */
SEC("kprobe/inet_release")
int BPF_KPROBE(skyfall_release, struct socket *socket)
{
	struct sock *sk = KERNEL_READ(socket, sk);
	struct followed_socket *known = sk ? followed_of(sk) : 0;

	if (known && KERNEL_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
		on_release(known, socket_id(sk));
	return 0;
}

/* The last that is heard of a TCP socket of either family. */
SEC("kprobe/tcp_v4_destroy_sock")
int BPF_KPROBE(skyfall_destroy, struct sock *sk)
{
	__u64 key = (__u64)(unsigned long)sk;

	report_late_end(sk);
	bpf_map_delete_elem(&sockets, &key);
	return 0;
}

/*
 * A thread exits, with the memory of its process still there. No function that every kernel has comes after the thread is
 * counted out: the last to exit is told by the count, or by the process's end as a whole, which is that of all its threads.
 */
SEC("kprobe/exit_signals")
int skyfall_exit(void *ctx)
{
	struct signal_struct *signal = KERNEL_READ(current_task(), signal);

	return KERNEL_READ(signal, live.counter) == 1 || KERNEL_READ(signal, flags) & SIGNAL_GROUP_EXIT ? note_exiting() : 0;
}

/* Attached nowhere: the agent runs it for sockets of the map, the first argument being the key. */
SEC("raw_tp")
int skyfall_sweep(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0];

	if (report_late_end((struct sock *)(unsigned long)key))
		bpf_map_delete_elem(&sockets, &key);
	return 0;
}

#include "kprobe_proc.bpf.h"
#ifndef SKYFALL_KERNEL_TYPES
#include "kprobe_iterators.bpf.h"
#endif

char LICENSE[] SEC("license") = "GPL";
