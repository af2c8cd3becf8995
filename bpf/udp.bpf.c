// SPDX-License-Identifier: GPL-2.0
/* UDP, beside any rung, on kernels with BTF. An object of its own: where it cannot be had, TCP is observed all the same. */
#include "rung_tp_btf.bpf.h"
#include "conversation.bpf.h"
#include "udp.bpf.h"

/* The tracepoints (since 6.3) fire for every protocol, the functions for UDP-Lite as well: what is not UDP leaves at once. */
static __always_inline bool is_udp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_UDP && sk->sk_type == SOCK_DGRAM;
}

#ifdef SKYFALL_UDP_FUNCTIONS

/* That of IPv6 hands a datagram for a mapped address on to that of IPv4: such a socket is counted where it came from. */
SEC("fexit/udp_sendmsg")
int BPF_PROG(skyfall_udp_sent_v4, struct sock *sk, void *message, __u64 bytes, int result)
{
	return is_udp(sk) && sk->__sk_common.skc_family == AF_INET ? on_udp_call(sk, result, 0, true) : 0;
}

SEC("fexit/udpv6_sendmsg")
int BPF_PROG(skyfall_udp_sent_v6, struct sock *sk, void *message, __u64 bytes, int result)
{
	return is_udp(sk) ? on_udp_call(sk, result, 0, true) : 0;
}

SEC("fexit/udp_recvmsg")
int BPF_PROG(skyfall_udp_received_v4, struct sock *sk, void *message, __u64 bytes, int flags, int *address_bytes, int result)
{
	return is_udp(sk) ? on_udp_call(sk, result, flags, false) : 0;
}

SEC("fexit/udpv6_recvmsg")
int BPF_PROG(skyfall_udp_received_v6, struct sock *sk, void *message, __u64 bytes, int flags, int *address_bytes, int result)
{
	return is_udp(sk) ? on_udp_call(sk, result, flags, false) : 0;
}

/* Up to Linux 5.18 in place of these two, with one parameter more (commit ec095263a965). */

SEC("fexit/udp_recvmsg")
int BPF_PROG(skyfall_udp_received_old_v4, struct sock *sk, void *message, __u64 bytes, int no_wait, int flags, int *address_bytes, int result)
{
	return is_udp(sk) ? on_udp_call(sk, result, flags, false) : 0;
}

SEC("fexit/udpv6_recvmsg")
int BPF_PROG(skyfall_udp_received_old_v6, struct sock *sk, void *message, __u64 bytes, int no_wait, int flags, int *address_bytes, int result)
{
	return is_udp(sk) ? on_udp_call(sk, result, flags, false) : 0;
}

#else

