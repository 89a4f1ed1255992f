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

/* All the ways in which a path is ever resolved: the filter of sandbox.c knows them by their addresses. */
#define WAY(how, which) { .flags = O_PATH | O_CLOEXEC | (how), .resolve = RESOLVE_NO_MAGICLINKS | (which) }
const struct open_how path_inside = WAY(0, RESOLVE_IN_ROOT);
const struct open_how path_inside_plain = WAY(0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
const struct open_how path_inside_folder = WAY(O_DIRECTORY, RESOLVE_IN_ROOT);
const struct open_how path_beneath_folder = WAY(O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

static int open_at(int folder, const char *path, const struct open_how *how)
{
	return (int)RETRY(syscall(SYS_openat2, folder, path, how, sizeof(*how)));
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

/* The path of what is open from the root, without symlinks. EXDEV: there is none. ENOENT: its name is gone. */
static int path_of(int root, int fd, char path[PATH_MAX])
{
	static const char gone[] = " (deleted)";
	char above[PATH_MAX];
	size_t n, length;
	int error = name_of(root, above);

	if (!error)
		error = name_of(fd, path);
	if (error)
		return error;
	n = strcmp(above, "/") == 0 ? 0 : strlen(above);
	length = strlen(path);
	if (length >= sizeof(gone) && strcmp(path + length - (sizeof(gone) - 1), gone) == 0)
		return ENOENT;
	if (strncmp(path, above, n) != 0 || (path[n] && path[n] != '/'))
		return EXDEV;
	memmove(path, path + n, length - n + 1);
	return 0;
}

/* What is open, and through which mount; statx(2). */
static int look_at(int fd, struct statx *what)
{
	return RETRY(statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, what)) < 0 ? errno : 0;
}

static bool same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor && a->stx_ino == b->stx_ino;
}

/* So far as this kernel tells. */
static bool same_mount(const struct statx *a, const struct statx *b)
{
	return a->stx_mask & b->stx_mask & STATX_MNT_ID && a->stx_mnt_id == b->stx_mnt_id;
}

static struct statx host; /* its root, which stays */

int path_init(void)
{
	return look_at(thread_root(), &host);
}

/*
 * What makes a container, asked for everything that is opened in one: its root is another than the host's, or what is
 * opened lies beneath something that is mounted over the host's root for it. A process that merely has a mount
 * namespace of its own (a service with a private /tmp, a container that has not pivoted yet) has no more than that,
 * and EXDEV for all else. What counts is where the file is: a symlink on the way may have led out of what is its own.
 */
static int refuse_host(int root, int fd)
{
	struct statx top, it, other;
	int ours, error = look_at(root, &top);
	char path[PATH_MAX];

	if (error || !same_file(&top, &host))
		return error;
	error = look_at(fd, &it);
	if (!error && same_mount(&top, &it))
		error = EXDEV;
	if (!error)
		error = path_of(root, fd, path);
	if (error)
		return error;
	ours = open_at(thread_root(), *path ? path : "/", &path_inside_plain);
	if (ours < 0) /* it is there and not on the host */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : errno;
	error = look_at(ours, &other);
	if (!error && same_file(&other, &it))
		error = EXDEV;
	CLOSE_FD(ours);
	return error;
}

int path_reopen(int fd, int flags, int *opened)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	*opened = RETRY(open(self, flags | O_CLOEXEC));
	return *opened < 0 ? errno : 0;
}

int path_open_below(int folder, const char *path, int *fd)
{
	*fd = open_at(folder, path, &path_inside);
	return *fd < 0 ? errno : 0;
}

int path_open(const struct container *c, const char *path, int *fd)
{
	int root, error = container_root(c, &root);

	*fd = -1;
	if (error)
		return error;
	error = path_open_below(root, path, fd);
	if (!error)
		error = refuse_host(root, *fd);
	CLOSE_FD(root);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

/* Opens the deepest part of `path` that is there, a folder. `*length`: how much of the path that is. */
static int open_deepest(int root, char *path, size_t *length, int *folder)
{
	size_t end = strlen(path);

	for (;;) {
		char kept = path[end];

		path[end] = 0;
		*folder = open_at(root, end ? path : "/", &path_inside_folder);
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
		if (RETRY(mkdirat(*folder, rest, 0755)) < 0 && errno != EEXIST)
			return errno;
		child = open_at(*folder, rest, &path_beneath_folder);
		if (child < 0)
			return errno;
		CLOSE_FD(*folder);
		*folder = child;
	}
	return 0;
}

/* Makes what is missing as the container's root. */
static int make_as_root(const struct container *c, int *folder, char *rest)
{
	int error = thread_fs_root_of(c);

	if (error)
		return error;
	error = make_folders(folder, rest);
	thread_fs_return();
	return error;
}

/* The folder and the last name of a path. `make`: folders that are missing are made. */
int path_place(const struct container *c, const char *path, bool make, struct place *place)
{
	char folder[PVX_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');
	size_t length;
	int root, error;

	place->folder = -1;
	if (!slash || !slash[1] || strcmp(slash + 1, ".") == 0)
		return EINVAL; /* a folder can't be a socket */
	if (strlen(slash + 1) >= sizeof(place->name))
		return ENAMETOOLONG;
	strcpy(place->name, slash + 1);
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = 0;
	error = container_root(c, &root);
	if (error)
		return error;
	error = open_deepest(root, folder, &length, &place->folder);
	if (!error)
		error = folder[length] && !make ? ENOENT : refuse_host(root, place->folder);
	CLOSE_FD(root);
	if (!error && folder[length])
		error = make_as_root(c, &place->folder, folder + length);
	if (error)
		CLOSE_FD(place->folder);
	return error;
}
