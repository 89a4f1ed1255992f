/*
 * The files that pvx-bus keeps. A file is written under another name, brought to the disk and renamed, so that it
 * is whole at any moment: the earlier one or the new one.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 150
#define LOCK_PAUSE_NS 20000000L

void close_fd(int *fd)
{
	int error = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = error;
}

static int make_parents(const char *path)
{
	char folder[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return errno;
	}
	return 0;
}

/* O_NOFOLLOW: a symbolic link in its place is somebody's trick, and its target is not ours to give away. */
int folder_open(const char *path, uid_t owner, int *fd)
{
	int error = strlen(path) < PATH_MAX ? make_parents(path) : ENAMETOOLONG;

	*fd = -1;
	if (error)
		return error;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return errno;
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return errno;
	if (fchown(*fd, owner, owner) < 0 || fchmod(*fd, 0700) < 0) {
		error = errno;
		CLOSE_FD(*fd);
	}
	return error;
}

/* One that was here before us may be about to end. */
int folder_lock(int fd)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			return errno == EWOULDBLOCK ? EBUSY : errno;
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
	}
	return 0;
}

bool folder_same(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static void temporary(char *text, size_t size, const char *name)
{
	snprintf(text, size, "%s.new", name);
}

void writer_begin(struct writer *w, int folder, const char *name)
{
	char made[64];

	temporary(made, sizeof(made), name);
	w->fd = openat(folder, made, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	w->error = w->fd < 0 ? errno : 0;
}

void writer_add(struct writer *w, const char *data, size_t length)
{
	if (!w->error)
		w->error = write_all(w->fd, data, length);
}

/* The name is there at every moment: the earlier file gets its second name before it loses the first. */
static int replace(int folder, const char *made, const char *name, const char *old)
{
	if (old) {
		if (unlinkat(folder, old, 0) < 0 && errno != ENOENT)
			return errno;
		if (linkat(folder, name, folder, old, 0) < 0 && errno != ENOENT)
			return errno;
	}
	if (renameat(folder, made, folder, name) < 0)
		return errno;
	return fsync(folder) < 0 ? errno : 0;
}

int writer_commit(struct writer *w, int folder, const char *name, const char *keep_old_as)
{
	char made[64];

	temporary(made, sizeof(made), name);
	if (!w->error && fsync(w->fd) < 0)
		w->error = errno;
	CLOSE_FD(w->fd);
	if (!w->error)
		w->error = replace(folder, made, name, keep_old_as);
	if (w->error)
		unlinkat(folder, made, 0);
	return w->error;
}
