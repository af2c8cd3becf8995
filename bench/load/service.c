/*
 * A service of an application: it answers at a port, and asks others. Arguments: NAME PORT (0: it answers nobody), then for each
 * that it asks ADDRESS PORT REQUEST_BYTES REPLY_BYTES. Of each it asks again and again over one connection that stays, and over
 * new ones. Says "ready" when it answers; then obeys lines on standard input, until they end:
 *   serve WHAT N, ask INDEX WHAT N   WHAT of what it answers with, or of how it asks the INDEXth:
 *     pause N    milliseconds that it thinks before it sends
 *     read N     bytes a second that it reads of great exchanges, 0: all
 *     write N    bytes a second that it sends of them, 0: all
 *     reset N    of 100 exchanges over new connections, those that it ends by a reset
 *   accept N     1: accepts connections, 0: lets them wait
 *   listen N     1: listens, 0: does not, and ends all connections, as if it had ended
 *   heal         all as at the beginning; connections that stay begin anew
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 8
#define ASKED_MAX 8
#define OPEN_MAX 1024
#define NEW_THREADS 12
#define NEW_MS 1800
#define NEW_BYTES_MAX 2000 /* over new connections the exchanges are small */
#define STEADY_MS 60
#define BULK_MS 750
#define WINDOW_BYTES 32768 /* a reader that is slow soon has this unread */
#define RETRY_MS 300
#define BULK_BYTES 8000
#define CONNECT_MS 2500
#define IDLE_SECONDS 10
#define SLICE_MS 50

struct manner {
	volatile long pause, read, write, reset;
};

struct exchange {
	unsigned request_bytes, reply_bytes, is_new;
};

struct asked {
	struct sockaddr_in address;
	struct exchange exchange;
	struct manner manner;
	volatile int steady_fd;
};

static struct manner serving;
static struct asked asked[ASKED_MAX];
static int asked_count, port;
static volatile int is_accepting = 1, is_listening = 1;
static volatile char is_open[OPEN_MAX]; /* by descriptor, of accepted connections */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	if (ms > 0)
		nanosleep(&t, NULL);
}

/* Receives or sends all; 0 if the connection ended. A slow one does a slice's worth, then sleeps a slice. */
static int move(int fd, unsigned bytes, int is_sending, volatile long *per_second)
{
	static char nothing[1 << 14];
	char taken[1 << 14];

	while (bytes > 0) {
		long speed = *per_second, most = speed > 0 ? speed * SLICE_MS / 1000 + 1 : sizeof(taken);
		size_t part = bytes < most ? bytes : most;
		ssize_t moved;

		if (part > sizeof(taken))
			part = sizeof(taken);
		moved = is_sending ? send(fd, nothing, part, MSG_NOSIGNAL) : recv(fd, taken, part, 0);
		if (moved <= 0)
			return 0;
		bytes -= moved;
		if (speed > 0)
			sleep_ms(SLICE_MS);
	}
	return 1;
}

static void end_by_reset(int fd)
{
	struct linger none = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static int is_chosen(long percent)
{
	static __thread unsigned seed = 1;

	return rand_r(&seed) % 100 < percent;
}

/* Before the handshake, where it is agreed upon; accepted connections have the listener's. */
static void bound_window(int fd)
{
	int bytes = WINDOW_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static void prepare(int fd)
{
	struct timeval idle = { IDLE_SECONDS, 0 };
	int yes = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
}

static void *serve(void *argument)
{
	int fd = (long)argument;
	struct exchange exchange;
	static volatile long at_once;

	while (recv(fd, &exchange, sizeof(exchange), MSG_WAITALL) == sizeof(exchange)) {
		int is_bulk = exchange.request_bytes + exchange.reply_bytes > BULK_BYTES;

		if (!move(fd, exchange.request_bytes, 0, is_bulk ? &serving.read : &at_once))
			break;
		if (exchange.is_new && is_chosen(serving.reset)) {
			end_by_reset(fd);
			break;
		}
		sleep_ms(serving.pause);
		if (!move(fd, exchange.reply_bytes, 1, is_bulk ? &serving.write : &at_once))
			break;
	}
	is_open[fd] = 0;
	close(fd);
	return NULL;
}

static void begin(void *(*run)(void *), void *argument)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &small, run, argument))
		fail("pthread_create");
}

static int open_listener(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;

	bound_window(listener);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, BACKLOG))
		fail("listen");
	return listener;
}

static void *answer(void *argument)
{
	int listener = (long)argument;

	for (;;) {
		struct pollfd ready = { listener, POLLIN, 0 };
		int fd;

		if (!is_listening && listener >= 0) {
			close(listener);
			listener = -1;
			for (fd = 0; fd < OPEN_MAX; fd++)
				if (is_open[fd])
					shutdown(fd, SHUT_RDWR);
		} else if (is_listening && listener < 0) {
			listener = open_listener();
		}
		if (listener < 0 || !is_accepting || poll(&ready, 1, SLICE_MS) <= 0) {
			sleep_ms(listener < 0 || !is_accepting ? SLICE_MS : 0);
			continue;
		}
		fd = accept4(listener, NULL, NULL, 0);
		if (fd < 0)
			continue;
		if (fd >= OPEN_MAX) {
			close(fd);
			continue;
		}
		prepare(fd);
		is_open[fd] = 1;
		begin(serve, (void *)(long)fd);
	}
}

