/*
 * What others run in, and what they run as.
 *
 * contain: as little of a container as a socket needs to be in one, a root with a /run. exec: a command that ends when the
 * benchmark does, however that ends; with -l PATH socket-activated: the listener is descriptor 3, as
 * sd_listen_fds(3) has it.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int run_contain(char **argv)
{
	(void)argv;
	if (unshare(CLONE_NEWNS) < 0)
		fail("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("/");
	if (mount("bench", "/run", "tmpfs", 0, "mode=0755") < 0 || chdir("/run") < 0 || mkdir("run", 0755) < 0)
		fail("/run");
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail("pivot_root");
	ready();
	until_stdin_ends();
	return 0;
}

int run_exec(char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	if (strcmp(argv[0], "-l") == 0 && argv[1] && argv[2]) {
		int fd = must_listen(argv[1]);
		char pid[16];

		if (fd != 3 && dup3(fd, 3, 0) < 0)
			fail("dup3");
		if (fd == 3)
			fcntl(fd, F_SETFD, 0);
		snprintf(pid, sizeof(pid), "%ld", (long)getpid());
		setenv("LISTEN_FDS", "1", 1);
		setenv("LISTEN_PID", pid, 1);
		argv += 2;
	}
	execvp(argv[0], argv);
	fail(argv[0]);
}
