/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where sockets are kept from their beginning until they end, or a walk first meets them. Most are short-lived, and memory of
 * their own would cost more than all else that is done for them; a place here is taken and left without allocating any.
 *
 * A place that is left is taken again at once, so that who writes to it must hold the socket's lock: changes of state, and
 * iter/tcp. Without it, the last close(2) alone may give an owner to a socket that has none: such a place is not left but
 * closed. What the walk over open files learns is noted in `holders`, and joined in with the lock held.
 */
#ifndef SKYFALL_YOUNG_SOCKET_BPF_H
#define SKYFALL_YOUNG_SOCKET_BPF_H

/* Bound: 2.7 MB. Sockets that find their place taken have memory of their own from the beginning. */
#define YOUNG_MAX 16384
/* Two hours, or more where a second has fewer ticks. No socket that is walked is young for so long: its end was missed. */
#define YOUNG_MAX_TICKS (2 * 3600 * 1000)
/* A minute or more. No program that found a place before it was closed still runs. */
#define CLOSED_MIN_TICKS (60 * 1000)
/* Added to the cookie in a place that is closed. */
#define PLACE_CLOSED (1ULL << 63)

struct young_socket {
	__u64 socket_cookie; /* 0: free */
	__u64 since_ticks;   /* 0: not told yet */
	__u64 closed_ticks;
	struct followed_socket followed;
};

/* By cookie, which every processor gives out one after the other. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, YOUNG_MAX);
	__type(key, __u32);
	__type(value, struct young_socket);
} young SEC(".maps");

/* Owners that a walk found for sockets to which it may not write. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct followed_socket);
} holders SEC(".maps");

static __always_inline struct young_socket *place_of(__u64 cookie)
{
	__u32 index = cookie % YOUNG_MAX;

	return bpf_map_lookup_elem(&young, &index);
}

static __always_inline struct young_socket *young_by(__u64 cookie)
{
	struct young_socket *place = place_of(cookie);

	return place && cookie != 0 && place->socket_cookie == cookie ? place : 0;
}

static __always_inline struct young_socket *young_of(const struct sock *sk)
{
	return young_by(sk->__sk_common.skc_cookie.counter);
}

static __always_inline struct followed_socket *followed_of(struct sock *sk)
{
	struct young_socket *place = young_of(sk);

	return place ? &place->followed : stored_of(sk);
}

static __always_inline void close_place(struct young_socket *place, __u64 cookie)
{
	place->closed_ticks = bpf_jiffies64();
	__sync_val_compare_and_swap(&place->socket_cookie, cookie, cookie | PLACE_CLOSED);
}

/* A place is taken for too long: closes it, or opens it where it is closed for long enough. */
static __noinline int look_after(struct young_socket *place, __u64 cookie)
{
	__u64 now = bpf_jiffies64(), since;

	if (!place)
		return 0;
	since = place->since_ticks;
	if (cookie & PLACE_CLOSED) {
		if (now - place->closed_ticks < CLOSED_MIN_TICKS)
			return 0;
		place->since_ticks = 0;
		__sync_val_compare_and_swap(&place->socket_cookie, cookie, 0);
	} else if (since != 0 && since + YOUNG_MAX_TICKS < now) {
		close_place(place, cookie);
	}
	return 0;
}

/* Null where there is no memory. What is there is of another socket. */
static __always_inline struct followed_socket *follow_young(struct sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk), taken_by;
	struct young_socket *place = place_of(cookie);

	if (place) {
		taken_by = __sync_val_compare_and_swap(&place->socket_cookie, 0, cookie);
		if (taken_by == 0 || taken_by == cookie) {
			place->since_ticks = bpf_jiffies64();
			return &place->followed;
		}
		look_after(place, taken_by);
	}
	return follow_new(sk);
}

static __always_inline void leave(struct young_socket *place)
{
	place->since_ticks = 0;
	__sync_lock_test_and_set(&place->socket_cookie, 0);
}

/* The socket has ended. */
static __always_inline void forget(struct sock *sk)
{
	struct young_socket *place = young_of(sk);

	if (!place)
		return;
	if (place->followed.pid != 0)
		leave(place);
	else
		close_place(place, place->socket_cookie);
}

static __always_inline void copy_owner(struct followed_socket *to, const struct followed_socket *from)
{
	to->owner_walk = from->owner_walk;
	to->process_start_ns = from->process_start_ns;
	to->exec_id = from->exec_id;
	to->user_id = from->user_id;
	to->cgroup_id = from->cgroup_id;
	to->attribution = from->attribution;
	__sync_lock_test_and_set(&to->pid, from->pid); /* last: it says that the others are there */
}

/* Gives a socket that is no longer young memory of its own; where there is none, it stays. */
static __always_inline struct followed_socket *settle(struct sock *sk, struct followed_socket *followed)
{
	struct young_socket *place = young_of(sk);
	struct followed_socket *settled;

	if (!place)
		return followed;
	bpf_sk_storage_delete(&sockets, sk); /* of an earlier connection */
	settled = bpf_sk_storage_get(&sockets, sk, &place->followed, BPF_SK_STORAGE_GET_F_CREATE);
	if (!settled)
		return followed;
	if (settled->pid != 0) {
		leave(place);
		return settled;
	}
	close_place(place, place->socket_cookie);
	if (place->followed.pid != 0) /* who closes the socket was just in time, and will not look further */
		copy_owner(settled, &place->followed);
	return settled;
}

/* An owner that a walk found, if there is no better one; with the socket's lock held. */
static __always_inline void join_holder(struct sock *sk, struct followed_socket *followed)
{
	struct followed_socket *holder;

	if (followed->pid != 0 || young_of(sk))
		return;
	holder = bpf_sk_storage_get(&holders, sk, 0, 0);
	if (!holder)
		return;
	copy_owner(followed, holder);
	bpf_sk_storage_delete(&holders, sk);
}

/* What is noted is noted whole: whoever finds it may be on another processor. */
static __always_inline void note_holder(struct sock *sk, struct followed_socket *holder)
{
	struct followed_socket *noted = bpf_sk_storage_get(&holders, sk, 0, 0);

	if (noted && noted->owner_walk == holder->owner_walk)
		return;
	if (noted)
		bpf_sk_storage_delete(&holders, sk);
	bpf_sk_storage_get(&holders, sk, holder, BPF_SK_STORAGE_GET_F_CREATE);
}

#endif
