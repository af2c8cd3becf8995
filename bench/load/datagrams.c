/* Sends datagrams to a port of 127.0.0.1 as fast as it can, for a while: datagrams PORT BYTES SECONDS. Prints how many. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, BYTES_MAX = 1500 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char bytes[BATCH][BYTES_MAX];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	long sent = 0;

	if (argc != 4)
		return 2;
	to.sin_port = htons(atoi(argv[1]));
	for (int i = 0; i < BATCH; i++) {
		memset(bytes[i], i, BYTES_MAX);
		parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = atoi(argv[2])};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return 1;
	for (double end = now() + atof(argv[3]); now() < end;) {
		int count = sendmmsg(fd, messages, BATCH, 0);

		if (count < 0 && errno != EAGAIN && errno != ECONNREFUSED)
			return 1;
		sent += count > 0 ? count : 0;
	}
	printf("%ld\n", sent);
	return 0;
}
