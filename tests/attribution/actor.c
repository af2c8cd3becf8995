/*
 * A process of the attribution suite: it serves or connects in one of many ways, and says for every connection who it is.
 *
 * Each line on stdout is one end of one connection as its process knows it: END LOCAL REMOTE PID CGROUP EXECUTABLE COMMAND,
 * separated by tabs, where END is "client", "server", "held" (by a process that passed it on) or "nobody" (nobody serves it). Everything is read from
 * /proc/self, hence, while /proc is the one of the initial namespaces, as the host sees it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 512
#define LINE_BYTES 2048

/* The peer of this thread's last accept(2). */
static __thread struct sockaddr_in accepted_from;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static int read_file(const char *path, char *to, int max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), bytes;

	check(fd >= 0, path);
	bytes = read(fd, to, max - 1);
	check(bytes >= 0, path);
	close(fd);
	to[bytes] = 0;
	return bytes;
}

static void read_link(const char *path, char *to, int max)
{
	int bytes = readlink(path, to, max - 1);

	check(bytes >= 0, path);
	to[bytes] = 0;
}

static void format_end(const struct sockaddr_in *address, char to[32])
{
	snprintf(to, 32, "%s:%d", inet_ntoa(address->sin_addr), ntohs(address->sin_port));
}

/* One line, by one write(2), so that lines of many processes never mix. */
static void tell(const char *end, int fd)
{
	char line[LINE_BYTES], local[32], remote[32], pid[16], executable[256], command[512], cgroup[512], *path;
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	int bytes, i;

	check(getsockname(fd, (struct sockaddr *)&address, &length) == 0, "name the socket");
	format_end(&address, local);
	length = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) /* already reset */
		address = accepted_from;
	format_end(&address, remote);
	read_link("/proc/self", pid, sizeof(pid));
	read_link("/proc/thread-self/exe", executable, sizeof(executable));
	bytes = read_file("/proc/thread-self/cmdline", command, sizeof(command));
	for (i = 0; i < bytes - 1; i++)
		if (command[i] == 0)
			command[i] = ' ';
	read_file("/proc/thread-self/cgroup", cgroup, sizeof(cgroup));
	path = strstr(cgroup, "0::");
	check(path != NULL, "find the control group");
	path[strcspn(path, "\n")] = 0;
	bytes = snprintf(line, sizeof(line), "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", end, local, remote, pid, path + 3, executable, command);
	check(write(STDOUT_FILENO, line, bytes) == bytes, "write");
}

