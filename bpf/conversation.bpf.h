/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One handler per moment of a TCP conversation. The .bpf.c file of a rung binds them to its hooks, and says how kernel
 * memory is read there and where what is known of a socket is kept: see rung_tp_btf.bpf.h for what it must define.
 */
#ifndef SKYFALL_CONVERSATION_BPF_H
#define SKYFALL_CONVERSATION_BPF_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

/* Bounds. */
#define PROCESSES_MAX 16384
#define RING_BYTES (8 * 1024 * 1024)
#define WAKE_UP_MARK_BYTES (RING_BYTES / 4)
#define WAKE_UP_BYTES 4096

struct process_key {
	__u64 start_ns;
	__u32 pid;
	__u32 exec_id;
};

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

static __always_inline void *reserve_event(__u64 size)
{
	void *event = bpf_ringbuf_reserve(&events, size, 0);

	count(COUNTER_EVENTS);
	if (!event)
		count(COUNTER_RING_LOST);
	return event;
}

/*
 * The agent reads the ring now and then. What it is woken for is a process, whose files in /proc may soon be gone, and a
 * ring that fills: the records around a mark all do it, as those of other processors may pass the mark itself unseen.
 */
static __always_inline void submit_event(void *event)
{
	__u64 beyond_mark = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) - WAKE_UP_MARK_BYTES;

	bpf_ringbuf_submit(event, beyond_mark < WAKE_UP_BYTES ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#include "sampling.bpf.h"

static __always_inline struct process_key current_process(void)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = KERNEL_READ(task, group_leader);
	struct process_key key = {
		.start_ns = KERNEL_READ(leader, start_time),
		.pid = bpf_get_current_pid_tgid() >> 32,
		.exec_id = (__u32)KERNEL_READ(task, self_exec_id),
	};

	return key;
}

/* Fills in the owner from the current task; call it only where the current task is the owner. */
static __noinline int take_owner(struct followed_socket *followed, enum attribution attribution)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = KERNEL_READ(task, group_leader);

	if (!followed)
		return 0;
	followed->process_start_ns = KERNEL_READ(leader, start_time);
	followed->exec_id = (__u32)KERNEL_READ(task, self_exec_id);
	followed->user_id = (__u32)bpf_get_current_uid_gid();
	followed->cgroup_id = bpf_get_current_cgroup_id();
	followed->attribution = attribution;
	followed->pid = bpf_get_current_pid_tgid() >> 32; /* last: the socket may end on another processor meanwhile */
	return 0;
}

static __always_inline __u32 network_namespace_of_task(struct task_struct *task)
{
	struct nsproxy *proxy = KERNEL_READ_SELDOM(task, nsproxy);
	struct net *net = KERNEL_READ_SELDOM(proxy, net_ns);

	return KERNEL_READ_SELDOM(net, ns.inum);
}

static __always_inline void fill_executable_name(struct process_event *event, struct mm_struct *mm)
{
	struct file *file = KERNEL_READ_SELDOM(mm, exe_file);
	struct dentry *dentry = KERNEL_READ_SELDOM(file, f_path.dentry);

	bpf_probe_read_kernel_str(event->executable_name, sizeof(event->executable_name), KERNEL_READ_SELDOM(dentry, d_name.name));
}

#include "cgroup_names.bpf.h"

/* Tells the agent about the current process, once per program that it runs. */
static __noinline int fill_process_event(struct process_event *event)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = KERNEL_READ_SELDOM(task, group_leader);
	struct mm_struct *mm = KERNEL_READ_SELDOM(task, mm);
	unsigned long start, end, bytes;

	if (!event)
		return 0;
	event->kind = EVENT_PROCESS;
	__builtin_memset(event->reserved, 0, sizeof(event->reserved));
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->process_start_ns = KERNEL_READ_SELDOM(leader, start_time);
	event->exec_id = (__u32)KERNEL_READ_SELDOM(task, self_exec_id);
	event->user_id = (__u32)bpf_get_current_uid_gid();
	event->cgroup_id = bpf_get_current_cgroup_id();
	event->network_namespace = network_namespace_of_task(task);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->executable_name[0] = 0;
	event->command_line_bytes = 0;
	event->cgroup_names_bytes = read_cgroup_names(event->cgroup_names, task);
	if (!mm) /* a kernel thread */
		return 0;
	fill_executable_name(event, mm);
	start = KERNEL_READ_SELDOM(mm, arg_start);
	end = KERNEL_READ_SELDOM(mm, arg_end);
	bytes = end > start ? end - start : 0; /* it is not set yet in the middle of an exec: what follows is the environment */
	if (bytes > COMMAND_LINE_BYTES)
		bytes = COMMAND_LINE_BYTES;
	if (bytes > 0 && bpf_probe_read_user(event->command_line, bytes, (const void *)start) == 0)
		event->command_line_bytes = bytes;
	return 0;
}