SEC("tp_btf/sock_send_length")
int BPF_PROG(skyfall_udp_sent, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call(sk, result, 0, true) : 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(skyfall_udp_received, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call(sk, result, flags, false) : 0;
}

/* In place of these two, where a thread can be preempted within them. */

SEC("tp_btf/sock_send_length")
int BPF_PROG(skyfall_udp_sent_1, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call_first(sk, result, 0, true) : 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(skyfall_udp_sent_2, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call_second(sk, result, 0, true) : 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(skyfall_udp_received_1, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call_first(sk, result, flags, false) : 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(skyfall_udp_received_2, struct sock *sk, int result, int flags)
{
	return is_udp(sk) ? on_udp_call_second(sk, result, flags, false) : 0;
}

#endif

SEC("cgroup/sendmsg4")
int skyfall_udp_to_ipv4(struct bpf_sock_addr *ctx)
{
	struct udp_peer peer = {};

	fill_peer_ipv4(&peer, ctx);
	if (ctx->msg_src_ip4)
		fill_mapped(peer.source_address, ctx->msg_src_ip4);
	name_peer(&peer);
	return 1;
}

SEC("cgroup/sendmsg6")
int skyfall_udp_to_ipv6(struct bpf_sock_addr *ctx)
{
	struct udp_peer peer = {};
	__u32 *words = (__u32 *)peer.source_address;

	fill_peer_ipv6(&peer, ctx);
	words[0] = ctx->msg_src_ip6[0];
	words[1] = ctx->msg_src_ip6[1];
	words[2] = ctx->msg_src_ip6[2];
	words[3] = ctx->msg_src_ip6[3];
	name_peer(&peer);
	return 1;
}

/* A connected socket has its peer in itself. */
static __always_inline bool is_connected(const struct bpf_sock_addr *ctx)
{
	return ctx->sk && ctx->sk->state == TCP_ESTABLISHED;
}

SEC("cgroup/recvmsg4")
int skyfall_udp_from_ipv4(struct bpf_sock_addr *ctx)
{
	struct udp_peer peer = {};

	if (is_connected(ctx))
		return 1;
	fill_peer_ipv4(&peer, ctx);
	name_peer(&peer);
	return 1;
}

SEC("cgroup/recvmsg6")
int skyfall_udp_from_ipv6(struct bpf_sock_addr *ctx)
{
	struct udp_peer peer = {};

	if (is_connected(ctx))
		return 1;
	fill_peer_ipv6(&peer, ctx);
	name_peer(&peer);
	return 1;
}

#ifndef SKYFALL_UDP_FUNCTIONS

/* Kernels with neither the tracepoints nor the functions: who speaks to whom, without amounts, in place of the four programs above. */

SEC("cgroup/connect4")
int skyfall_udp_seen_connect4(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_UDP ? on_udp_seen_ipv4(ctx, UDP_FLAG_CONNECTED | UDP_FLAG_SENT_FIRST) : 1;
}

SEC("cgroup/connect6")
int skyfall_udp_seen_connect6(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_UDP ? on_udp_seen_ipv6(ctx, UDP_FLAG_CONNECTED | UDP_FLAG_SENT_FIRST) : 1;
}

SEC("cgroup/sendmsg4")
int skyfall_udp_seen_to_ipv4(struct bpf_sock_addr *ctx)
{
	return on_udp_seen_ipv4(ctx, UDP_FLAG_SENT_FIRST);
}

SEC("cgroup/sendmsg6")
int skyfall_udp_seen_to_ipv6(struct bpf_sock_addr *ctx)
{
	return on_udp_seen_ipv6(ctx, UDP_FLAG_SENT_FIRST);
}

SEC("cgroup/recvmsg4")
int skyfall_udp_seen_from_ipv4(struct bpf_sock_addr *ctx)
{
	return is_connected(ctx) ? 1 : on_udp_seen_ipv4(ctx, 0);
}

SEC("cgroup/recvmsg6")
int skyfall_udp_seen_from_ipv6(struct bpf_sock_addr *ctx)
{
	return is_connected(ctx) ? 1 : on_udp_seen_ipv6(ctx, 0);
}

#endif

/* Not inlined: its parameter brings the structure into the object's BTF. */
static __noinline int fill_udp_socket(struct udp_socket *socket, const struct udp_sock *up)
{
	const struct sock *sk;

	if (!socket || !up)
		return 0;
	sk = &up->inet.sk;
	fill_addresses(socket->local_address, socket->remote_address, &sk->__sk_common);
	socket->network_namespace = network_namespace_of(&sk->__sk_common);
	socket->local_port = bpf_ntohs(up->inet.inet_sport);
	socket->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	socket->port_bound = (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & SOCK_BINDPORT_LOCK) != 0;
	return 0;
}

SEC("iter/udp")
int skyfall_udp_sockets(struct bpf_iter__udp *ctx)
{
	struct udp_socket socket = {};
	struct udp_sock *up = ctx->udp_sk;

	if (!up || up->inet.sk.sk_protocol != IPPROTO_UDP)
		return 0;
	socket.socket_cookie = bpf_get_socket_cookie(&up->inet.sk);
	fill_udp_socket(&socket, up);
	bpf_seq_write(ctx->meta->seq, &socket, sizeof(socket));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
