/*
 * dbus-daemon: started, told of another configuration, started again when it ends, ended.
 *
 * It works in our own folder, by the names in there, and dies with us by its parent-death signal. SIGHUP is how it is
 * told to reload. It comes up with that ignored, so that one which is sent too early is lost and not deadly: it is
 * sent once it is seen to be caught.
 */
#include "bus.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 100u
#define MOST_MS 5000u
#define SETTLED_MS 10000u /* it ran for so long: its next end is a new story */
#define LOOK_MS 10        /* whether it catches SIGHUP by now */
#define GRACE_MS 1000
#define ADDRESS_FD 3

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* After fork: only what is safe in a signal handler. */
static _Noreturn void become(const struct bus *bus, int address, int errors, pid_t parent)
{
	char *argv[] = { "dbus-daemon", "--config-file=" CONFIG_FILE, "--nofork", "--nopidfile", "--nosyslog",
			 "--print-address=3", NULL };
	char *envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL };
	sigset_t none;

	if (!process_ends_with(parent, SIGKILL))
		_exit(126);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL); /* SIGINT stays ignored: a terminal's Ctrl-C is our parent's to answer */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	address = fcntl(address, F_DUPFD_CLOEXEC, 10); /* out of the way of the numbers that are taken next */
	errors = fcntl(errors, F_DUPFD_CLOEXEC, 10);
	if (dup2(errors, 1) < 0 || dup2(errors, 2) < 0 || dup2(address, ADDRESS_FD) < 0)
		_exit(126);
	syscall(SYS_execveat, bus->hidden, PROGRAM_FILE, argv, envp, 0);
	execve(bus->program, argv, envp); /* a script, say, which is not executed from there */
	_exit(127);
}

void child_start(struct bus *bus)
{
	int address[2] = { -1, -1 }, errors[2] = { -1, -1 };
	pid_t self = getpid();

	bus->since = now_ms();
	bus->at = bus->since + MOST_MS; /* should there be no process or descriptor to be had */
	if (pipe2(address, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC | O_NONBLOCK) == 0) {
		bus->child = fork();
		if (bus->child == 0)
			become(bus, address[1], errors[1], self);
	}
	if (bus->child <= 0) {
		bus->child = 0;
		CLOSE_FD(address[0]);
		CLOSE_FD(errors[0]);
	}
	CLOSE_FD(address[1]);
	CLOSE_FD(errors[1]);
	bus->address = address[0];
	bus->errors = errors[0];
	bus->reload = false; /* what is there now is what it reads */
}

void child_reload(struct bus *bus)
{
	if (!bus->wanted) {
		bus->wanted = true;
		bus->at = 0;
	}
	bus->reload = bus->child > 0;
	child_tick(bus, now_ms());
}

/* SigCgt of proc_pid_status(5): one bit a signal, from the lowest on. */
static bool catches_hangup(pid_t pid)
{
	char path[48], line[128];
	unsigned long long mask = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	if (!status)
		return false;
	while (fgets(line, sizeof(line), status) && sscanf(line, "SigCgt: %llx", &mask) != 1)
		;
	fclose(status);
	return mask >> (SIGHUP - 1) & 1;
}

int child_wait(const struct bus *bus, uint64_t now)
{
	if (bus->child > 0)
		return bus->reload ? LOOK_MS : -1;
	if (!bus->wanted)
		return -1;
	return bus->at > now ? (int)(bus->at - now) : 0;
}

void child_tick(struct bus *bus, uint64_t now)
{
	if (bus->child > 0) {
		if (bus->reload && catches_hangup(bus->child) && kill(bus->child, SIGHUP) == 0)
			bus->reload = false;
	} else if (bus->wanted && bus->at <= now) {
		child_start(bus);
	}
}

void child_ended(struct bus *bus, int status, char *text, size_t size)
{
	uint64_t now = now_ms();
	uint32_t wait;

	bus->child = 0;
	CLOSE_FD(bus->address);
	CLOSE_FD(bus->errors);
	unlinkat(bus->folder, SOCKET_FILE, 0); /* so that nobody takes it for one that is being listened on */
	if (now - bus->since >= SETTLED_MS)
		bus->quick = 0;
	wait = bus->quick == 0 ? 0 : FIRST_MS << (bus->quick < 10 ? bus->quick - 1 : 9);
	if (wait > MOST_MS)
		wait = MOST_MS;
	bus->quick++;
	bus->at = now + wait;
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal %d; it is started again in %u ms", WTERMSIG(status), wait);
	else if (WEXITSTATUS(status) == 127)
		snprintf(text, size, "%s can't be executed; it is tried again in %u ms", bus->program, wait);
	else
		snprintf(text, size, "exit code %d; it is started again in %u ms", WEXITSTATUS(status), wait);
}

void child_end(struct bus *bus)
{
	if (bus->child <= 0)
		return;
	kill(bus->child, SIGTERM);
	for (int waited = 0; waited < GRACE_MS; waited += LOOK_MS) {
		if (waitpid(bus->child, NULL, WNOHANG) != 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
	}
	kill(bus->child, SIGKILL);
	waitpid(bus->child, NULL, 0);
}
