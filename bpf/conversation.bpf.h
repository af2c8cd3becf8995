/* SPDX-License-Identifier: GPL-2.0 */
/* One handler per moment of a TCP conversation; the entry points that bind them to hooks are in the .bpf.c files. */
#ifndef SKYFALL_CONVERSATION_BPF_H
#define SKYFALL_CONVERSATION_BPF_H

#include "kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "tcp_event.h"

/* Bounds. */
#define PROCESSES_MAX 16384
#define RING_BYTES (8 * 1024 * 1024)

/* What is remembered of a socket between its beginning and its end. */
struct followed_socket {
	__u64 syn_sent_ktime_ns;
	__u64 established_ktime_ns;
	__u64 process_start_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 exec_id;
	__u32 user_id;
	__u32 srtt_us;
	__u32 rttvar_us;
	__u32 min_rtt_us;
	__u32 snd_cwnd;
	__u8 active_open;
	__u8 attribution;
	__u8 quality_taken;
	__u8 ended;
};

struct process_key {
	__u64 start_ns;
	__u32 pid;
	__u32 exec_id;
};

/* Lives and dies with the socket: no bound to set, nothing to clean up, and found without a search. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct followed_socket);
} sockets SEC(".maps");

/* Processes already described; one that falls out is described again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROCESSES_MAX);
	__type(key, struct process_key);
	__type(value, __u8);
} described SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Not inlined, like the fill functions: its parameter brings the enumeration into the object's BTF. */
static __noinline int count(enum counter counter)
{
	__u32 index = counter;
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		*value += 1;
	return 0;
}

/* The agent polls the ring many times before it can fill, so that no event pays for a wake-up. */
static __always_inline void *reserve_event(__u64 size)
{
	void *event = bpf_ringbuf_reserve(&events, size, 0);

	count(COUNTER_EVENTS);
	if (!event)
		count(COUNTER_RING_LOST);
	return event;
}

/* Fills in the owner from the current task; call it only where the current task is the owner. */
static __noinline int take_owner(struct followed_socket *followed, enum attribution attribution)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();

	if (!followed)
		return 0;
	followed->pid = task->tgid;
	followed->process_start_ns = BPF_CORE_READ(task, group_leader, start_time);
	followed->exec_id = (__u32)task->self_exec_id;
	followed->user_id = (__u32)bpf_get_current_uid_gid();
	followed->cgroup_id = bpf_get_current_cgroup_id();
	followed->attribution = attribution;
	return 0;
}

/* Tells the agent about the current process, once per program that it runs. */
static __noinline int fill_process_event(struct process_event *event)
{
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned long start, bytes;

	if (!event)
		return 0;
	task = (struct task_struct *)bpf_get_current_task_btf();
	mm = task->mm;
	event->kind = EVENT_PROCESS;
	__builtin_memset(event->reserved, 0, sizeof(event->reserved));
	event->pid = task->tgid;
	event->process_start_ns = BPF_CORE_READ(task, group_leader, start_time);
	event->exec_id = (__u32)task->self_exec_id;
	event->user_id = (__u32)bpf_get_current_uid_gid();
	event->cgroup_id = bpf_get_current_cgroup_id();
	event->network_namespace = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->executable_name[0] = 0;
	event->command_line_bytes = 0;
	if (!mm) /* a kernel thread */
		return 0;
	bpf_probe_read_kernel_str(event->executable_name, sizeof(event->executable_name),
				  BPF_CORE_READ(mm, exe_file, f_path.dentry, d_name.name));
	start = BPF_CORE_READ(mm, arg_start);
	bytes = BPF_CORE_READ(mm, arg_end) - start;
	if (bytes > COMMAND_LINE_BYTES)
		bytes = COMMAND_LINE_BYTES;
	if (bytes > 0 && bpf_probe_read_user(event->command_line, bytes, (const void *)start) == 0)
		event->command_line_bytes = bytes;
	return 0;
}

static __always_inline void describe_process(const struct followed_socket *owner)
{
	struct process_key key = { .start_ns = owner->process_start_ns, .pid = owner->pid, .exec_id = owner->exec_id };
	__u8 yes = 1;
	struct process_event *event;

	if (bpf_map_lookup_elem(&described, &key))
		return;
	event = reserve_event(sizeof(*event));
	if (!event)
		return; /* not marked as described: the next socket tries again */
	fill_process_event(event);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	bpf_map_update_elem(&described, &key, &yes, BPF_ANY);
}