#include "exiting.bpf.h"

static __always_inline void describe_process(const struct followed_socket *owner)
{
	struct process_key key = { .start_ns = owner->process_start_ns, .pid = owner->pid, .exec_id = owner->exec_id };
	struct task_struct *task = current_task();
	__u8 yes = 1;
	struct process_event *event;

	if (bpf_map_lookup_elem(&described, &key))
		return;
	if (KERNEL_READ(task, mm) || !describe_exiting(&key)) {
		event = reserve_event(sizeof(*event));
		if (!event)
			return; /* not marked as described: the next socket tries again */
		fill_process_event(event);
		bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	}
	bpf_map_update_elem(&described, &key, &yes, BPF_ANY);
}

/* A round-trip time is taken before the FIN: the peer's delayed acknowledgement of it is no property of the path. */
static __always_inline void take_quality(struct followed_socket *followed, const struct tcp_sock *tp)
{
	__u32 min_rtt_us = KERNEL_READ(tp, rtt_min.s[0].v);

	followed->srtt_us = KERNEL_READ(tp, srtt_us) >> 3;
	followed->rttvar_us = KERNEL_READ(tp, mdev_us) >> 2;
	followed->min_rtt_us = min_rtt_us == ~0U ? 0 : min_rtt_us;
	followed->snd_cwnd = KERNEL_READ(tp, snd_cwnd);
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

	words[0] = KERNEL_READ(address, in6_u.u6_addr32[0]);
	words[1] = KERNEL_READ(address, in6_u.u6_addr32[1]);
	words[2] = KERNEL_READ(address, in6_u.u6_addr32[2]);
	words[3] = KERNEL_READ(address, in6_u.u6_addr32[3]);
}

/* Which fields hold the addresses is decided by them: an AF_INET6 socket may speak IPv4. */
static __always_inline void fill_addresses(__u8 local[16], __u8 remote[16], const struct sock_common *common)
{
	const __u32 *words = (const __u32 *)remote;

	fill_ipv6(remote, &common->skc_v6_daddr);
	if (KERNEL_READ(common, skc_family) == AF_INET || (words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff))) {
		fill_mapped(local, KERNEL_READ(common, skc_rcv_saddr));
		fill_mapped(remote, KERNEL_READ(common, skc_daddr));
	} else {
		fill_ipv6(local, &common->skc_v6_rcv_saddr);
	}
}

static __always_inline __u32 network_namespace_of(const struct sock_common *common)
{
	struct net *net = KERNEL_READ(common, skc_net.net);

	return KERNEL_READ(net, ns.inum);
}

/* As tcp_get_info_chrono_stats() does: what was counted, and what runs now. */
static __always_inline void read_limits(struct socket_totals *totals, const struct tcp_sock *tp)
{
	__u32 busy = KERNEL_READ(tp, chrono_stat[TCP_CHRONO_BUSY - 1]);
	__u32 rwnd_limited = KERNEL_READ(tp, chrono_stat[TCP_CHRONO_RWND_LIMITED - 1]);
	__u32 sndbuf_limited = KERNEL_READ(tp, chrono_stat[TCP_CHRONO_SNDBUF_LIMITED - 1]);
	__u32 type = KERNEL_READ_BITS(tp, chrono_type); /* a bit-field in some kernels, a byte in others */

	if (type != 0) {
		__u32 running = (__u32)bpf_jiffies64() - KERNEL_READ(tp, chrono_start);

		if (type == TCP_CHRONO_BUSY)
			busy += running;
		else if (type == TCP_CHRONO_RWND_LIMITED)
			rwnd_limited += running;
		else
			sndbuf_limited += running;
	}
	totals->busy_ticks = busy + rwnd_limited + sndbuf_limited;
	totals->rwnd_limited_ticks = rwnd_limited;
	totals->sndbuf_limited_ticks = sndbuf_limited;
}

