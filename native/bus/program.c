/*
 * dbus-daemon's program: found, and copied to a file that may be executed, and not read. The kernel makes a process that executes what it
 * may not read not dumpable (begin_new_exec in fs/exec.c): so nobody takes the connections of all roles from it, those
 * of the same user neither, and there is no moment at which they could. A program of ours would just ask for it, as
 * process_seal does.
 *
 * It is a copy, of when pvx-bus began, in a file system of its own that is nowhere mounted and ends with us.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACES "/usr/bin:/bin:/usr/sbin:/usr/local/bin"

/* In the first of these folders, ended by colons, that has it. */
static char *find_in(const char *places)
{
	char path[PATH_MAX];
	struct stat st;

	for (const char *end; *places; places = *end ? end + 1 : end) {
		end = strchrnul(places, ':');
		if (snprintf(path, sizeof(path), "%.*s/" PROGRAM_FILE, (int)(end - places), places) < (int)sizeof(path) &&
		    *path == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return strdup(path);
	}
	return NULL;
}

char *program_find(void)
{
	const char *path = getenv("PATH");
	char *found = find_in(PLACES);

	return found || !path ? found : find_in(path);
}

static int copy(int from, int to)
{
	char data[65536];
	ssize_t n;
	int error;

	while ((n = read(from, data, sizeof(data))) > 0)
		if ((error = write_all(to, data, (size_t)n)))
			return error;
	return n < 0 || fchmod(to, 0111) < 0 ? errno : 0;
}

static int new_folder(void)
{
	int folder = -1, fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		folder = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	CLOSE_FD(fs);
	return folder;
}

int program_hide(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), folder = from < 0 ? -1 : new_folder();
	int to = folder < 0 ? -1 : openat(folder, PROGRAM_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	if (to < 0 || copy(from, to))
		CLOSE_FD(folder);
	CLOSE_FD(from);
	CLOSE_FD(to);
	return folder;
}
