/* What the loads have in common: an epoll instance that holds their sockets, and the end of a load that cannot go on. */
#ifndef SKYFALL_LOAD_WATCH_H
#define SKYFALL_LOAD_WATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

static int poller;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* An event's data is the file descriptor, with a 1 above its 32 bits for a listener. */
static void watch(int fd, int is_listener)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = (unsigned long long)is_listener << 32 | (unsigned)fd };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

#endif
