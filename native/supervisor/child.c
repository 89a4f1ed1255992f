/*
 * The start of one child. What it gets is named: its descriptors from 3 on, its user, its program; everything else is
 * closed, standard input leads nowhere, and a terminal's Ctrl-C is for us alone. It ends when we do (PR_SET_PDEATHSIG),
 * however that comes about.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../privileges.h"

#define ABOVE 32 /* out of the way of the numbers that are given */

bool can_reach(const char *path, int32_t uid, int32_t gid)
{
	char folder[PATH_MAX];
	struct stat st;
	char *slash;

	if (uid < 0)
		return true; /* whoever we are */
	strncpy(folder, path, sizeof(folder) - 1);
	folder[sizeof(folder) - 1] = 0;
	do {
		slash = strrchr(folder, '/');
		slash[slash == folder] = 0;
		if (stat(folder, &st) < 0 || !(st.st_mode & (st.st_uid == (uid_t)uid ? S_IXUSR :
							     st.st_gid == (gid_t)gid ? S_IXGRP :
										       S_IXOTH)))
			return false;
	} while (slash != folder);
	return true;
}

static _Noreturn void fail(const struct program *program, const char *what, int error)
{
	say("%s %s: %s.", program->path, what, strerror(error));
	_exit(127);
}

static void give_descriptors(const struct program *program)
{
	int high[CHILD_FDS];

	for (int i = 0; i < program->nfds; i++)
		if ((high[i] = fcntl(program->fds[i], F_DUPFD_CLOEXEC, ABOVE)) < 0)
			fail(program, "can't get its descriptors", errno);
	for (int i = 0; i < program->nfds; i++)
		if (dup2(high[i], 3 + i) < 0) /* dup2 clears close-on-exec */
			fail(program, "can't get its descriptors", errno);
}

/* Its folder, where only root finds the way to it: the program is executed in there by its name. -1: it finds it. */
static int folder_for(const struct program *program)
{
	char folder[PATH_MAX];
	int fd, high;

	if (program->keeps_root || can_reach(program->path, program->uid, program->gid))
		return -1;
	strncpy(folder, program->path, sizeof(folder) - 1);
	folder[sizeof(folder) - 1] = 0;
	*strrchr(folder, '/') = 0;
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	high = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
	CLOSE_FD(fd);
	return high;
}

static _Noreturn void become(const struct program *program, pid_t parent)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	int folder = folder_for(program), error;
	sigset_t none;

	setsid();
	give_descriptors(program);
	descriptors_end_at_exec(3 + program->nfds);
	/* A handler of ours would lose what comes before the program is executed. */
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		signal(ours[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!program->keeps_root) {
		if ((error = privileges_drop(program->uid, program->gid)))
			fail(program, "can't give up root", error);
		keyring_renew(); /* the new user's */
	}
	if (!process_ends_with(parent, program->death))
		_exit(127);
	if (folder >= 0)
		syscall(SYS_execveat, folder, strrchr(program->path, '/') + 1, program->argv, environ, 0);
	else
		execv(program->path, program->argv);
	fail(program, "can't be executed", errno);
}

pid_t child_start(const struct program *program)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0)
		become(program, self);
	return pid;
}
