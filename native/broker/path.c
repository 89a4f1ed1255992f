/*
 * Paths within a container's root.
 *
 * The kernel resolves them (openat2, RESOLVE_IN_ROOT): an absolute symlink or a `..` of the container's making
 * ends inside it. Magic links of /proc are never followed. A path that *we* are given has no `..` at all. A path
 * that the kernel tells us is only ever compared with.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_at(int folder, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

int path_check(const char *path, uint32_t length)
{
	if (length < 2 || path[0] != '/' || memchr(path, 0, length))
		return EINVAL;
	for (uint32_t start = 1, end; start <= length; start = end + 1) {
		for (end = start; end < length && path[end] != '/'; end++)
			;
		if (end - start == 2 && path[start] == '.' && path[start + 1] == '.')
			return EINVAL;
		if (end - start > 255)
			return ENAMETOOLONG;
	}
	return 0;
}

int path_open(int root, const char *path, int *fd)
{
	*fd = open_at(root, path, O_PATH, RESOLVE_IN_ROOT);
	return *fd < 0 ? errno : 0;
}

static int name_of(int fd, char name[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlinkat(AT_FDCWD, link, name, PATH_MAX);
	if (n < 0 || n >= PATH_MAX)
		return n < 0 ? errno : ENAMETOOLONG;
	name[n] = 0;
	return 0;
}

/* The path of a folder from the root, without symlinks. EXDEV: there is none. */
static int path_of(int root, int folder, char path[PATH_MAX])
{
	char above[PATH_MAX];
	size_t n;
	int error = name_of(root, above);

	if (!error)
		error = name_of(folder, path);
	if (error)
		return error;
	n = strcmp(above, "/") == 0 ? 0 : strlen(above);
	if (strncmp(path, above, n) != 0 || (path[n] && path[n] != '/'))
		return EXDEV;
	memmove(path, path + n, strlen(path + n) + 1);
	return 0;
}

/* A container that has not pivoted yet, or never will, has the host's own root: nothing is planted there. But a
 * folder that is mounted over the host's, for it alone, is its own. What counts is where the folder is: a symlink
 * on the way may have led out of what is its own. */
static int refuse_host(int root, int folder)
{
	struct stat host, ours, theirs;
	char path[PATH_MAX];
	int fd, error;

	if (stat("/", &host) < 0 || fstat(root, &theirs) < 0)
		return errno;
	if (host.st_dev != theirs.st_dev || host.st_ino != theirs.st_ino)
		return 0;
	error = path_of(root, folder, path);
	if (error)
		return error;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno;
	fd = open_at(root, *path ? path : "/", O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	error = fd < 0 ? errno : 0;
	CLOSE_FD(root);
	if (error == ENOENT || error == ENOTDIR || error == ELOOP)
		return 0; /* it is there and not on the host */
	if (error)
		return error;
	error = fstat(fd, &ours) < 0 || fstat(folder, &theirs) < 0 ? errno : 0;
	CLOSE_FD(fd);
	if (error)
		return error;
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? EXDEV : 0;
}

/* Opens the deepest part of `path` that is there, a folder. `*length`: how much of the path that is. */
static int open_deepest(int root, char *path, size_t *length, int *folder)
{
	size_t end = strlen(path);

	for (;;) {
		char kept = path[end];

		path[end] = 0;
		*folder = open_at(root, end ? path : "/", O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
		path[end] = kept;
		*length = end;
		if (*folder >= 0)
			return 0;
		if (errno != ENOENT || end == 0)
			return errno;
		while (end > 0 && path[end - 1] != '/')
			end--;
		while (end > 0 && path[end - 1] == '/')
			end--;
	}
}

/* Makes the folders of `rest` below `*folder`, which becomes the last of them. What appears meanwhile in their
 * place is taken if it is a folder; a symlink is not followed. */
static int make_folders(int *folder, char *rest)
{
	for (char *next; *rest; rest = next) {
		int child;

		while (*rest == '/')
			rest++;
		for (next = rest; *next && *next != '/'; next++)
			;
		if (next == rest)
			break;
		if (*next)
			*next++ = 0;
		if (mkdirat(*folder, rest, 0755) < 0 && errno != EEXIST)
			return errno;
		child = open_at(*folder, rest, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (child < 0)
			return errno;
		CLOSE_FD(*folder);
		*folder = child;
	}
	return 0;
}

/* The folder and the last name of a path. `make`: folders that are missing are made, as the container's root. */
int path_place(const struct container *c, int root, const char *path, bool make, struct place *place)
{
	char folder[PVX_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');
	uint32_t uid, gid;
	size_t length;
	int error;

	place->folder = -1;
	if (!slash || !slash[1] || strcmp(slash + 1, ".") == 0)
		return EINVAL; /* a folder can't be a socket */
	if (strlen(slash + 1) >= sizeof(place->name))
		return ENAMETOOLONG;
	strcpy(place->name, slash + 1);
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = 0;
	error = open_deepest(root, folder, &length, &place->folder);
	if (error)
		return error;
	error = folder[length] && !make ? ENOENT : refuse_host(root, place->folder);
	if (!error && folder[length] && !(error = idmap_outside(&c->uids, 0, &uid)) &&
	    !(error = idmap_outside(&c->gids, 0, &gid))) {
		thread_fs_become(uid, gid);
		error = make_folders(&place->folder, folder + length);
		thread_fs_return();
	}
	if (error)
		CLOSE_FD(place->folder);
	return error;
}
