/*
 * A request/response server and its client over loopback, in two processes. Arguments: seconds, and 1 for a connection a
 * request or 0 for one connection. Writes round trips, and the median and 99th percentile of their time in nanoseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES 100
#define REPLY_BYTES 300
#define ROUNDTRIPS_MAX 4000000

static unsigned durations[ROUNDTRIPS_MAX];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void serve(int listener)
{
	char request[REQUEST_BYTES], reply[REPLY_BYTES] = { 0 };

	for (;;) {
		int fd = accept(listener, 0, 0);

		while (recv(fd, request, sizeof(request), MSG_WAITALL) == sizeof(request))
			if (send(fd, reply, sizeof(reply), 0) != sizeof(reply))
				fail("send");
		close(fd);
	}
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}

static void ask(int fd)
{
	char request[REQUEST_BYTES] = { 0 }, reply[REPLY_BYTES];

	if (send(fd, request, sizeof(request), 0) != sizeof(request) || recv(fd, reply, sizeof(reply), MSG_WAITALL) != sizeof(reply))
		fail("ask");
}

static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

int main(int count, char **arguments)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), each, fd;
	socklen_t bytes = sizeof(address);
	long made = 0, end;

	if (count != 3)
		return 2;
	if (bind(listener, (struct sockaddr *)&address, bytes) || listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&address, &bytes))
		fail("listen");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener);
	}
	each = atoi(arguments[2]);
	fd = each ? -1 : connect_to(&address);
	end = now_ns() + atol(arguments[1]) * 1000000000L;
	while (made < ROUNDTRIPS_MAX) {
		long start = now_ns();

		if (start >= end)
			break;
		if (each)
			fd = connect_to(&address);
		ask(fd);
		if (each)
			close(fd);
		durations[made++] = now_ns() - start;
	}
	qsort(durations, made, sizeof(durations[0]), compare);
	printf("%ld %u %u\n", made, durations[made / 2], durations[made * 99 / 100]);
	return 0;
}
