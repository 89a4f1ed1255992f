/*
 * The children: who they are, when they are started again, and how all of it ends.
 *
 *            started            ended, and may be started again
 *   AWAY ───────────▶ RUNNING ──────────────────────────────────▶ WAITING
 *    ▲                 ▲   │                                         │
 *    │ ended           │   │              the wait is over           │
 *    └─────────────────┼───┘◀────────────────────────────────────────┘
 *
 *            SIGTERM, SIGINT             the daemon has ended
 *   SERVING ─────────────────▶ DRAINING ──────────────────────▶ LEAVING ──▶ the end
 *      │                                                           ▲
 *      └───────────────────────────────────────────────────────────┘
 *        the broker or a launcher has ended, the daemon could not start, a child fails again and again
 *
 * The sockets between the children are made once, and those ends are kept here whose child may be started again: a
 * successor has the very same descriptors, and nobody else notices that there is one. The daemon's words to us come over
 * a pipe, which can carry no descriptor, and each daemon has a new one: a word of a former one counts no more.
 *
 *   READY is a child from the daemon's word on that it is (R): then the relay has served it. A child that is started
 *   without a new daemon is after a second.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define FIRST_MS 100u
#define MOST_MS 5000u
#define SETTLED_MS 5000u  /* it was ready for so long: its end is a new story */
#define BEGUN_MS 1000u    /* a program that says nothing has begun by then */
#define QUICK_MAX 5       /* ends in a row, none of them ready, */
#define QUICK_MS 60000u   /* within this time: it will not get better */
#define DRAIN_MS 90000u   /* a daemon that is to end, and says no more that it is alive */
#define SAY_MS 1000u      /* it has seen for itself that the broker is gone, and says so */
#define LEAVE_MS 4000u    /* more than the 3 s after which the broker gives up on file systems that hang */
#define REAP_MS 500u      /* whom that does not end is left to process 1 */
#define EXIT_CANT_BEGIN 3 /* of pvx-bus: it will never be able to here, and has said so */
#define EXIT_SUCCESSOR 75 /* of the daemon, EX_TEMPFAIL: it wants a successor */
#define BUFFER (8 * 1024 * 1024)

enum { BROKER, RELAY, BUS, DAEMON, CHILDREN };

static const char *const names[CHILDREN] = { "pvx-broker", "pvx-relay", "pvx-bus", "the daemon" };

static struct child {
	pid_t pid;          /* 0: it does not run */
	uint64_t since;     /* when it was started */
	uint64_t ready;     /* when it was; 0: it is not yet */
	uint64_t start_at;  /* 0: it is not waiting for a start */
	uint64_t kill_at;   /* 0: it is not asked to end */
	unsigned quick;     /* starts since it was ready for SETTLED_MS */
	unsigned failures;  /* ends in a row without being ready */
	uint64_t failed_at[QUICK_MAX]; /* when those were, one behind the other, again and again */
} children[CHILDREN];

/* The pairs: whose end is whose. -1: none, or given away. */
static struct {
	int broker_daemon, daemon_broker;
	int broker_relay, relay_broker;
	int relay_daemon, daemon_relay;
	int bus_daemon, daemon_bus;
	int nothing; /* /dev/null, in place of what there is none of */
	int package; /* the folder of the code, where the daemon finds no way to it; -1: it does */
} ends = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };

static const struct family *family;
static enum { SERVING, DRAINING, LEAVING } state;
static int exit_code;
static uint64_t leave_at; /* the last moment */
static unsigned incarnation;
static bool reloading, told_ready;
static int words = -1; /* our end of the pipe from the daemon */

