/* SPDX-License-Identifier: GPL-2.0 */
/*
 * UDP, counted once a call of send or receive, in the context of who calls: the owner is certain, and no packet pays.
 * A call on a socket that is not connected names its peer only on the way (cgroup/sendmsg, cgroup/recvmsg); its bytes are
 * known only at its end (tp_btf/sock_send_length, tp_btf/sock_recv_length). `peers` joins the two by the calling thread.
 *
 * What cannot be known here: a datagram that GRO or UDP_SEGMENT of one call joined with others is counted as one, where
 * the socket itself has no segment size; a datagram cut to the program's buffer has the bytes that the program got.
 */
#ifndef SKYFALL_UDP_BPF_H
#define SKYFALL_UDP_BPF_H

#include "udp_flow.h"

/* Bounds. */
#define UDP_FLOWS_MAX 65536
#define UDP_REST_MAX 8192
#define UDP_PEERS_MAX 8192

/* The peer that the current call of a thread named. */
struct udp_peer {
	__u64 socket_cookie; /* 0: none */
	__u8 remote_address[16];
	__u8 source_address[16]; /* zero: not told */
	__u16 remote_port;
};

/* By task: a thread is in one call at a time. One that falls out costs one call its peer. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, UDP_PEERS_MAX);
	__type(key, __u64);
	__type(value, struct udp_peer);
} udp_peers SEC(".maps");

/* Of a task's current call: 1 if the first of two programs has counted it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, UDP_PEERS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} udp_counted SEC(".maps");

/*
 * Flows in two generations. Putting the other one in place waits until no program uses the first any more (the kernel
 * calls synchronize_rcu() when a map of maps is updated), so that the agent reads and empties it without losing a byte.
 * Memory is taken as flows come.
 */
struct udp_flow_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UDP_FLOWS_MAX);
	__type(key, struct udp_key);
	__type(value, struct udp_flow);
} udp_flows_a SEC(".maps"), udp_flows_b SEC(".maps");

/* What a socket did with peers for whom there was no more room. */
struct udp_rest_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UDP_REST_MAX);
	__type(key, struct udp_key);
	__type(value, struct udp_flow);
} udp_rest_a SEC(".maps"), udp_rest_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct udp_flow_map);
} udp_flows SEC(".maps") = { .values = { [0] = &udp_flows_a } };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct udp_rest_map);
} udp_rest SEC(".maps") = { .values = { [0] = &udp_rest_a } };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, UDP_COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} udp_counters SEC(".maps");

/* A field of the structure that begins with a socket's. */
#ifdef SKYFALL_UDP_FUNCTIONS
#define READ_AS(type, sk, field) BPF_CORE_READ((const type *)(sk), field)
#else
/* Since 6.2, so wherever the tracepoints of 6.3 are; the verifier makes plain loads of it. */
extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym __weak;
#define READ_AS(type, sk, field) (((const type *)bpf_rdonly_cast(sk, bpf_core_type_id_kernel(type)))->field)
#endif

/* Not inlined: its parameter brings the enumeration into the object's BTF. */
static __noinline int count_udp(enum udp_counter counter, __u64 amount)
{
	__u32 index = counter;
	__u64 *value = bpf_map_lookup_elem(&udp_counters, &index);

	if (value)
		*value += amount;
	return 0;
}

static __always_inline void copy_words(__u8 to[16], const __u8 from[16])
{
	__u64 *target = (__u64 *)to;
	const __u64 *source = (const __u64 *)from;

	target[0] = source[0];
	target[1] = source[1];
}

/* Zero, or 0.0.0.0 mapped. */
static __always_inline bool is_unspecified(const __u8 address[16])
{
	const __u32 *words = (const __u32 *)address;

	return words[3] == 0 && words[0] == 0 && words[1] == 0 && (words[2] == 0 || words[2] == bpf_htonl(0xffff));
}