/* A connection, or -1: nobody waits for ever for one. */
static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	struct pollfd ready = { fd, POLLOUT, 0 };
	socklen_t bytes = sizeof(error);

	if (fd < 0)
		fail("socket");
	bound_window(fd);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno != EINPROGRESS)
		error = errno;
	if (error || poll(&ready, 1, CONNECT_MS) <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) || error) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, 0);
	prepare(fd);
	return fd;
}

static int ask(int fd, struct asked *to, struct exchange exchange)
{
	static volatile long at_once;
	volatile long *read = exchange.is_new ? &at_once : &to->manner.read, *write = exchange.is_new ? &at_once : &to->manner.write;

	return send(fd, &exchange, sizeof(exchange), MSG_NOSIGNAL) == sizeof(exchange) && move(fd, exchange.request_bytes, 1, write) &&
	       move(fd, exchange.reply_bytes, 0, read);
}

/* Sleeps until `ms` after `start`, and what it is to think besides. */
static void rest(const struct asked *to, long start, long ms)
{
	sleep_ms(start + ms - now_ms());
	for (long until = now_ms() + to->manner.pause; now_ms() < until && to->manner.pause > 0;)
		sleep_ms(SLICE_MS);
}

static void *ask_steadily(void *argument)
{
	struct asked *to = argument;
	int is_bulk = to->exchange.request_bytes + to->exchange.reply_bytes > BULK_BYTES;

	for (;;) {
		int fd = connect_to(&to->address);

		to->steady_fd = fd;
		while (fd >= 0) {
			long start = now_ms();

			if (!ask(fd, to, to->exchange))
				break;
			rest(to, start, is_bulk ? BULK_MS : STEADY_MS);
		}
		to->steady_fd = -1;
		if (fd >= 0)
			close(fd);
		sleep_ms(RETRY_MS);
	}
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void *ask_anew(void *argument)
{
	static int begun;
	struct asked *to = argument;
	struct exchange exchange = {
		least(to->exchange.request_bytes, NEW_BYTES_MAX), least(to->exchange.reply_bytes, NEW_BYTES_MAX), 1,
	};

	sleep_ms(NEW_MS * (__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED) % NEW_THREADS) / NEW_THREADS); /* not all at once */
	for (;;) {
		long start = now_ms();
		int fd = connect_to(&to->address);

		if (fd >= 0) {
			if (ask(fd, to, exchange) && is_chosen(to->manner.reset))
				end_by_reset(fd);
			close(fd);
		}
		rest(to, start, NEW_MS);
	}
}

static void heal(void)
{
	serving = (struct manner){ 0 };
	is_accepting = is_listening = 1;
	for (int i = 0; i < asked_count; i++) {
		asked[i].manner = (struct manner){ 0 };
		if (asked[i].steady_fd >= 0)
			shutdown(asked[i].steady_fd, SHUT_RDWR);
	}
}

static int set(struct manner *manner, const char *what, long value)
{
	volatile long *field = !strcmp(what, "pause") ? &manner->pause :
			       !strcmp(what, "read")  ? &manner->read :
			       !strcmp(what, "write") ? &manner->write :
			       !strcmp(what, "reset") ? &manner->reset :
							NULL;

	if (field == NULL)
		return 0;
	*field = value;
	return 1;
}

static void obey(const char *line)
{
	char what[16];
	long value;
	int index;

	if (sscanf(line, "serve %15s %ld", what, &value) == 2 && set(&serving, what, value))
		return;
	if (sscanf(line, "ask %d %15s %ld", &index, what, &value) == 3 && index < asked_count && set(&asked[index].manner, what, value))
		return;
	if (sscanf(line, "accept %ld", &value) == 1)
		is_accepting = value;
	else if (sscanf(line, "listen %ld", &value) == 1)
		is_listening = value;
	else if (!strcmp(line, "heal\n"))
		heal();
	else
		fprintf(stderr, "Cannot obey: %s", line);
}

int main(int count, char **arguments)
{
	char line[256];

	if (count < 3 || (count - 3) % 4 != 0 || (count - 3) / 4 > ASKED_MAX)
		return 2;
	setpriority(PRIO_PROCESS, 0, -15); /* before the threads, which take it over */
	port = atoi(arguments[2]);
	if (port > 0)
		begin(answer, (void *)(long)open_listener());
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL) /* the first line: all others answer too */
		return 0;
	for (int i = 3; i < count; i += 4) {
		struct asked *to = &asked[asked_count++];

		to->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(arguments[i + 1])) };
		inet_pton(AF_INET, arguments[i], &to->address.sin_addr);
		to->exchange = (struct exchange){ atoi(arguments[i + 2]), atoi(arguments[i + 3]), 0 };
		to->steady_fd = -1;
		begin(ask_steadily, to);
		for (int n = 0; n < NEW_THREADS; n++)
			begin(ask_anew, to);
	}
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	return 0;
}
