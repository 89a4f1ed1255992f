/*
 * What all our programs do as processes: first of all, and with each descriptor of theirs.
 */
#ifndef PVX_PROCESS_H
#define PVX_PROCESS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Nobody looks into this process or takes what it holds, whoever has its user or was sent a pidfd of it by a socket
 * (SO_PASSPIDFD, SO_PEERPIDFD of unix(7)): no ptrace(2), no pidfd_getfd(2), no /proc/PID/fd, mem or environ, no core
 * dump. But for those with CAP_SYS_PTRACE over its user namespace. An exec undoes it, and so may a change of user.
 */
static inline void process_seal(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
}

/* From here on it ends by this signal when its parent does, until a change of user takes that back (prctl(2)). False: that
 * one has ended before. In another pid namespace than its parent's no process can tell. */
static inline bool process_ends_with(pid_t parent, int signal)
{
	return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) == 0 && getppid() == parent;
}

/* A session keyring of this thread's own, empty, which an exec keeps: whoever launched us may have left keys in theirs.
 * A kernel without keys has none to give away. */
static inline void keyring_renew(void)
{
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

/* One by one, for kernels before Linux 5.11. Safe in a signal handler, as all of it has to be after a fork. */
static inline void each_descriptor_from(int first, bool close_now)
{
	struct {
		uint64_t inode, offset;
		uint16_t length;
		uint8_t type;
		char name[];
	} *entry; /* struct linux_dirent64 of getdents(2) */
	char text[4096] __attribute__((aligned(8)));
	int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	while ((n = syscall(SYS_getdents64, folder, text, sizeof(text))) > 0)
		for (long at = 0; at < n; at += entry->length) {
			int fd = 0;

			entry = (void *)(text + at);
			for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
				fd = fd * 10 + (*c - '0');
			if (entry->name[0] == '.' || fd < first || fd == folder)
				continue;
			if (close_now)
				close(fd);
			else
				fcntl(fd, F_SETFD, FD_CLOEXEC);
		}
	if (folder >= 0)
		close(folder);
}

/* All from that one on end with the next exec: whoever launched us may have left some of theirs. */
static inline void descriptors_end_at_exec(int first)
{
	if (syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		each_descriptor_from(first, false);
}

/* All from that one on end now. */
static inline void descriptors_end(int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0u) < 0)
		each_descriptor_from(first, true);
}

/* What is written to the standard error must never end up in a descriptor that happens to have its number: those
 * of the three that are closed lead nowhere from here on. 0 or an errno. */
static inline int standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* As many descriptors as the system lets us have. */
static inline void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Keeps errno; -1 afterwards. */
#define CLOSE_FD(fd) close_fd(&(fd))
static inline void close_fd(int *fd)
{
	int error = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = error;
}

#endif