/* The current process as a flow's owner; threads of the kernel own nothing. */
static __always_inline void fill_udp_owner(struct udp_flow *flow)
{
	struct followed_socket owner = {};

	take_owner(&owner, ATTRIBUTION_CONNECT);
	describe_process(&owner);
	flow->process_start_ns = owner.process_start_ns;
	flow->cgroup_id = owner.cgroup_id;
	flow->exec_id = owner.exec_id;
	flow->user_id = owner.user_id;
}

static __always_inline __u32 current_owner_pid(void)
{
	struct task_struct *task = current_task();

	return KERNEL_READ(task, mm) ? bpf_get_current_pid_tgid() >> 32 : 0;
}

/* Where a new flow begins: not inlined, so that its parameter brings the flags into the object's BTF. */
static __noinline int fill_udp_flow(struct udp_flow *flow, const struct sock *sk, enum udp_flag flags)
{
	const struct sock_common *common;
	__u8 remote[16];
	__u8 locks;

	if (!flow || !sk)
		return 0;
	common = &sk->__sk_common;
	locks = BPF_CORE_READ_BITFIELD(sk, sk_userlocks); /* a bit-field in some kernels, a byte in others */
	flow->flags = flags | UDP_FLAG_AMOUNTS_KNOWN | (locks & SOCK_BINDPORT_LOCK ? UDP_FLAG_PORT_BOUND : 0);
	flow->flags |= locks & (SOCK_BINDPORT_LOCK | SOCK_BINDADDR_LOCK) ? UDP_FLAG_BOUND : 0;
	flow->network_namespace = network_namespace_of(common);
	fill_addresses(flow->local_address, remote, common);
	flow->local_port = bpf_ntohs(READ_AS(struct inet_sock, sk, inet_sport));
	flow->first_ktime_ns = bpf_ktime_get_ns();
	flow->first_ticks = bpf_jiffies64();
	return 0;
}

/* The flow of a key in the current generation: null, or not, where there is no room. */
static __always_inline struct udp_flow *begin_udp_flow(void *map, const struct udp_key *key, const struct udp_flow *flow)
{
	bpf_map_update_elem(map, key, flow, BPF_NOEXIST); /* another processor may have been quicker; then its flow is found */
	return bpf_map_lookup_elem(map, key);
}

static __always_inline void add_to_udp_flow(struct udp_flow *flow, bool sent, __u64 bytes, __u64 datagrams)
{
	flow->last_ticks = bpf_jiffies64();
	if (sent) {
		__sync_fetch_and_add(&flow->tx_bytes, bytes);
		__sync_fetch_and_add(&flow->tx_datagrams, datagrams);
	} else {
		__sync_fetch_and_add(&flow->rx_bytes, bytes);
		__sync_fetch_and_add(&flow->rx_datagrams, datagrams);
	}
}

/* Keeps the socket's total where its peers have no room. */
static __noinline int add_to_rest(struct udp_key *key, struct udp_flow *flow, bool sent, __u64 bytes, __u64 datagrams)
{
	struct udp_flow *found;
	__u32 zero = 0;
	void *map;

	if (!key || !flow)
		return 0;
	count_udp(UDP_COUNTER_MAP_FULL, datagrams);
	__builtin_memset(key->remote_address, 0, sizeof(key->remote_address));
	key->remote_port = 0;
	map = bpf_map_lookup_elem(&udp_rest, &zero);
	if (!map)
		return 0;
	found = bpf_map_lookup_elem(map, key);
	if (!found)
		found = begin_udp_flow(map, key, flow);
	if (found) {
		add_to_udp_flow(found, sent, bytes, datagrams);
		return 0;
	}
	count_udp(UDP_COUNTER_LOST_DATAGRAMS, datagrams);
	count_udp(UDP_COUNTER_LOST_BYTES, bytes);
	return 0;
}

/* Takes the peer that the thread's call named, if it named one of this socket. */
static __always_inline struct udp_peer *take_peer(__u64 cookie)
{
	__u64 task = bpf_get_current_task();
	struct udp_peer *peer = bpf_map_lookup_elem(&udp_peers, &task);

	if (!peer || peer->socket_cookie != cookie)
		return 0;
	peer->socket_cookie = 0;
	return peer;
}