static __always_inline void read_totals(struct socket_totals *totals, const struct tcp_sock *tp)
{
	__u64 sent = KERNEL_READ(tp, bytes_sent), retrans = KERNEL_READ(tp, bytes_retrans);
	__u32 fin_received = (KERNEL_READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_flags) >> SOCK_DONE) & 1;

	totals->bytes_sent = sent > retrans ? sent - retrans : 0;
	totals->bytes_retrans = retrans;
	totals->bytes_received = KERNEL_READ(tp, bytes_received) - fin_received;
	totals->segs_out = KERNEL_READ(tp, segs_out);
	totals->segs_in = KERNEL_READ(tp, segs_in);
	totals->total_retrans = KERNEL_READ(tp, total_retrans);
	totals->lost = KERNEL_READ(tp, lost);
	totals->reord_seen = KERNEL_READ(tp, reord_seen);
	read_limits(totals, tp);
}

static __always_inline void fill_amounts(struct tcp_event *event, const struct socket_totals *now, const struct socket_totals *reported)
{
	event->bytes_sent = now->bytes_sent - reported->bytes_sent;
	event->bytes_received = now->bytes_received - reported->bytes_received;
	event->bytes_retrans = now->bytes_retrans - reported->bytes_retrans;
	event->segs_out = now->segs_out - reported->segs_out;
	event->segs_in = now->segs_in - reported->segs_in;
	event->total_retrans = now->total_retrans - reported->total_retrans;
	event->lost = now->lost - reported->lost;
	event->reord_seen = now->reord_seen - reported->reord_seen;
	event->busy_ticks = now->busy_ticks - reported->busy_ticks;
	event->rwnd_limited_ticks = now->rwnd_limited_ticks - reported->rwnd_limited_ticks;
	event->sndbuf_limited_ticks = now->sndbuf_limited_ticks - reported->sndbuf_limited_ticks;
}

static __always_inline void fill_owner(struct tcp_event *event, const struct followed_socket *followed)
{
	event->process_start_ns = followed->process_start_ns;
	event->cgroup_id = followed->cgroup_id;
	event->pid = followed->pid;
	event->exec_id = followed->exec_id;
	event->user_id = followed->user_id;
	event->attribution = followed->attribution;
}

static __always_inline void fill_period(struct tcp_event *event, const struct followed_socket *followed)
{
	__u64 start = followed->syn_sent_ktime_ns ? followed->syn_sent_ktime_ns : followed->established_ktime_ns;
	__u64 connect_us = 0;

	event->ktime_ns = bpf_ktime_get_ns();
	event->seen_from_start = start != 0;
	event->opened = followed->established_ktime_ns != 0 && !followed->open_reported;
	if (followed->reported_ktime_ns)
		start = followed->reported_ktime_ns;
	event->period_start_ktime_ns = start ? start : event->ktime_ns;
	if (event->opened && followed->active_open)
		connect_us = (followed->established_ktime_ns - followed->syn_sent_ktime_ns + 500) / 1000;
	event->connect_us = event->opened && followed->active_open && connect_us == 0 ? 1 : connect_us;
}

/* Not inlined: its parameters bring the structure and the enumeration into the object's BTF. */
static __noinline int fill_tcp_event(struct tcp_event *event, const struct tcp_sock *tp, const struct followed_socket *followed,
				     enum event_kind kind, __u8 state)
{
	const struct sock_common *common;

	if (!event || !tp || !followed)
		return 0;
	common = &tp->inet_conn.icsk_inet.sk.__sk_common;
	event->kind = kind;
	event->state = state;
	event->active_open = followed->active_open;
	event->passive_open = followed->passive_open;
	event->first_fin = followed->first_fin;
	__builtin_memset(event->reserved, 0, sizeof(event->reserved));
	event->srtt_us = followed->srtt_us;
	event->rttvar_us = followed->rttvar_us;
	event->min_rtt_us = followed->min_rtt_us;
	event->snd_cwnd = followed->snd_cwnd;
	event->socket_error = KERNEL_READ(tp, inet_conn.icsk_inet.sk.sk_err);
	fill_addresses(event->local_address, event->remote_address, common);
	/* Not skc_num: inet_put_port() has cleared it by the time of TCP_CLOSE. */
	event->local_port = bpf_ntohs(KERNEL_READ(tp, inet_conn.icsk_inet.inet_sport));
	event->remote_port = bpf_ntohs(KERNEL_READ(common, skc_dport));
	event->network_namespace = network_namespace_of(common);
	fill_period(event, followed);
	fill_owner(event, followed);
	return 0;
}