/* A round-trip time is taken before the FIN: the peer's delayed acknowledgement of it is no property of the path. */
static __always_inline void take_quality(struct followed_socket *followed, const struct tcp_sock *tp)
{
	__u32 min_rtt_us = tp->rtt_min.s[0].v;

	followed->srtt_us = tp->srtt_us >> 3;
	followed->rttvar_us = tp->mdev_us >> 2;
	followed->min_rtt_us = min_rtt_us == ~0U ? 0 : min_rtt_us;
	followed->snd_cwnd = tp->snd_cwnd;
}

static __always_inline bool is_mapped(const struct in6_addr *address)
{
	return address->in6_u.u6_addr32[0] == 0 && address->in6_u.u6_addr32[1] == 0 &&
	       address->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

static __always_inline void fill_mapped(__u8 to[16], __be32 address)
{
	__u32 *words = (__u32 *)to;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = address;
}

static __always_inline void fill_ipv6(__u8 to[16], const struct in6_addr *address)
{
	__u32 *words = (__u32 *)to;

	words[0] = address->in6_u.u6_addr32[0];
	words[1] = address->in6_u.u6_addr32[1];
	words[2] = address->in6_u.u6_addr32[2];
	words[3] = address->in6_u.u6_addr32[3];
}

/* Which fields hold the tuple is decided by the address: an AF_INET6 socket may speak IPv4. */
static __always_inline void fill_tuple(struct tcp_event *event, const struct tcp_sock *tp)
{
	const struct sock_common *common = &tp->inet_conn.icsk_inet.sk.__sk_common;

	if (common->skc_family == AF_INET || is_mapped(&common->skc_v6_daddr)) {
		fill_mapped(event->local_address, common->skc_rcv_saddr);
		fill_mapped(event->remote_address, common->skc_daddr);
	} else {
		fill_ipv6(event->local_address, &common->skc_v6_rcv_saddr);
		fill_ipv6(event->remote_address, &common->skc_v6_daddr);
	}
	/* Not skc_num: inet_put_port() has cleared it by the time of TCP_CLOSE. */
	event->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->network_namespace = common->skc_net.net->ns.inum;
}

static __always_inline void fill_counters(struct tcp_event *event, const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	__u64 sent = tp->bytes_sent, retrans = tp->bytes_retrans;

	event->fin_received = (sk->__sk_common.skc_flags >> SOCK_DONE) & 1;
	event->bytes_sent = sent > retrans ? sent - retrans : 0;
	event->bytes_retrans = retrans;
	event->bytes_received = tp->bytes_received - event->fin_received;
	event->segs_out = tp->segs_out;
	event->segs_in = tp->segs_in;
	event->total_retrans = tp->total_retrans;
	event->lost = tp->lost;
	event->socket_error = sk->sk_err;
}

/* Not inlined: its parameters bring the structure and the enumeration into the object's BTF. */
static __noinline int fill_tcp_event(struct tcp_event *event, const struct tcp_sock *tp, const struct followed_socket *followed,
				     enum event_kind kind, __u8 state)
{
	if (!event || !tp || !followed)
		return 0;
	event->kind = kind;
	event->state = state;
	event->ktime_ns = bpf_ktime_get_ns();
	event->syn_sent_ktime_ns = followed->syn_sent_ktime_ns;
	event->established_ktime_ns = followed->established_ktime_ns;
	event->process_start_ns = followed->process_start_ns;
	event->cgroup_id = followed->cgroup_id;
	event->pid = followed->pid;
	event->exec_id = followed->exec_id;
	event->user_id = followed->user_id;
	event->srtt_us = followed->srtt_us;
	event->rttvar_us = followed->rttvar_us;
	event->min_rtt_us = followed->min_rtt_us;
	event->snd_cwnd = followed->snd_cwnd;
	event->active_open = followed->active_open;
	event->attribution = followed->attribution;
	event->seen_from_start = followed->syn_sent_ktime_ns != 0 || followed->established_ktime_ns != 0;
	event->reserved[0] = 0;
	event->reserved[1] = 0;
	fill_tuple(event, tp);
	fill_counters(event, tp);
	return 0;
}

static __always_inline void report(struct tcp_sock *tp, __u64 cookie, const struct followed_socket *followed, enum event_kind kind, __u8 state)
{
	struct tcp_event *event = reserve_event(sizeof(*event));

	if (!event)
		return;
	event->socket_cookie = cookie;
	fill_tcp_event(event, tp, followed, kind, state);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* A socket whose connection failed may connect again: what is remembered of the earlier attempt is forgotten. */
static __always_inline struct followed_socket *follow(struct sock *sk)
{
	struct followed_socket *followed = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (followed)
		__builtin_memset(followed, 0, sizeof(*followed));
	else
		count(COUNTER_MAP_FULL);
	return followed;
}

/* CLOSE -> SYN-SENT runs in connect(2), before a source port is chosen: take the owner, not the tuple. */
static __always_inline void on_connect(struct sock *sk)
{
	struct followed_socket *followed = follow(sk);

	if (!followed)
		return;
	followed->syn_sent_ktime_ns = bpf_ktime_get_ns();
	followed->active_open = 1;
	take_owner(followed, ATTRIBUTION_CONNECT);
	describe_process(followed);
}

/* A passive socket gets here in a softirq: whoever was interrupted is not its owner. */
static __always_inline void on_established(struct sock *sk)
{
	struct followed_socket *followed = bpf_sk_storage_get(&sockets, sk, 0, 0);

	count(COUNTER_OPENED);
	if (!followed)
		followed = follow(sk);
	if (followed)
		followed->established_ktime_ns = bpf_ktime_get_ns();
}

/* The first FIN, of either end. */
static __always_inline void on_first_fin(struct tcp_sock *tp, struct followed_socket *known)
{
	if (known->quality_taken)
		return;
	take_quality(known, tp);
	known->quality_taken = 1;
}

/* close(2) and shutdown(2) run in the owner's context. */
static __always_inline void on_owner_close(struct followed_socket *known, enum attribution attribution)
{
	if (known->pid != 0)
		return;
	take_owner(known, attribution);
	describe_process(known);
}

static __always_inline void on_end(struct tcp_sock *tp, __u64 cookie, struct followed_socket *known, __u8 old_state)
{
	struct followed_socket unseen = {};

	count(old_state == TCP_SYN_SENT ? COUNTER_FAILED : COUNTER_ENDED);
	if (!known)
		known = &unseen;
	if (!known->quality_taken)
		take_quality(known, tp);
	report(tp, cookie, known, EVENT_SOCKET_ENDED, old_state);
	known->ended = 1;
}

/* listen(2) and the close of a listener run in the owner's context. */
static __always_inline void on_listen(struct tcp_sock *tp, __u64 cookie, enum event_kind kind)
{
	struct followed_socket followed = {};

	take_owner(&followed, ATTRIBUTION_LISTEN);
	describe_process(&followed);
	report(tp, cookie, &followed, kind, TCP_LISTEN);
}

/* Every change of a TCP socket's state; the argument holds the new state, the socket still the old one. */
static __always_inline int on_state(struct sock *sk, int old_state, int new_state)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct followed_socket *known;

	if (!tp)
		return 0;
	if (new_state == TCP_SYN_SENT) {
		on_connect(sk);
	} else if (new_state == TCP_ESTABLISHED) {
		on_established(sk);
	} else if (new_state == TCP_LISTEN) {
		on_listen(tp, bpf_get_socket_cookie(sk), EVENT_LISTEN_STARTED);
	} else if (new_state == TCP_CLOSE) {
		if (old_state == TCP_LISTEN)
			on_listen(tp, bpf_get_socket_cookie(sk), EVENT_LISTEN_ENDED);
		else if (old_state != TCP_SYN_RECV) /* never ESTABLISHED: no connection to anyone here */
			on_end(tp, bpf_get_socket_cookie(sk), bpf_sk_storage_get(&sockets, sk, 0, 0), old_state);
	} else if (old_state == TCP_ESTABLISHED || new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK) {
		known = bpf_sk_storage_get(&sockets, sk, 0, 0);
		if (!known)
			return 0;
		if (old_state == TCP_ESTABLISHED)
			on_first_fin(tp, known);
		if (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK)
			on_owner_close(known, ATTRIBUTION_CLOSE);
	}
	return 0;
}

/* The last close(2) of an inet socket: names the owner where no earlier moment could. */
static __always_inline int on_release(struct followed_socket *known, __u64 cookie)
{
	struct tcp_event *event;

	if (!known || known->pid != 0)
		return 0;
	on_owner_close(known, ATTRIBUTION_RELEASE);
	if (!known->ended) /* its end is yet to be reported, with the owner */
		return 0;
	event = reserve_event(sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->ktime_ns = bpf_ktime_get_ns();
	event->socket_cookie = cookie;
	event->kind = EVENT_SOCKET_OWNED;
	event->pid = known->pid;
	event->exec_id = known->exec_id;
	event->process_start_ns = known->process_start_ns;
	event->user_id = known->user_id;
	event->cgroup_id = known->cgroup_id;
	event->attribution = known->attribution;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