/* Fills in the peer; false where it is not known. */
static __always_inline bool fill_udp_peer(struct udp_key *key, const struct sock *sk, const struct udp_peer *named, bool connected)
{
	__u8 local[16];

	if (named) {
		copy_words(key->remote_address, named->remote_address);
		key->remote_port = named->remote_port;
		return true;
	}
	if (!connected)
		return false;
	fill_addresses(local, key->remote_address, &sk->__sk_common);
	key->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	return true;
}

/* Datagrams that a call sent: none while corked, several where the socket cuts what it is given. */
static __always_inline __u64 datagrams_sent(const struct sock *sk, __u64 bytes)
{
	__u32 segment = READ_AS(struct udp_sock, sk, gso_size);

	if (READ_AS(struct udp_sock, sk, pending))
		return 0;
	return segment != 0 && bytes > segment ? (bytes + segment - 1) / segment : 1;
}

/* The end of a call on a UDP socket. */
static __always_inline int on_udp_call(struct sock *sk, int result, int flags, bool sent)
{
	bool connected = sk->__sk_common.skc_state == TCP_ESTABLISHED;
	struct udp_key key = { .socket_cookie = bpf_get_socket_cookie(sk) };
	struct udp_peer *named = 0;
	struct udp_flow *flow;
	struct udp_flow fresh;
	__u64 datagrams;
	__u32 zero = 0;
	void *map;

	/* What comes to a connected socket is its peer's; what it sends may be to somebody else. */
	if (sent || !connected)
		named = take_peer(key.socket_cookie);
	if (result < 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)))
		return 0;
	if (!sent && result == 0 && (sk->sk_shutdown & RCV_SHUTDOWN))
		return 0; /* no datagram of no bytes */
	datagrams = sent ? datagrams_sent(sk, result) : 1;
	key.pid = current_owner_pid();
	if (!fill_udp_peer(&key, sk, named, connected))
		count_udp(UDP_COUNTER_PEER_UNKNOWN, datagrams);
	map = bpf_map_lookup_elem(&udp_flows, &zero);
	if (!map)
		return 0;
	flow = bpf_map_lookup_elem(map, &key);
	if (!flow) {
		__builtin_memset(&fresh, 0, sizeof(fresh));
		fill_udp_flow(&fresh, sk, (connected ? UDP_FLAG_CONNECTED : 0) | (sent ? UDP_FLAG_SENT_FIRST : 0));
		if (key.pid != 0)
			fill_udp_owner(&fresh);
		count_udp(UDP_COUNTER_FLOWS, 1);
		flow = begin_udp_flow(map, &key, &fresh);
		if (!flow) {
			add_to_rest(&key, &fresh, sent, result, datagrams);
			return 0;
		}
	}
	if (sent && named && is_unspecified(flow->local_address))
		copy_words(flow->local_address, named->source_address);
	add_to_udp_flow(flow, sent, result, datagrams);
	return 0;
}

/*
 * Where a thread can be preempted within a tracepoint's program (since 6.19), the kernel leaves that program out for any
 * other thread on the processor meanwhile. So there are two, one after the other: the second counts what the first did not.
 * Whatever is doubtful is left uncounted, never counted twice.
 */
static __always_inline int on_udp_call_first(struct sock *sk, int result, int flags, bool sent)
{
	__u64 task = bpf_get_current_task(), yes = 1;
	__u64 *counted = bpf_map_lookup_elem(&udp_counted, &task);

	if (counted)
		*counted = 1;
	else
		bpf_map_update_elem(&udp_counted, &task, &yes, BPF_ANY);
	return on_udp_call(sk, result, flags, sent);
}

static __always_inline int on_udp_call_second(struct sock *sk, int result, int flags, bool sent)
{
	__u64 task = bpf_get_current_task();
	__u64 *counted = bpf_map_lookup_elem(&udp_counted, &task);

	if (!counted)
		return 0;
	if (*counted) {
		*counted = 0;
		return 0;
	}
	count_udp(UDP_COUNTER_RESCUED, 1);
	return on_udp_call(sk, result, flags, sent);
}

