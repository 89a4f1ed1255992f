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

/* What is in the way of a file and is none; kept, as somebody may want to see it. */
static int put_aside(int folder, const char *name)
{
	char aside[64];

	snprintf(aside, sizeof(aside), "%s.bad", name);
	return renameat(folder, name, folder, aside) < 0 ? errno : 0;
}

static int replace(int folder, const char *made, const char *name)
{
	struct stat found;
	int error;

	if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode) &&
	    (error = put_aside(folder, name)))
		return error;
	return renameat(folder, made, folder, name) < 0 || fsync(folder) < 0 ? errno : 0;
}

int writer_commit(struct writer *w, int folder, const char *name)
{
	char made[64];

	temporary(made, sizeof(made), name);
	if (!w->error && fsync(w->fd) < 0)
		w->error = errno;
	CLOSE_FD(w->fd);
	if (!w->error)
		w->error = replace(folder, made, name);
	if (w->error)
		unlinkat(folder, made, 0);
	return w->error;
}

int file_copy(int folder, const char *from, const char *to)
{
	int fd = openat(folder, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct writer w;
	char data[4096];
	ssize_t n;

	if (fd < 0)
		return errno;
	writer_begin(&w, folder, to);
	while ((n = read(fd, data, sizeof(data))) > 0)
		writer_add(&w, data, (size_t)n);
	if (n < 0 && !w.error)
		w.error = errno;
	CLOSE_FD(fd);
	return writer_commit(&w, folder, to);
}
