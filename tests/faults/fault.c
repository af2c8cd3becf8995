/*
 * Does one thing to the process that it is preloaded into (LD_PRELOAD), just before the Nth step that changes a folder: a file or folder
 * made, written, cut, synced, renamed, linked or removed.
 *
 * FAULT_FOLDER  folder whose steps count
 * FAULT_STEP    N, from 1
 * FAULT_DEED    count  nothing
 *               kill   SIGKILL: the step does not happen
 *               stop   SIGSTOP: the step happens when somebody continues the process
 *               eio    the step fails with EIO; a sync then has not synced
 *               full   the step, and each after it that needs room, fails with ENOSPC
 *               torn   of the next write half is written, then SIGKILL
 *               power  the folder's file system loses what was never synced (the ioctl that shuts it down), then SIGKILL
 *               clock  from then on the wall clock is FAULT_SECONDS ahead of the kernel's
 * FAULT_LOG     file that gets a line "STEP NAME PATH" when the deed is done, and "STEPS n" when the process ends by itself
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN; 2 is "do not write the journal first" */
#define SHUTDOWN _IOR('X', 125, __u32)
typedef unsigned int __u32;
#define SHUTDOWN_WITHOUT_LOG 2u

enum deed { COUNT, KILL, STOP, EIO_ONCE, FULL, TORN, POWER, CLOCK };
enum kind { OTHER, NEEDS_ROOM, WRITES };

static const char *folder, *log_path;
static size_t folder_length;
static long fault_step = LONG_MAX;
static long clock_seconds;
static enum deed deed = COUNT;
static atomic_long steps;
static atomic_int clock_jumped;

static void log_line(const char *format, ...)
{
	char line[PATH_MAX + 100];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (log_path == NULL || length <= 0)
		return;
	int file = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0)
		return;
	syscall(SYS_write, file, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
	syscall(SYS_close, file);
}

__attribute__((constructor)) static void start(void)
{
	static const char *const names[] = { "count", "kill", "stop", "eio", "full", "torn", "power", "clock" };
	const char *name = getenv("FAULT_DEED"), *step = getenv("FAULT_STEP"), *seconds = getenv("FAULT_SECONDS");
	folder = getenv("FAULT_FOLDER");
	log_path = getenv("FAULT_LOG");
	folder_length = folder == NULL ? 0 : strlen(folder);
	if (step != NULL)
		fault_step = atol(step);
	if (seconds != NULL)
		clock_seconds = atol(seconds);
	for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			deed = (enum deed)i;
}

__attribute__((destructor)) static void end(void)
{
	if (folder != NULL)
		log_line("STEPS %ld\n", atomic_load(&steps));
}

static int is_ours(const char *path)
{
	return folder != NULL && path != NULL && strncmp(path, folder, folder_length) == 0;
}

static const char *path_of(int file, char *buffer)
{
	char link[40];
	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	ssize_t length = readlink(link, buffer, PATH_MAX - 1);
	if (length < 0)
		return NULL;
	buffer[length] = 0;
	return buffer;
}

static void lose_power(void)
{
	__u32 how = SHUTDOWN_WITHOUT_LOG;
	int file = (int)syscall(SYS_openat, AT_FDCWD, folder, O_RDONLY | O_CLOEXEC, 0);
	if (file < 0 || syscall(SYS_ioctl, file, SHUTDOWN, &how) != 0)
		log_line("FAILED shutdown: %s\n", strerror(errno));
}

