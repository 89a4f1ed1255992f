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
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERS_FILE "passwd"
#define GROUPS_FILE "group"
#define SWITCH_FILE "nsswitch.conf"

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

int users_add(const struct bus *bus, const char *lines, size_t length)
{
	int error, fd = openat(bus->folder, USERS_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno;
	error = write_all(fd, lines, length);
	CLOSE_FD(fd);
	return error;
}

void users_end(const struct bus *bus)
{
	unlinkat(bus->folder, USERS_FILE, 0);
	unlinkat(bus->folder, GROUPS_FILE, 0);
	unlinkat(bus->folder, SWITCH_FILE, 0);
}