#ifndef SKYFALL_YOUNG_SOCKETS
/* A rung that keeps sockets in one place from their beginning to their end. */
static __always_inline struct followed_socket *follow_young(struct sock *sk)
{
	return follow_new(sk);
}

static __always_inline struct followed_socket *settle(struct sock *sk, struct followed_socket *followed)
{
	return followed;
}

static __always_inline void join_holder(struct sock *sk, struct followed_socket *followed) {}

static __always_inline void forget(struct sock *sk) {}
#endif

/* A socket whose connection failed may connect again: what is remembered of the earlier attempt is forgotten. */
static __always_inline struct followed_socket *afresh(struct followed_socket *followed)
{
	if (followed)
		__builtin_memset(followed, 0, sizeof(*followed));
	else
		count(COUNTER_MAP_FULL);
	return followed;
}

static __always_inline struct followed_socket *follow(struct sock *sk)
{
	return afresh(follow_new(sk));
}

/* A socket that is older than the programs, and not yet found: what it did is not theirs to report, who closes it is. */
static __always_inline struct followed_socket *follow_also_old(struct sock *sk, const struct tcp_sock *tp)
{
	struct followed_socket *followed = followed_of(sk);

	if (followed || is_left_out(sk))
		return followed;
	followed = follow(sk);
	if (followed)
		read_totals(&followed->reported, tp);
	return followed;
}

/* CLOSE -> SYN-SENT runs in connect(2), before a source port is chosen: take the owner, not the tuple. */
static __always_inline void on_connect(struct sock *sk)
{
	struct followed_socket *followed;

	if (!followed_of(sk) && is_left_out(sk))
		return;
	followed = afresh(follow_young(sk));
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
	struct followed_socket *followed = followed_of(sk);

	count(COUNTER_OPENED);
	if (!followed) {
		if (is_left_out(sk))
			return;
		followed = afresh(follow_young(sk));
		if (!followed)
			return;
		followed->unowned = 1;
		count(COUNTER_UNOWNED);
	}
	followed->established_ktime_ns = bpf_ktime_get_ns();
}

static __always_inline void no_longer_unowned(struct followed_socket *known)
{
	if (!known->unowned)
		return;
	known->unowned = 0;
	count(COUNTER_OWNED);
}

/* The thread that walks over the open files of all tasks, while it does; else 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} walker SEC(".maps");

/*
 * Whether the current thread closes a socket that is not its own: a work queue, one that was left over elsewhere, such as
 * passed to nobody; the walker, one that its owner closed while the walk held it.
 */
static __always_inline bool closes_for_others(void)
{
	__u32 zero = 0;
	__u64 *walking = bpf_map_lookup_elem(&walker, &zero);

	return (walking && *walking == bpf_get_current_pid_tgid()) || KERNEL_READ(current_task(), flags) & PF_WQ_WORKER;
}

/* close(2) and shutdown(2) run in the owner's context. */
static __always_inline void on_owner_close(struct followed_socket *known, enum attribution attribution)
{
	if ((known->pid != 0 && known->attribution != ATTRIBUTION_TASK_FILE) || closes_for_others())
		return;
	take_owner(known, attribution);
	describe_process(known);
	no_longer_unowned(known);
}

static __noinline int on_first_fin(const struct tcp_sock *tp, struct followed_socket *known, enum first_fin first_fin)
{
	if (!tp || !known)
		return 0;
	take_quality(known, tp);
	known->first_fin = first_fin;
	return 0;
}

/* ESTABLISHED -> FIN-WAIT-1 or CLOSE-WAIT is the first FIN, ours or the peer's; -> FIN-WAIT-1 or LAST-ACK is ours. */
static __always_inline void on_fin(struct tcp_sock *tp, struct followed_socket *known, int old_state, int new_state)
{
	if (old_state == TCP_ESTABLISHED)
		on_first_fin(tp, known, new_state == TCP_FIN_WAIT1 ? FIRST_FIN_LOCAL : FIRST_FIN_REMOTE);
	if (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK)
		on_owner_close(known, ATTRIBUTION_CLOSE);
}

