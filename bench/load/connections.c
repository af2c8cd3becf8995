/*
 * Load of the agent's bench: holds connections open, and opens and closes others at a rate, over loopback, with both ends
 * in this process. Arguments: open connections, connections a second, seconds. Writes "ready" when the open ones stand,
 * starts at the first byte on stdin, and in the end writes how many connections it made and how long it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "watch.h"

/* The ephemeral ports of one server port are some 28,000. */
#define PORTS 16
/* Both ends of a connection are files of one process, which may have 20,000 on many hosts. */
#define OPEN_PER_PROCESS 9000
#define REQUEST_BYTES 100
#define REPLY_BYTES 300
#define EVENTS 256

static int ports[PORTS];

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int listen_on_loopback(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) || listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&address, &bytes))
		fail("listen");
	*port = ntohs(address.sin_port);
	return fd;
}

/* Answers each request, and closes when the client has closed. */
static void *serve(void *unused)
{
	struct epoll_event events[EVENTS];
	char buffer[REQUEST_BYTES], reply[REPLY_BYTES] = { 0 };

	for (;;) {
		int count = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = (int)(events[i].data.u64 & 0xffffffff), taken;

			if (events[i].data.u64 >> 32) {
				while ((taken = accept4(fd, 0, 0, SOCK_NONBLOCK)) >= 0)
					watch(taken, 0);
			} else if (read(fd, buffer, sizeof(buffer)) > 0) {
				if (write(fd, reply, sizeof(reply)) < 0)
					fail("reply");
			} else {
				close(fd);
			}
		}
	}
	return unused;
}

static int connect_to(int index)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(ports[index % PORTS]) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	return fd;
}

static void ask(int fd)
{
	char request[REQUEST_BYTES] = { 0 }, reply[REPLY_BYTES];

	if (write(fd, request, sizeof(request)) < 0)
		fail("request");
	if (recv(fd, reply, sizeof(reply), MSG_WAITALL) != sizeof(reply))
		fail("no reply");
}

static void begin_to_serve(void)
{
	pthread_t server;

	poller = epoll_create1(0);
	for (int i = 0; i < PORTS; i++)
		watch(listen_on_loopback(&ports[i]), 1);
	if (pthread_create(&server, 0, serve, 0))
		fail("pthread_create");
}

/* A process that holds connections open until the parent ends; returns when they stand. */
static void hold_open(long connections)
{
	int ready[2];
	char byte;

	if (pipe(ready))
		fail("pipe");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin_to_serve();
		for (long i = 0; i < connections; i++)
			ask(connect_to(i));
		if (write(ready[1], "x", 1) != 1)
			fail("write");
		pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("read");
}

int main(int count, char **arguments)
{
	long open_count, per_second, seconds, made = 0;
	struct rlimit files;
	double start;
	char byte;

	if (count != 4)
		return 2;
	open_count = atol(arguments[1]);
	per_second = atol(arguments[2]);
	seconds = atol(arguments[3]);
	if (getrlimit(RLIMIT_NOFILE, &files))
		fail("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		fail("setrlimit");
	for (long left = open_count; left > 0; left -= OPEN_PER_PROCESS)
		hold_open(left < OPEN_PER_PROCESS ? left : OPEN_PER_PROCESS);
	begin_to_serve();
	puts("ready");
	fflush(stdout);
	if (read(0, &byte, 1) != 1)
		return 1;
	start = now_s();
	while (now_s() - start < seconds) {
		if (made >= (now_s() - start) * per_second) {
			usleep(500);
			continue;
		}
		int fd = connect_to(made++);

		ask(fd);
		close(fd);
	}
	printf("%ld %.3f\n", made, now_s() - start);
	fflush(stdout);
	return read(0, &byte, 1) < 0; /* the open ones stand until told */
}