static int listen_at(const char *host, int port, int reuse_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	inet_pton(AF_INET, host, &address.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (reuse_port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	check(listen(fd, BACKLOG) == 0, "listen");
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &length);
	return ntohs(address.sin_port);
}

static void say_ready(int listener)
{
	char line[32];
	int bytes = snprintf(line, sizeof(line), "ready\t%d\n", port_of(listener));

	check(write(STDOUT_FILENO, line, bytes) == bytes, "write");
}

static int bound_to(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	return fd;
}

/* From a port of its own, or from any where that is 0. */
static int connect_from(int local_port, const char *host, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = local_port ? bound_to(local_port) : socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &address.sin_addr);
	check(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	return fd;
}

static int connect_to(const char *host, int port)
{
	return connect_from(0, host, port);
}

/* Forks a child that dies with its parent. */
static int fork_child(void)
{
	int pid = fork();

	check(pid >= 0, "fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* A request is one letter: 'c' the client closes first, 's' the server does, 'x' nobody does until killed. */
static void serve(int fd)
{
	char request, rest;

	tell("server", fd);
	if (read(fd, &request, 1) != 1)
		request = 's'; /* reset, or the client is gone: close */
	else if (write(fd, &request, 1) != 1)
		request = 's';
	while (request == 'x')
		pause();
	if (request == 'c')
		while (read(fd, &rest, 1) > 0) {}
	close(fd);
}

static int accept_one(int listener)
{
	socklen_t length = sizeof(accepted_from);
	int fd = accept(listener, (struct sockaddr *)&accepted_from, &length);

	check(fd >= 0, "accept");
	return fd;
}

static void serve_all(int listener)
{
	for (;;)
		serve(accept_one(listener));
}

/*
 * A child for every connection, made after accept(2); the parent closes its copy. The child waits for that: who closes
 * last has the connection, and else that would now and then be the parent.
 */
static void serve_by_fork(int listener, char *const handler[])
{
	for (;;) {
		int fd = accept_one(listener), closed[2];

		check(pipe(closed) == 0, "make a pipe");
		if (fork_child() == 0) {
			char byte;

			close(listener);
			close(closed[1]);
			check(read(closed[0], &byte, 1) == 0, "wait for the parent");
			close(closed[0]);
			if (handler == NULL) {
				serve(fd);
				_exit(0);
			}
			dup2(fd, STDIN_FILENO);
			close(fd);
			execv(handler[0], handler);
			check(0, "exec");
		}
		close(fd);
		close(closed[0]);
		close(closed[1]);
		while (waitpid(-1, NULL, WNOHANG) > 0) {}
	}
}

/* inetd's handler: the socket is stdin; the process ends without closing it. */
static void handle(void)
{
	char request;

	tell("server", STDIN_FILENO);
	if (read(STDIN_FILENO, &request, 1) == 1)
		check(write(STDIN_FILENO, &request, 1) == 1, "reply");
	exit(0);
}

static void send_fd(int channel, int fd)
{
	char byte = 1, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	check(sendmsg(channel, &message, 0) == 1, "pass a file descriptor");
}

static int receive_fd(int channel)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd, bytes = recvmsg(channel, &message, 0);

	if (bytes == 0) /* the other process is gone */
		exit(0);
	check(bytes == 1, "receive a file descriptor");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* One process accepts; another, of another command line, serves and closes. */
static void pass_all(int listener, const char *self)
{
	int channel[2];

	check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) == 0, "make a channel");
	if (fork_child() == 0) {
		dup2(channel[1], STDIN_FILENO);
		close(channel[0]);
		close(channel[1]);
		close(listener);
		execl(self, self, "receive", NULL);
		check(0, "exec");
	}
	for (;;) {
		int fd = accept_one(listener);

		tell("held", fd);
		send_fd(channel[0], fd);
		close(fd);
		check(write(channel[0], "", 1) == 1, "say that the copy is closed");
	}
}

/* Passes connections to sockets that hold only each other: the kernel's collector closes them, in no process's name. */
static void abandon_all(int listener)
{
	for (;;) {
		int channel[2], fd = accept_one(listener);

		tell("nobody", fd);
		check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) == 0, "make a channel");
		send_fd(channel[0], fd);
		send_fd(channel[0], channel[1]);
		close(fd);
		close(channel[0]);
		close(channel[1]);
		/* The kernel looks for such sockets when a socket of theirs is closed, a moment later: here before and after it has. */
		for (int i = 0; i < 3; i++) {
			close(socket(AF_UNIX, SOCK_STREAM, 0));
			usleep(2000);
		}
	}
}

static void *thread_serves(void *listener)
{
	prctl(PR_SET_NAME, "thread");
	serve_all((int)(intptr_t)listener);
	return NULL;
}

static void serve_by_threads(int listener, int count)
{
	pthread_t thread;

	while (count-- > 0)
		pthread_create(&thread, NULL, thread_serves, (void *)(intptr_t)listener);
	pthread_exit(NULL); /* the leader is gone, the process is not */
}

/* Keeps every connection, but no longer listens. */
static void serve_and_stop_listening(int listener, int count)
{
	while (count-- > 0) {
		int fd = accept_one(listener);
		char request;

		tell("server", fd);
		check(read(fd, &request, 1) == 1 && write(fd, &request, 1) == 1, "serve");
	}
	close(listener);
}

static void serve_command(const char *kind, const char *host, int port, int count, char *self)
{
	char *const handler[] = { self, "handle", NULL };
	int shared = !strcmp(kind, "reuseport") ? -1 : listen_at(host, port, 0);
	int ready = shared, got;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	if (shared < 0) {
		ready = listen_at(host, port, 1);
		port = port_of(ready);
	}
	if (!strcmp(kind, "prefork") || !strcmp(kind, "reuseport")) {
		for (int i = shared < 0 ? 1 : 0; i < count; i++)
			if (fork_child() == 0) {
				if (shared < 0)
					close(ready);
				serve_all(shared < 0 ? listen_at(host, port, 1) : shared);
			}
	}
	if (shared < 0)
		usleep(50000); /* until every child listens */
	say_ready(ready);
	if (!strcmp(kind, "late"))
		check(sigwait(&usr1, &got) == 0, "wait");
	if (!strcmp(kind, "loop") || !strcmp(kind, "late") || shared < 0)
		serve_all(ready);
	if (!strcmp(kind, "fork"))
		serve_by_fork(shared, NULL);
	if (!strcmp(kind, "inetd"))
		serve_by_fork(shared, handler);
	if (!strcmp(kind, "pass"))
		pass_all(shared, self);
	if (!strcmp(kind, "once"))
		serve_and_stop_listening(shared, count);
	if (!strcmp(kind, "abandon"))
		abandon_all(shared);
	if (!strcmp(kind, "threads"))
		serve_by_threads(shared, count);
	for (;;)
		pause();
}

