/*
 * What the bus sees as /etc/passwd. dbus-daemon lets nobody in who is not in it, and takes no rule for a user who
 * is not in it; the roles are in no file of the host, and must not be. So in a mount namespace of our own ours is
 * bound over the host's, and the name service is told to look nowhere else.
 *
 * Lines are only ever appended, so that a reader in between sees a file that was whole at some moment.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERS_FILE "passwd"
#define GROUPS_FILE "group"
#define SWITCH_FILE "nsswitch.conf"

static unsigned char *known; /* one bit for each uid of a role */

static int write_file(const struct bus *bus, const char *name, uid_t own, const char *text)
{
	int error, fd = openat(bus->folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	error = fchown(fd, own, own) < 0 ? errno : write_all(fd, text, strlen(text));
	CLOSE_FD(fd);
	return error;
}

static int bind_over(const struct bus *bus, const char *name)
{
	char ours[PATH_MAX + 64], theirs[64];

	/* By its path: our descriptor of the folder belongs to the namespace that was left. */
	snprintf(ours, sizeof(ours), "%s/%s", bus->path, name);
	snprintf(theirs, sizeof(theirs), "/etc/%s", name);
	if (mount(ours, theirs, NULL, MS_BIND, NULL) < 0)
		return errno;
	return 0;
}

/* A cache of the host's names would answer before any file is read. Where there is none, nothing is hidden. */
static void hide_cache(void)
{
	mount("tmpfs", "/run/nscd", "tmpfs", MS_RDONLY, "size=4k");
	mount("tmpfs", "/var/run/nscd", "tmpfs", MS_RDONLY, "size=4k");
}

int users_init(const struct bus *bus, uid_t own)
{
	char users[128];
	int error;

	known = calloc((bus->last - bus->first) / 8 + 1, 1);
	if (!known)
		return errno;
	snprintf(users, sizeof(users), "root:x:0:0::/:/bin/false\npvx-bus:x:%u:%u::/:/bin/false\n", own, own);
	error = write_file(bus, USERS_FILE, own, users);
	if (!error)
		error = write_file(bus, GROUPS_FILE, own, "root:x:0:\n");
	if (!error)
		error = write_file(bus, SWITCH_FILE, own, "passwd: files\ngroup: files\n");
	if (error)
		return error;
	/* Slave: what the host unmounts later is unmounted here too, and nothing of ours reaches the host. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return errno;
	hide_cache();
	error = bind_over(bus, USERS_FILE);
	if (!error)
		error = bind_over(bus, GROUPS_FILE);
	if (!error && (error = bind_over(bus, SWITCH_FILE)) == ENOENT)
		error = 0; /* without one, files are what is looked at */
	return error;
}

/* The user of each is the role's alone, and so is the group of that number. */
#define LINE "role-%u:x:%u:%u::/:/bin/false\n"
#define LINE_MAX_LENGTH (sizeof(LINE) + 3 * sizeof("4294967295"))

/* Whether it was not yet; from now on it is. */
static bool learn(uint32_t index)
{
	unsigned char bit = (unsigned char)(1u << index % 8);
	bool is_new = !(known[index / 8] & bit);

	known[index / 8] |= bit;
	return is_new;
}

static void forget(uint32_t index)
{
	known[index / 8] &= (unsigned char)~(1u << index % 8);
}

static int append(int fd, const char *lines, size_t length)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int error = end < 0 ? errno : write_all(fd, lines, length);

	if (error && end >= 0 && ftruncate(fd, end) < 0)
		return errno;
	return error;
}

int users_add(const struct bus *bus, const char *uids, size_t length)
{
	static char lines[RECORD_MAX / sizeof(uint32_t) * LINE_MAX_LENGTH];
	static uint32_t added[RECORD_MAX / sizeof(uint32_t)];
	size_t n = 0, end = 0;
	int error = length % sizeof(uint32_t) ? EBADMSG : 0, fd = -1;

	for (size_t at = 0; at < length && !error; at += sizeof(uint32_t)) {
		uint32_t uid;

		memcpy(&uid, uids + at, sizeof(uid));
		if (uid < bus->first || uid > bus->last)
			error = ERANGE;
		else if (learn(uid - bus->first)) {
			added[n++] = uid - bus->first;
			end += (size_t)snprintf(lines + end, sizeof(lines) - end, LINE, uid, uid, uid);
		}
	}
	if (!error && end > 0) {
		fd = openat(bus->folder, USERS_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
		error = fd < 0 ? errno : append(fd, lines, end);
	}
	CLOSE_FD(fd);
	while (error && n > 0)
		forget(added[--n]);
	return error;
}

void users_end(const struct bus *bus)
{
	unlinkat(bus->folder, USERS_FILE, 0);
	unlinkat(bus->folder, GROUPS_FILE, 0);
	unlinkat(bus->folder, SWITCH_FILE, 0);
}
