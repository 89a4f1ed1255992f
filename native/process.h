/*
 * What pvx-broker and pvx-bus both do as processes: first of all, and with each descriptor of theirs.
 */
#ifndef PVX_PROCESS_H
#define PVX_PROCESS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

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
