/* A program in a container that runs: in its namespaces, as its root. See container.c. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "container.h"

static int link_to_keeper;

static void pass_on(int number)
{
	unsigned char byte = (unsigned char)number;

	/* Where the keeper is gone, a SIGPIPE for saying so would be the next one to pass on, without end. */
	(void)!send(link_to_keeper, &byte, 1, MSG_NOSIGNAL);
}

/*
 * Parent of a program in the container, itself a child of its init: whoever dies there is reaped there. A
 * child of ours would become one of the host's init when we are killed, and hold the end of the container
 * up until that one looks. Reads the numbers of signals to pass on; at the end of file we are gone.
 */
static void keep(int link, char **argv)
{
	struct pollfd watched[] = { { .fd = link, .events = POLLIN }, { .events = POLLIN } };
	pid_t pid = fork();
	int status;

	CHECK(pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], argv);
		fprintf(stderr, "container: %s: %m\n", argv[0]);
		_exit(127);
	}
	for (int fd = 0; fd < 3; fd++)
		close(fd); /* the end of the program's output is the end of the program */
	watched[1].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (watched[1].revents == 0) {
		unsigned char number = SIGKILL;

		poll(watched, 2, -1);
		if (watched[0].revents) {
			if (read(link, &number, 1) != 1)
				watched[0].fd = -1;
			kill(pid, number);
		}
	}
	waitpid(pid, &status, 0);
	(void)!write(link, &status, sizeof(status));
	_exit(0);
}

int enter(pid_t target, char **argv)
{
	int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
	int pidfd = (int)syscall(SYS_pidfd_open, target, 0), link[2], status = 125 << 8;
	char path[64], own[128], its[128];
	ssize_t n, m;
	pid_t pid;

	CHECK(pidfd);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", target);
	n = readlink("/proc/self/ns/user", own, sizeof(own));
	m = readlink(path, its, sizeof(its));
	if (n != m || memcmp(own, its, (size_t)n) != 0)
		spaces |= CLONE_NEWUSER;
	CHECK(setns(pidfd, spaces));
	close(pidfd);
	become_root();
	CHECK(chdir("/"));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link));
	CHECK(pid = fork());
	if (pid == 0) {
		close(link[0]);
		CHECK(pid = fork());
		if (pid > 0)
			_exit(0);
		keep(link[1], argv);
	}
	close(link[1]);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	waitpid(pid, NULL, 0);
	link_to_keeper = link[0];
	for (int number = 1; number < SIGRTMIN; number++)
		if (number != SIGKILL && number != SIGSTOP && number != SIGCHLD)
			signal(number, pass_on);
	while (read(link[0], &status, sizeof(status)) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}