/* Counts a step; 0 to go on, -1 with errno to fail, 1 to write half and die. */
static int step(const char *name, const char *path, enum kind kind)
{
	if (!is_ours(path))
		return 0;
	long number = atomic_fetch_add(&steps, 1) + 1;
	if (deed == FULL && number >= fault_step && kind != OTHER) {
		if (number == fault_step || atomic_exchange(&clock_jumped, 1) == 0)
			log_line("%ld %s %s\n", number, name, path);
		errno = ENOSPC;
		return -1;
	}
	if (deed == TORN && number >= fault_step && kind == WRITES && atomic_exchange(&clock_jumped, 1) == 0) {
		log_line("%ld %s %s\n", number, name, path);
		return 1;
	}
	if (number != fault_step || deed == FULL || deed == TORN || deed == COUNT)
		return 0;
	log_line("%ld %s %s\n", number, name, path);
	switch (deed) {
	case POWER:
		lose_power();
		/* fall through */
	case KILL:
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	case STOP:
		kill(getpid(), SIGSTOP);
		return 0;
	case EIO_ONCE:
		errno = EIO;
		return -1;
	case CLOCK:
		atomic_store(&clock_jumped, 1);
		return 0;
	default:
		return 0;
	}
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int step_of_file(const char *name, int file, enum kind kind)
{
	int error = errno;
	char buffer[PATH_MAX];
	int result = step(name, path_of(file, buffer), kind);
	if (result == 0)
		errno = error;
	return result;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

ssize_t write(int file, const void *bytes, size_t count)
{
	int what = step_of_file("write", file, WRITES);
	if (what < 0)
		return -1;
	if (what > 0) {
		syscall(SYS_write, file, bytes, count / 2);
		die();
	}
	return syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset)
{
	int what = step_of_file("pwrite", file, WRITES);
	if (what < 0)
		return -1;
	if (what > 0) {
		syscall(SYS_pwrite64, file, bytes, count / 2, offset);
		die();
	}
	return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
	return pwrite64(file, bytes, count, offset);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
	return step_of_file("writev", file, NEEDS_ROOM) < 0 ? -1 : syscall(SYS_writev, file, parts, count);
}

int fsync(int file)
{
	return step_of_file("fsync", file, OTHER) < 0 ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
	return step_of_file("fdatasync", file, OTHER) < 0 ? -1 : (int)syscall(SYS_fdatasync, file);
}

int ftruncate64(int file, off64_t length)
{
	return step_of_file("ftruncate", file, OTHER) < 0 ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length)
{
	return ftruncate64(file, length);
}

static int is_absent(const char *path)
{
	int error = errno;
	int absent = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
	errno = error;
	return absent;
}

/* What opens a file that is there, or makes a folder that is there, changes nothing. */
static int open_at(int at, const char *path, int flags, mode_t mode)
{
	int changes = (flags & O_TRUNC) != 0 || ((flags & O_CREAT) != 0 && is_ours(path) && is_absent(path));
	if (changes && step("open", path, NEEDS_ROOM) < 0)
		return -1;
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

#define MODE(flags, mode)                             \
	mode_t mode = 0;                              \
	if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
		va_list arguments;                    \
		va_start(arguments, flags);           \
		mode = va_arg(arguments, mode_t);     \
		va_end(arguments);                    \
	}

int open(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_at(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_at(at, path, flags | O_LARGEFILE, mode);
}

int rename(const char *from, const char *to)
{
	return step("rename", to, NEEDS_ROOM) < 0 ? -1 : (int)syscall(SYS_rename, from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return step("rename", to, NEEDS_ROOM) < 0 ? -1 : (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
}

int link(const char *from, const char *to)
{
	return step("link", to, NEEDS_ROOM) < 0 ? -1 : (int)syscall(SYS_link, from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	return step("link", to, NEEDS_ROOM) < 0 ? -1 : (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
}

int unlink(const char *path)
{
	return step("unlink", path, OTHER) < 0 ? -1 : (int)syscall(SYS_unlink, path);
}

int unlinkat(int at, const char *path, int flags)
{
	return step("unlink", path, OTHER) < 0 ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
	return is_ours(path) && is_absent(path) && step("mkdir", path, NEEDS_ROOM) < 0 ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int clock_gettime(clockid_t id, struct timespec *time)
{
	static int (*real)(clockid_t, struct timespec *);
	if (real == NULL)
		real = REAL(clock_gettime);
	int result = real(id, time);
	if (result == 0 && deed == CLOCK && id == CLOCK_REALTIME && atomic_load(&clock_jumped) != 0)
		time->tv_sec += clock_seconds;
	return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	static int (*real)(struct timeval *, void *);
	if (real == NULL)
		real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
	int result = real(time, zone);
	if (result == 0 && deed == CLOCK && atomic_load(&clock_jumped) != 0)
		time->tv_sec += clock_seconds;
	return result;
}