static __always_inline void on_end(struct sock *sk, struct tcp_sock *tp, __u8 old_state)
{
	struct followed_socket *known = follow_also_old(sk, tp);
	struct socket_totals totals;
	struct tcp_event *event;

	count(old_state == TCP_SYN_SENT ? COUNTER_FAILED : COUNTER_ENDED);
	if (!known) {
		if (is_left_out(sk))
			count(COUNTER_LEFT_OUT);
		return;
	}
	read_totals(&totals, tp);
	if (known->first_fin == FIRST_FIN_NONE)
		take_quality(known, tp);
	known->ended = 1;
	if (known->pid == 0) { /* on_release() or a walk may find it yet */
		known = settle(sk, known);
		join_holder(sk, known);
	}
	no_longer_unowned(known);
	event = reserve_event(sizeof(*event));
	if (event) {
		event->socket_cookie = socket_id(sk);
		fill_tcp_event(event, tp, known, EVENT_SOCKET_ENDED, old_state);
		fill_amounts(event, &totals, &known->reported);
		submit_event(event);
	}
	forget(sk);
}

/* listen(2) and the close of a listener run in the owner's context. */
static __always_inline void on_listen(struct sock *sk, struct tcp_sock *tp, enum event_kind kind)
{
	struct followed_socket *followed = followed_of(sk);
	struct tcp_event *event;

	if (!followed)
		followed = follow(sk);
	if (!followed)
		return;
	take_owner(followed, ATTRIBUTION_LISTEN);
	no_longer_unowned(followed);
	describe_process(followed);
	event = reserve_event(sizeof(*event));
	if (!event)
		return;
	event->socket_cookie = socket_id(sk);
	fill_tcp_event(event, tp, followed, kind, TCP_LISTEN);
	fill_amounts(event, &followed->reported, &followed->reported);
	submit_event(event);
}

/* Every change of a TCP socket's state; the argument holds the new state, the socket still the old one. */
static __always_inline int on_state(struct sock *sk, int old_state, int new_state)
{
	struct followed_socket *known;
	struct tcp_sock *tp;

	/* Nothing is learned from SYN-RECV, FIN-WAIT-2, CLOSING and TIME-WAIT. */
	if (new_state == TCP_SYN_SENT) {
		on_connect(sk);
		return 0;
	}
	if (new_state == TCP_ESTABLISHED) {
		on_established(sk);
		return 0;
	}
	if (new_state != TCP_CLOSE && new_state != TCP_FIN_WAIT1 && new_state != TCP_CLOSE_WAIT && new_state != TCP_LAST_ACK && new_state != TCP_LISTEN)
		return 0;
	tp = tcp_sock_of(sk);
	if (!tp)
		return 0;
	if (new_state == TCP_LISTEN) {
		on_listen(sk, tp, EVENT_LISTEN_STARTED);
	} else if (new_state != TCP_CLOSE) {
		known = follow_also_old(sk, tp);
		if (known)
			on_fin(tp, known, old_state, new_state);
	} else if (old_state == TCP_LISTEN) {
		on_listen(sk, tp, EVENT_LISTEN_ENDED);
	} else if (old_state != TCP_SYN_RECV && old_state != TCP_NEW_SYN_RECV) { /* else never ESTABLISHED: no connection to anyone here */
		on_end(sk, tp, old_state);
	}
	return 0;
}

/* Tells the owner of a connection whose end was told without. */
static __noinline int report_owner(const struct followed_socket *known, __u64 cookie)
{
	struct tcp_event *event;

	if (!known)
		return 0;
	event = reserve_event(sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->ktime_ns = bpf_ktime_get_ns();
	event->socket_cookie = cookie;
	event->kind = EVENT_SOCKET_OWNED;
	fill_owner(event, known);
	submit_event(event);
	return 0;
}

/* The last close(2) of an inet socket: names the owner where no earlier moment could. */
static __always_inline int on_release(struct followed_socket *known, __u64 cookie)
{
	if (!known || known->pid != 0)
		return 0;
	on_owner_close(known, ATTRIBUTION_RELEASE);
	if (known->ended && known->pid != 0) /* else its end is yet to be reported, with the owner */
		report_owner(known, cookie);
	return 0;
}

#endif
