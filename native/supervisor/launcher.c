/*
 * The runtime that launched us: when it has ended, so do we, as nobody wants the links then.
 *
 * A process counts as such if it is an ancestor of ours and either says so in PVX_LAUNCHER or serves the runtime's
 * socket, which the daemon finds out. A runtime that an init started beside us is no ancestor, and may come and go. It
 * is watched by a pidfd: a parent-death signal (PR_SET_PDEATHSIG of prctl(2)) would come when the thread that forked
 * ends.
 */
#include "supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct launcher launchers[LAUNCHERS_MAX];
int nlaunchers;

/* 0: it has ended. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512], *end;
	ssize_t n;
	int fd, parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	CLOSE_FD(fd);
	text[n > 0 ? n : 0] = 0;
	end = strrchr(text, ')'); /* of its name */
	return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_ancestor(pid_t pid)
{
	pid_t at = getppid();

	while (at > 1 && at != pid)
		at = parent_of(at);
	return at == pid;
}

bool launcher_watch(pid_t pid)
{
	int fd;

	for (int i = 0; i < nlaunchers; i++)
		if (launchers[i].pid == pid)
			return true;
	if (pid <= 0 || nlaunchers == LAUNCHERS_MAX)
		return false;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* After pidfd_open: an ancestor that lives now had this pid all the time, so the pidfd is of that process. */
	if (fd < 0 || !is_ancestor(pid)) {
		CLOSE_FD(fd);
		return false;
	}
	launchers[nlaunchers++] = (struct launcher){ .pid = pid, .fd = fd };
	return true;
}

void launcher_state(struct state *state)
{
	state_section(state, "launchers");
	state_count(state, "number", &nlaunchers, LAUNCHERS_MAX);
	for (int i = 0; i < nlaunchers; i++) {
		state_section(state, "launcher-%d", i);
		STATE_NUMBER(state, "pid", launchers[i].pid);
		state_descriptor(state, "fd", &launchers[i].fd);
	}
}