void say(const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (n > 0)
		dprintf(2, "pv-xconnect: %s\n", text);
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Large buffers: what is said to a child that is away waits in them. Without the privilege, as large as may be. */
static int make_pair(int *one, int *other)
{
	int pair[2], size = BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*one = pair[0];
	*other = pair[1];
	return 0;
}

int family_init(const struct family *of)
{
	char main_file[PATH_MAX + 16];
	int error;

	family = of;
	if ((error = make_pair(&ends.daemon_broker, &ends.broker_daemon)) ||
	    (error = make_pair(&ends.relay_broker, &ends.broker_relay)) ||
	    (error = make_pair(&ends.daemon_relay, &ends.relay_daemon)))
		return error;
	if (family->settings->hosts_bus && (error = make_pair(&ends.daemon_bus, &ends.bus_daemon)))
		return error;
	ends.nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (ends.nothing < 0)
		return errno;
	snprintf(main_file, sizeof(main_file), "%s/dist/main.js", package_root);
	if (!can_reach(main_file, family->daemon_uid, family->daemon_gid))
		ends.package = open(package_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static char *built(const char *name)
{
	char *path;

	if (asprintf(&path, "%s/build/Release/%s", package_root, name) < 0)
		abort();
	return path;
}

static pid_t start_broker(void)
{
	const struct settings *s = family->settings;
	char *argv[8 + 2 * BUSES_MAX + 4], *path = built("pvx-broker");
	int n = 0;
	pid_t pid;

	argv[n++] = path;
	argv[n++] = "--runtime", argv[n++] = (char *)s->runtime;
	argv[n++] = "--certificates", argv[n++] = (char *)s->certificates;
	for (int i = 0; i < s->nbuses; i++)
		argv[n++] = "--bus", argv[n++] = s->buses[i];
	argv[n++] = "--bus-uids", argv[n++] = (char *)s->bus_uids;
	argv[n] = NULL;
	pid = child_start(&(struct program){ .path = path, .argv = argv, .keeps_root = true, .death = SIGTERM,
					     .fds = { ends.broker_daemon, ends.broker_relay }, .nfds = 2 });
	free(path);
	CLOSE_FD(ends.broker_daemon); /* it has no successor: its end is to be seen by all */
	CLOSE_FD(ends.broker_relay);
	return pid;
}

static pid_t start_relay(void)
{
	char *path = built("pvx-relay"), *argv[] = { path, NULL };
	pid_t pid = child_start(&(struct program){ .path = path, .argv = argv, .death = SIGKILL,
						   .uid = family->relay_uid, .gid = family->relay_gid,
						   .fds = { ends.relay_broker, ends.relay_daemon }, .nfds = 2 });

	free(path);
	return pid;
}

static pid_t start_bus(void)
{
	const struct settings *s = family->settings;
	char *path = built("pvx-bus");
	char *argv[] = { path, "--folder", s->bus_folder, "--store", s->bus_store, "--uids", (char *)s->bus_uids, NULL };
	pid_t pid = child_start(&(struct program){ .path = path, .argv = argv, .keeps_root = true, .death = SIGTERM,
						   .fds = { ends.bus_daemon }, .nfds = 1 });

	free(path);
	return pid;
}

/* The daemon has few megabytes of objects. A small young generation, and code that is compiled for its size, save memory
 * (the latter 4 MiB with 100 links) and cost no time that can be measured on a request or a message. */
static char *const node_options[] = { "--max-semi-space-size=1", "--optimize-for-size",
				      "--disable-warning=ExperimentalWarning" };
#define NODE_OPTIONS (sizeof(node_options) / sizeof(*node_options))

static char **daemon_argv(const char *main_file)
{
	size_t given = 0, n = 0;
	char **argv;

	while (family->args[given])
		given++;
	argv = calloc(given + NODE_OPTIONS + 5, sizeof(*argv));
	if (!argv)
		abort();
	argv[n++] = (char *)family->node;
	for (size_t i = 0; i < NODE_OPTIONS; i++)
		argv[n++] = node_options[i];
	if (ends.package >= 0)
		argv[n++] = "--preserve-symlinks", argv[n++] = "--preserve-symlinks-main";
	argv[n++] = (char *)main_file;
	memcpy(argv + n, family->args, given * sizeof(*argv));
	return argv;
}

/* Its descriptors: to the broker, the relay, us; the control socket's listener; to the bus; the folder of its code. */
static pid_t start_daemon(void)
{
	char main_file[PATH_MAX + 16], number[16], **argv;
	struct program program = { .path = family->node, .uid = family->daemon_uid, .gid = family->daemon_gid,
				   .death = SIGKILL, .nfds = 5 };
	int pipe_ends[2];
	pid_t pid;

	CLOSE_FD(words);
	if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	words = pipe_ends[0];
	program.fds[0] = ends.daemon_broker;
	program.fds[1] = ends.daemon_relay;
	program.fds[2] = pipe_ends[1];
	program.fds[3] = family->listener >= 0 ? family->listener : ends.nothing;
	program.fds[4] = ends.daemon_bus >= 0 ? ends.daemon_bus : ends.nothing;
	if (ends.package >= 0)
		program.fds[program.nfds++] = ends.package;
	snprintf(main_file, sizeof(main_file), "%s/dist/main.js", ends.package >= 0 ? "/proc/self/fd/8" : package_root);
	snprintf(number, sizeof(number), "%u", ++incarnation);
	program.argv = argv = daemon_argv(main_file);
	setenv("PVX_INCARNATION", number, 1);
	pid = child_start(&program);
	unsetenv("PVX_INCARNATION");
	free(argv);
	CLOSE_FD(pipe_ends[1]);
	return pid;
}

/* Everything ends. The daemon has so long to end by itself. */
static void leave(int code, uint64_t daemon_ms)
{
	uint64_t now = now_ms();

	if (state == LEAVING)
		return;
	if (state == SERVING)
		notify_stopping();
	state = LEAVING;
	exit_code = code;
	leave_at = now + LEAVE_MS + REAP_MS;
	CLOSE_FD(ends.daemon_bus); /* by the end of its channel the bus knows, too */
	CLOSE_FD(ends.bus_daemon);
	for (int i = 0; i < CHILDREN; i++) {
		if (children[i].pid > 0 && (i == BROKER || i == BUS))
			kill(children[i].pid, SIGTERM);
		children[i].start_at = 0;
		children[i].kill_at = now + (i == DAEMON ? daemon_ms : i == RELAY ? 0 : LEAVE_MS);
	}
}

static void start(int which)
{
	static pid_t (*const starts[CHILDREN])(void) = { start_broker, start_relay, start_bus, start_daemon };
	struct child *child = &children[which];
	pid_t pid = starts[which]();

	child->start_at = child->ready = 0;
	child->since = now_ms();
	child->pid = pid > 0 ? pid : 0;
	if (pid >= 0)
		return;
	say("%s can't be started: %s.", names[which], strerror(errno));
	if (which == BROKER)
		leave(1, 0);
	else
		child->start_at = child->since + MOST_MS; /* there is no process or descriptor to be had */
	if (which == DAEMON && family->settings->hosts_bus && !children[BUS].pid && !children[BUS].start_at)
		start(BUS); /* that it can't begin, it said to the daemon before this one */
}

/* As people read it. */
static const char *how(int status)
{
	static char text[64];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exit code %d", WEXITSTATUS(status));
	return text;
}

/* A child that was never ready has ended: whether it has done so too often. */
static bool is_hopeless(struct child *child, uint64_t now)
{
	child->failed_at[child->failures++ % QUICK_MAX] = now;
	return child->failures >= QUICK_MAX && now - child->failed_at[child->failures % QUICK_MAX] <= QUICK_MS;
}

/* At once where it was settled, or wants a successor; else after ever longer waits. */
static void start_again(int which, int status)
{
	struct child *child = &children[which];
	bool is_wanted = which == DAEMON && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESSOR;
	uint64_t now = now_ms(), ready = child->ready, wait = 0;

	if (!ready && which != DAEMON && now - child->since >= BEGUN_MS)
		ready = child->since + BEGUN_MS;
	if (ready)
		child->failures = 0;
	else if (is_hopeless(child, now)) {
		say("%s ended (%s), for the %dth time without having been ready: giving up.", names[which], how(status),
		    QUICK_MAX);
		leave(1, 0);
		return;
	}
	if (ready && now - ready >= SETTLED_MS)
		child->quick = 0;
	if (!is_wanted && child->quick++ > 0)
		wait = child->quick > 7 ? MOST_MS : FIRST_MS << (child->quick - 2);
	child->start_at = now + (wait < MOST_MS ? wait : MOST_MS);
	if (!is_wanted)
		say("%s ended (%s): it is started again%s.", names[which], how(status), wait ? " in a moment" : "");
}

static void daemon_ended(int status)
{
	bool is_code = WIFEXITED(status);

	if (state == DRAINING) {
		/* One that was only just starting did not catch the signal yet. */
		leave(is_code ? WEXITSTATUS(status) : WTERMSIG(status) == SIGTERM ? 0 : 1, 0);
	} else if (incarnation == 1 && !children[DAEMON].ready &&
		   !(is_code && WEXITSTATUS(status) == EXIT_SUCCESSOR)) {
		if (!is_code)
			say("the daemon ended (%s) before it was ready.", how(status));
		leave(is_code ? WEXITSTATUS(status) : 1, 0);
	} else {
		start_again(DAEMON, status);
	}
}

static void ended(int which, int status)
{
	children[which].pid = 0;
	if (state == LEAVING)
		return;
	if (which == BROKER) {
		say("pvx-broker ended (%s): ending, to be started anew.", how(status));
		leave(1, SAY_MS);
	} else if (which == DAEMON) {
		daemon_ended(status);
	} else if (state == SERVING && !(which == BUS && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CANT_BEGIN)) {
		start_again(which, status);
	}
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < CHILDREN; i++)
			if (children[i].pid == pid)
				ended(i, status);
}

static void drain(void)
{
	if (state != SERVING)
		return;
	notify_stopping();
	if (children[DAEMON].pid == 0) {
		leave(0, 0);
		return;
	}
	state = DRAINING;
	children[DAEMON].kill_at = now_ms() + DRAIN_MS;
	kill(children[DAEMON].pid, SIGTERM);
}

/* A daemon that is not ready yet does not catch it, and looks at the graph in any case. */
static void reload(void)
{
	if (state != SERVING)
		return;
	if (told_ready)
		notify_reloading();
	reloading = true;
	if (children[DAEMON].pid > 0 && children[DAEMON].ready)
		kill(children[DAEMON].pid, SIGHUP);
}

static void signalled(void)
{
	struct signalfd_siginfo info;

	while (read(family->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			drain();
		else if (info.ssi_signo == SIGHUP)
			reload();
	}
	reap();
}

static void tell_ready(void)
{
	if (state != SERVING || (told_ready && !reloading))
		return;
	told_ready = true;
	reloading = false;
	notify_ready();
}

static void became_ready(void)
{
	for (int i = 0; i < CHILDREN; i++)
		if (children[i].pid > 0 && !children[i].ready)
			children[i].ready = now_ms();
	tell_ready();
}

/* One that drains says so, too. */
static void alive(void)
{
	if (state == DRAINING)
		children[DAEMON].kill_at = now_ms() + DRAIN_MS;
	notify_alive();
}

/* A letter, and a number behind some. */
static void heard(char word, unsigned number)
{
	if (word == 'R')
		became_ready();
	else if (word == 'G')
		tell_ready();
	else if (word == 'A')
		alive();
	else if (word == 'W')
		launcher_watch((pid_t)number);
}

static void listen_to_daemon(void)
{
	static unsigned number;
	static char word;
	char text[512];
	ssize_t n = read(words, text, sizeof(text));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		CLOSE_FD(words);
		word = 0;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == '\n') {
			heard(word, number);
			word = 0;
		} else if (word == 0) {
			word = text[i];
			number = 0;
		} else {
			number = number * 10 + (unsigned)(text[i] - '0');
		}
	}
}

static void launcher_ended(pid_t pid)
{
	if (state == LEAVING)
		return;
	say("the runtime that launched this daemon (pid %d) is gone: ending, too.", pid);
	leave(1, 0);
}

/* What is due; returns the milliseconds until something is, -1: nothing. */
static int tick(void)
{
	uint64_t now = now_ms(), next = UINT64_MAX;

	for (int i = 0; i < CHILDREN; i++) {
		struct child *child = &children[i];

		if (child->pid > 0 && child->kill_at && child->kill_at <= now) {
			kill(child->pid, SIGKILL);
			child->kill_at = 0;
		}
		if (child->pid == 0 && child->start_at && child->start_at <= now)
			start(i);
		if (child->pid > 0 && child->kill_at && child->kill_at < next)
			next = child->kill_at;
		if (child->pid == 0 && child->start_at && child->start_at < next)
			next = child->start_at;
	}
	if (state == LEAVING && leave_at < next)
		next = leave_at;
	return next == UINT64_MAX ? -1 : next > now ? (int)(next - now) : 0;
}

static bool is_over(void)
{
	for (int i = 0; i < CHILDREN; i++)
		if (children[i].pid > 0)
			return state == LEAVING && now_ms() >= leave_at;
	return state == LEAVING;
}

int family_run(void)
{
	start(BROKER);
	start(RELAY);
	if (family->settings->hosts_bus)
		start(BUS);
	start(DAEMON);
	while (!is_over()) {
		struct pollfd fds[2 + LAUNCHERS_MAX] = { { .fd = family->signals, .events = POLLIN },
							 { .fd = words, .events = POLLIN } };
		int n = nlaunchers, ms = tick();

		fds[1].fd = words; /* there may be a new daemon */
		for (int i = 0; i < n; i++)
			fds[2 + i] = (struct pollfd){ .fd = state == LEAVING ? -1 : launchers[i].fd, .events = POLLIN };
		if (is_over() || poll(fds, (nfds_t)(2 + n), ms) <= 0)
			continue;
		for (int i = 0; i < n; i++)
			if (fds[2 + i].revents)
				launcher_ended(launchers[i].pid);
		if (fds[1].revents)
			listen_to_daemon();
		if (fds[0].revents)
			signalled();
	}
	control_remove();
	return exit_code;
}