/* A thread names the peer of its call. */
static __always_inline void name_peer(const struct udp_peer *peer)
{
	__u64 task = bpf_get_current_task();
	struct udp_peer *known = bpf_map_lookup_elem(&udp_peers, &task);

	if (known)
		*known = *peer;
	else
		bpf_map_update_elem(&udp_peers, &task, peer, BPF_ANY);
}

/* A program may send to 0.0.0.0 or ::, which is this host. */
static __always_inline void fill_peer_ipv4(struct udp_peer *peer, struct bpf_sock_addr *ctx)
{
	__u32 address = ctx->user_ip4;

	fill_mapped(peer->remote_address, address ? address : bpf_htonl(0x7f000001));
	peer->remote_port = bpf_ntohs(ctx->user_port);
	peer->socket_cookie = bpf_get_socket_cookie(ctx);
}

static __always_inline void fill_peer_ipv6(struct udp_peer *peer, struct bpf_sock_addr *ctx)
{
	__u32 *words = (__u32 *)peer->remote_address;

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	if (is_unspecified(peer->remote_address))
		words[3] = bpf_htonl(words[2] == 0 ? 1 : 0x7f000001);
	peer->remote_port = bpf_ntohs(ctx->user_port);
	peer->socket_cookie = bpf_get_socket_cookie(ctx);
}

/* A peer was named on a kernel that tells no amounts. The local address is filled in by whoever calls; the port may come later. */
static __noinline int on_udp_seen(const struct udp_peer *peer, struct udp_flow *fresh, __u8 flags)
{
	struct udp_key key = {};
	struct udp_flow *flow;
	__u32 zero = 0;
	void *map;

	if (!peer || !fresh)
		return 1;
	key.socket_cookie = peer->socket_cookie;
	copy_words(key.remote_address, peer->remote_address);
	key.remote_port = peer->remote_port;
	key.pid = current_owner_pid();
	map = bpf_map_lookup_elem(&udp_flows, &zero);
	if (!map)
		return 1;
	flow = bpf_map_lookup_elem(map, &key);
	if (!flow) {
		fresh->flags = flags;
		fresh->network_namespace = network_namespace_of_task(current_task());
		fresh->first_ktime_ns = bpf_ktime_get_ns();
		fresh->first_ticks = bpf_jiffies64();
		if (key.pid != 0)
			fill_udp_owner(fresh);
		count_udp(UDP_COUNTER_FLOWS, 1);
		flow = begin_udp_flow(map, &key, fresh);
	}
	if (flow)
		flow->last_ticks = bpf_jiffies64();
	else
		count_udp(UDP_COUNTER_LOST_DATAGRAMS, 1);
	return 1;
}

static __always_inline int on_udp_seen_ipv4(struct bpf_sock_addr *ctx, __u8 flags)
{
	struct udp_peer peer = {};
	struct udp_flow fresh = {};
	struct bpf_sock *sk = ctx->sk;

	fill_peer_ipv4(&peer, ctx);
	if (sk) {
		fill_mapped(fresh.local_address, sk->src_ip4);
		fresh.local_port = sk->src_port;
	}
	return on_udp_seen(&peer, &fresh, flags);
}

static __always_inline int on_udp_seen_ipv6(struct bpf_sock_addr *ctx, __u8 flags)
{
	struct udp_peer peer = {};
	struct udp_flow fresh = {};
	struct bpf_sock *sk = ctx->sk;
	__u32 *words = (__u32 *)fresh.local_address;

	fill_peer_ipv6(&peer, ctx);
	if (sk) {
		words[0] = sk->src_ip6[0];
		words[1] = sk->src_ip6[1];
		words[2] = sk->src_ip6[2];
		words[3] = sk->src_ip6[3];
		fresh.local_port = sk->src_port;
	}
	return on_udp_seen(&peer, &fresh, flags);
}

#endif
