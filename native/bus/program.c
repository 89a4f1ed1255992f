/*
 * dbus-daemon's program in a file that may be executed, and not read. The kernel makes a process that executes what it
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

/* In the folders where it usually is, then in those of PATH. */
const char *program_find(void)
{
	static char folders[] = "/usr/bin:/bin:/usr/sbin:/usr/local/bin", path[PATH_MAX];
	char *lists[] = { folders, getenv("PATH") }, *left;

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (char *at = lists[i] ? strtok_r(lists[i], ":", &left) : NULL; at; at = strtok_r(NULL, ":", &left)) {
			snprintf(path, sizeof(path), "%s/" PROGRAM_FILE, at);
			if (access(path, X_OK) == 0)
				return path;
		}
	return NULL;
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