/* What a client does with its connection; `request` as for serve(). */
static void ask(int fd, char request)
{
	char reply;

	tell("client", fd);
	check(write(fd, &request, 1) == 1, "send");
	check(read(fd, &reply, 1) == 1, "receive");
	if (request == 's')
		while (read(fd, &reply, 1) > 0) {}
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void wait_for_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0) {}
	close(fd);
}

static void connect_command(const char *kind, const char *host, int port, int count, char *self)
{
	for (int i = 0; i < count; i++) {
		int fd = connect_to(host, port);

		if (!strcmp(kind, "reset") || !strcmp(kind, "wait")) {
			tell("client", fd);
			if (!strcmp(kind, "reset"))
				reset(fd);
			else
				wait_for_end(fd);
			continue;
		}
		ask(fd, !strcmp(kind, "close") ? i % 2 ? 's' : 'c' : 'x');
		if (!strcmp(kind, "close"))
			close(fd);
		if (!strcmp(kind, "reset-late"))
			reset(fd);
		if (!strcmp(kind, "exec")) { /* the program that connected is replaced; the connection stays */
			execl(self, self, "idle", NULL);
			check(0, "exec");
		}
	}
	if (!strcmp(kind, "hold"))
		pause();
}

static void *thread_connects(void *arguments)
{
	char **argv = arguments;

	prctl(PR_SET_NAME, "thread");
	connect_command("close", argv[2], atoi(argv[3]), atoi(argv[4]), argv[0]);
	return NULL;
}

/* connect(2), send, exit(2): the shortest life that a client can have. */
static void flash(const char *host, int port)
{
	int fd = connect_to(host, port);

	tell("client", fd);
	check(write(fd, "s", 1) == 1, "send");
	_exit(0);
}

/* Joins a control group by its cgroup.procs file. */
static void enter(const char *procs)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && write(fd, "0", 1) == 1, procs);
	close(fd);
}

/*
 * Runs one program after the other, `count` in all: PROGRAM ARGUMENTS by turns from two lists of the same length. With
 * `pid` all get that process id, one after the other.
 */
static void repeat(int count, int pid, int words, char **argv)
{
	while (count-- > 0) {
		pid_t set_tid = pid;
		struct clone_args arguments = { .exit_signal = SIGCHLD, .set_tid = pid > 0 ? (uintptr_t)&set_tid : 0, .set_tid_size = pid > 0 };
		char **program = argv + (count % 2) * words;
		int child, status, tries = 0;

		while ((child = syscall(SYS_clone3, &arguments, sizeof(arguments))) < 0 && errno == EEXIST && tries++ < 1000)
			usleep(1000);
		check(child >= 0, "clone");
		if (child == 0) {
			char *copy[16] = {};

			memcpy(copy, program, words * sizeof(*copy));
			execv(copy[0], copy);
			check(0, copy[0]);
		}
		waitpid(child, &status, 0);
		check(status == 0, program[0]);
	}
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	if (argc > 3 && !strcmp(command, "in")) { /* in CGROUP_PROCS COMMAND ... */
		enter(argv[2]);
		argv[2] = argv[0];
		execv(argv[0], argv + 2);
	} else if (argc == 6 && !strcmp(command, "serve")) {
		serve_command(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), argv[0]);
	} else if (argc == 6 && !strcmp(command, "connect")) {
		connect_command(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), argv[0]);
	} else if (argc == 6 && !strcmp(command, "from")) { /* from LOCAL_PORT LISTENS HOST PORT */
		if (atoi(argv[3]))
			check(listen(bound_to(atoi(argv[2])), BACKLOG) == 0, "listen");
		ask(connect_from(atoi(argv[2]), argv[4], atoi(argv[5])), 'x');
		pause();
	} else if (argc == 5 && !strcmp(command, "threads")) {
		pthread_create(&thread, NULL, thread_connects, argv);
		pthread_exit(NULL); /* the leader is gone, the process is not */
	} else if (argc == 4 && !strcmp(command, "flash")) {
		flash(argv[2], atoi(argv[3]));
	} else if (argc > 4 && !strcmp(command, "repeat")) {
		repeat(atoi(argv[2]), atoi(argv[3]), (argc - 4) / 2, argv + 4);
	} else if (argc == 2 && !strcmp(command, "receive")) {
		for (char byte;;) {
			int fd = receive_fd(STDIN_FILENO);

			check(read(STDIN_FILENO, &byte, 1) == 1, "wait for the other copy's end");
			serve(fd);
		}
	} else if (argc == 2 && !strcmp(command, "handle")) {
		handle();
	} else if (argc == 2 && !strcmp(command, "idle")) {
		pause();
	} else {
		fprintf(stderr, "Cannot run command \"%s\"\n", command);
		return 2;
	}
	return 0;
}
