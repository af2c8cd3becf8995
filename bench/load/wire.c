/*
 * The network between hosts that are network namespaces: each has one TUN device, and this program carries the packets between
 * them as netem(8) would, which not every kernel has: later, not at all, in another order, or no faster than so much a second.
 * Lines on standard input:
 *   host INDEX NAMESPACE          10.CELL.HOST.1 is the address, with CELL = INDEX / 8, HOST = INDEX % 8; only hosts of one cell meet
 *   path FROM TO DELAY_US LOSS_PPM REORDER_PPM BYTES_PER_SECOND
 * Of REORDER_PPM packets in a million each comes REORDER_US later than its turn. Answers "ok" to every line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CELL_HOSTS 8
#define HOSTS_MAX (128 * CELL_HOSTS)
#define PACKET_BYTES 1600
#define PACKETS_MAX 32768
#define QUEUE_US 200000 /* what a narrow path holds: more is dropped */
#define REORDER_US 8000
#define BATCH 64

struct path {
	long delay_us, loss_ppm, reorder_ppm, bytes_per_second;
	long free_us; /* when a narrow path has sent what it has */
};

struct packet {
	long due_us;
	unsigned long turn;
	int to, bytes;
	char data[PACKET_BYTES];
};

static int devices[HOSTS_MAX];
static struct path paths[HOSTS_MAX][CELL_HOSTS];
static struct packet packets[PACKETS_MAX], *heap[PACKETS_MAX], *unused[PACKETS_MAX];
static int waiting, unused_count;
static unsigned long turns;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static int before(const struct packet *a, const struct packet *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->turn < b->turn;
}

static void push(struct packet *packet)
{
	int at = waiting++;

	for (; at > 0 && before(packet, heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = packet;
}

static struct packet *pop(void)
{
	struct packet *first = heap[0], *last = heap[--waiting];
	int at = 0;

	for (;;) {
		int child = 2 * at + 1;

		if (child + 1 < waiting && before(heap[child + 1], heap[child]))
			child++;
		if (child >= waiting || !before(heap[child], last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}

/* xorshift64*, of a fixed seed. */
static long random_ppm(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 2685821657736338717ULL >> 33) % 1000000;
}

static void add_host(int index, const char *namespace)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int home = open("/proc/self/ns/net", O_RDONLY), there = open(namespace, O_RDONLY);
	int device;

	strcpy(request.ifr_name, "wire");
	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET))
		fail(namespace);
	device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (device < 0 || ioctl(device, TUNSETIFF, &request))
		fail("tun");
	if (setns(home, CLONE_NEWNET))
		fail("setns");
	close(home);
	close(there);
	devices[index] = device;
	for (int to = 0; to < CELL_HOSTS; to++)
		paths[index][to] = (struct path){ 0 };
}

/* Takes one packet of a host; 0 if it has none. */
static int take(int from)
{
	struct packet *packet = unused[unused_count - 1];
	ssize_t bytes = read(devices[from], packet->data, PACKET_BYTES);
	const unsigned char *target = (const unsigned char *)packet->data + 16;
	struct path *path;
	long now;

	if (bytes <= 0)
		return 0;
	if (bytes < 20 || (packet->data[0] & 0xf0) != 0x40 || target[0] != 10 || target[1] != from / CELL_HOSTS || target[2] >= CELL_HOSTS)
		return 1;
	path = &paths[from][target[2]];
	if (path->loss_ppm > 0 && random_ppm() < path->loss_ppm)
		return 1;
	now = now_us();
	if (path->bytes_per_second > 0) {
		if (path->free_us < now)
			path->free_us = now;
		if (path->free_us - now > QUEUE_US)
			return 1;
		path->free_us += bytes * 1000000L / path->bytes_per_second;
	}
	packet->due_us = (path->bytes_per_second > 0 ? path->free_us : now) + path->delay_us;
	if (path->reorder_ppm > 0 && random_ppm() < path->reorder_ppm)
		packet->due_us += REORDER_US;
	packet->turn = turns++;
	packet->to = from - from % CELL_HOSTS + target[2];
	packet->bytes = bytes;
	unused_count--;
	push(packet);
	return 1;
}

static void deliver(void)
{
	long now = now_us();

	while (waiting > 0 && heap[0]->due_us <= now) {
		struct packet *packet = pop();

		if (devices[packet->to] > 0 && write(devices[packet->to], packet->data, packet->bytes) < 0 && errno != EAGAIN && errno != EIO)
			fail("write");
		unused[unused_count++] = packet;
	}
}

static void obey(char *line, int poller)
{
	char namespace[256];
	int from, to;
	struct path path = { 0 };

	if (sscanf(line, "host %d %255s", &from, namespace) == 2) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = from };

		add_host(from, namespace);
		if (epoll_ctl(poller, EPOLL_CTL_ADD, devices[from], &event))
			fail("epoll_ctl");
	} else if (sscanf(line, "path %d %d %ld %ld %ld %ld", &from, &to, &path.delay_us, &path.loss_ppm, &path.reorder_ppm,
			  &path.bytes_per_second) == 6) {
		paths[from][to % CELL_HOSTS] = path;
	} else {
		fprintf(stderr, "Cannot obey: %s", line);
		exit(2);
	}
	puts("ok");
	fflush(stdout);
}

/* Obeys what lines are there whole; 0 at the end of standard input. */
static int listen_to_input(int poller)
{
	static char text[1 << 16];
	static size_t held;
	ssize_t bytes = read(0, text + held, sizeof(text) - 1 - held);
	char *end, *line = text;

	if (bytes <= 0)
		return 0;
	held += bytes;
	text[held] = 0;
	while ((end = strchr(line, '\n')) != NULL) {
		*end = 0;
		obey(line, poller);
		line = end + 1;
	}
	held -= line - text;
	memmove(text, line, held);
	return 1;
}

int main(void)
{
	struct epoll_event events[BATCH], input = { .events = EPOLLIN, .data.u32 = HOSTS_MAX };
	struct sched_param first = { .sched_priority = 1 };
	int poller = epoll_create1(0);

	/* What the machine does besides must not look like a slow network. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		setpriority(PRIO_PROCESS, 0, -20);
	for (int i = 0; i < PACKETS_MAX; i++)
		unused[unused_count++] = &packets[i];
	if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input))
		fail("epoll_ctl");
	for (;;) {
		long wait_us = waiting == 0 ? 1000000 : heap[0]->due_us - now_us();
		struct timespec wait = { wait_us < 0 ? 0 : wait_us / 1000000, wait_us < 0 ? 0 : wait_us % 1000000 * 1000 };
		int count = epoll_pwait2(poller, events, BATCH, &wait, NULL);

		if (count < 0 && errno != EINTR)
			fail("epoll_pwait2");
		for (int i = 0; i < count; i++) {
			if (events[i].data.u32 == HOSTS_MAX) {
				if (!listen_to_input(poller))
					return 0;
				continue;
			}
			for (int n = 0; n < BATCH && unused_count > 0 && take(events[i].data.u32); n++)
				;
		}
		deliver();
	}
}
