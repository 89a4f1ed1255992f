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
 * READY is a child from the daemon's word on that it is (R): then the relay has served it. A child that is started
 * without a new daemon is after a second.
 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
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

static enum { SERVING, DRAINING, LEAVING } state;
static int exit_code;
static uint64_t leave_at; /* the last moment */
static bool reloading, told_ready;
static int signals; /* a signalfd */
static bool hosts_bus;

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
	programs_end_bus();
	for (int i = 0; i < CHILDREN; i++) {
		if (children[i].pid > 0 && (i == BROKER || i == BUS))
			kill(children[i].pid, SIGTERM);
		children[i].start_at = 0;
		children[i].kill_at = now + (i == DAEMON ? daemon_ms : i == RELAY ? 0 : LEAVE_MS);
	}
}

static void start(int which)
{
	struct child *child = &children[which];
	pid_t pid = program_start(which);

	child->start_at = child->ready = 0;
	child->since = now_ms();
	child->pid = pid > 0 ? pid : 0;
	if (pid < 0) {
		say("%s can't be started: %s.", names[which], strerror(errno));
		if (which == BROKER)
			leave(1, 0);
		else
			child->start_at = child->since + MOST_MS; /* there is no process or descriptor to be had */
	}
	if (which == DAEMON && hosts_bus && !children[BUS].pid && !children[BUS].start_at)
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
	} else if (daemon_incarnation == 1 && !children[DAEMON].ready &&
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

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
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
	ssize_t n = read(daemon_words, text, sizeof(text));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		CLOSE_FD(daemon_words);
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

int family_run(const struct family *family)
{
	signals = family->signals;
	hosts_bus = family->settings->hosts_bus;
	start(BROKER);
	start(RELAY);
	if (hosts_bus)
		start(BUS);
	start(DAEMON);
	while (!is_over()) {
		struct pollfd fds[2 + LAUNCHERS_MAX] = { { .fd = signals, .events = POLLIN },
							 { .fd = daemon_words, .events = POLLIN } };
		int n = nlaunchers, ms = tick();

		fds[1].fd = daemon_words; /* there may be a new daemon */
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
