/*
 * Load of the growth bench, over loopback with both ends on this host. Arguments:
 *   peers COUNT PEERS    makes so many connections, one after the other, to so many addresses in turn, and sends each a datagram
 *   processes COUNT      has each connection made by a process of its own
 * Writes how many connections it made.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "watch.h"

#define MESSAGE_BYTES 100
#define EVENTS 256
/* Processes that run at once. */
#define CHILDREN 8
/* Addresses of 127.0.0.0/8 from 127.1.0.0 on. */
#define FIRST_PEER 0x7f010000u

static int port, datagrams;

/* Answers each message, and closes when the client has closed. */
static void *serve(void *unused)
{
	struct epoll_event events[EVENTS];
	char buffer[MESSAGE_BYTES];

	for (;;) {
		int count = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = (int)(events[i].data.u64 & 0xffffffff), taken;

			if (events[i].data.u64 >> 32) {
				while ((taken = accept4(fd, 0, 0, SOCK_NONBLOCK)) >= 0)
					watch(taken, 0);
			} else if (read(fd, buffer, sizeof(buffer)) <= 0 || write(fd, buffer, sizeof(buffer)) < 0) {
				close(fd);
			}
		}
	}
	return unused;
}

static void begin_to_serve(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	pthread_t server;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) || listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&address, &bytes))
		fail("listen");
	port = ntohs(address.sin_port);
	poller = epoll_create1(0);
	watch(fd, 1);
	datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	if (datagrams < 0 || pthread_create(&server, 0, serve, 0))
		fail("begin to serve");
}

static void talk_to(unsigned int peer)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(FIRST_PEER + peer), .sin_port = htons(port) };
	char message[MESSAGE_BYTES] = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	if (write(fd, message, sizeof(message)) < 0 || recv(fd, message, sizeof(message), MSG_WAITALL) != sizeof(message))
		fail("talk");
	close(fd);
	if (peer % 4 == 0) /* nobody listens there: what it costs is the agent's, and the refusal */
		sendto(datagrams, message, sizeof(message), 0, (struct sockaddr *)&address, sizeof(address));
}

int main(int count, char **arguments)
{
	long connections, peers;

	if (count < 3)
		return 2;
	connections = atol(arguments[2]);
	begin_to_serve();
	if (strcmp(arguments[1], "peers") == 0 && count == 4) {
		peers = atol(arguments[3]);
		for (long i = 0; i < connections; i++)
			talk_to(i % peers);
	} else if (strcmp(arguments[1], "processes") == 0) {
		for (long i = 0; i < connections; i++) {
			if (i >= CHILDREN && wait(0) < 0)
				fail("wait");
			if (fork() == 0) {
				talk_to(i % 16);
				_exit(0);
			}
		}
		while (wait(0) > 0)
			;
	} else {
		return 2;
	}
	printf("%ld\n", connections);
	return 0;
}
