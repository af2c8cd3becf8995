// SPDX-License-Identifier: GPL-2.0
/* Rung tp_btf: for kernels with BTF, also without kprobes or under lockdown. */
#define SKYFALL_YOUNG_SOCKETS
#include "rung_tp_btf.bpf.h"
#include "conversation.bpf.h"
#include "open_socket.bpf.h"
#include "owner_walk.bpf.h"
#include "socket_walk.bpf.h"

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(skyfall_state, struct sock *sk, int old_state, int new_state)
{
	return sk->sk_protocol == IPPROTO_TCP ? on_state(sk, old_state, new_state) : 0;
}

/* Without the socket's lock. False where the socket has left its place. */
static __always_inline bool own_young(struct young_socket *place, __u64 cookie)
{
	struct followed_socket owner = {};

	if (place->followed.pid == 0) {
		on_owner_close(&owner, ATTRIBUTION_RELEASE);
		copy_owner(&place->followed, &owner);
	}
	return place->socket_cookie == cookie;
}

SEC("cgroup/sock_release")
int skyfall_release(struct bpf_sock *sk)
{
	struct followed_socket *known;
	struct young_socket *place;
	__u64 cookie;

	if (sk->protocol != IPPROTO_TCP)
		return 1;
	cookie = bpf_get_socket_cookie(sk);
	place = young_by(cookie);
	if (place && own_young(place, cookie))
		return 1;
	known = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (known && known->pid == 0)
		on_release(known, cookie);
	return 1;
}

/*
 * The last thread of a process exits. This comes before the memory is dropped since Linux 6.16; before, there is nothing to
 * note, and the agent has /proc alone.
 */
SEC("tp_btf/sched_process_exit")
int skyfall_exit(void *ctx)
{
	struct signal_struct *signal = KERNEL_READ(current_task(), signal);

	return KERNEL_READ(signal, live.counter) == 0 ? note_exiting() : 0;
}

/* Tells what each open socket did since it was last told; with the socket's lock held. */
SEC("iter/tcp")
int skyfall_live(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct followed_socket *followed;
	struct socket_totals totals;
	struct tcp_event event = {}; /* kernels before 6.3 want all that is handed on to be written first */
	struct tcp_sock *tp;
	struct sock *sk;
	__u8 state;

	if (!common || !is_walked(common))
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (!tp) /* a minisocket, in TIME-WAIT or NEW-SYN-RECV */
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	state = sk->__sk_common.skc_state;
	followed = followed_of((struct sock *)tp);
	followed = followed ? settle((struct sock *)tp, followed) : follow_found((struct sock *)tp, tp);
	if (!followed)
		return 0;
	join_holder((struct sock *)tp, followed);
	if (followed->pid != 0)
		no_longer_unowned(followed);
	if (state == TCP_SYN_SENT)
		return 0;
	read_totals(&totals, tp);
	if (!is_news(followed, &totals))
		return 0;
	if (followed->first_fin == FIRST_FIN_NONE)
		take_quality(followed, tp);
	event.socket_cookie = socket_id(sk);
	fill_tcp_event(&event, tp, followed, EVENT_SOCKET_LIVE, state);
	fill_amounts(&event, &totals, &followed->reported);
	/* Where the buffer is full the kernel calls again for the same socket: nothing is marked as told before it is. */
	if (bpf_seq_write(ctx->meta->seq, &event, sizeof(event)) != 0)
		return 0;
	mark_reported(followed, &event, &totals);
	return 0;
}

/*
 * Gives each socket that has no owner the process that holds it open, of several the first that the walk meets; another
 * walk may find that it was passed on.
 */
SEC("iter/task_file")
int skyfall_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct followed_socket *followed, holder = {};
	struct young_socket *place;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file) /* of threads that share their leader's files, the kernel shows the leader alone */
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	tell_elsewhere(ctx->meta->seq, task, sk);
	place = young_of(sk);
	if (place || !stored_of(sk)) {
		if (place ? place->followed.pid != 0 : sk->__sk_common.skc_state == TCP_CLOSE)
			return 0;
		own_by_walk(&holder, sk, task, ctx->meta->session_id);
		note_holder(sk, &holder);
		if (young_of(sk))
			return 0;
	}
	followed = stored_of(sk); /* or it has ended meanwhile, and could not know of the note */
	if (followed)
		own_by_walk(followed, sk, task, ctx->meta->session_id);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
