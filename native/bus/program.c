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
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
