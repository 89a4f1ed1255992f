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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define FIRST_MS 100u
#define MOST_MS 5000u
#define SETTLED_MS 5000u  /* it was ready for so long: its end is a new story */
#define BEGUN_MS 1000u    /* a program that says nothing has begun by then */
#define QUICK_MS 60000u   /* QUICK_MAX ends in a row, none of them ready, within this time: it will not get better */
#define END_MS 10000u     /* so much more than the drain time it has that is to end */
#define SAY_MS 1000u      /* it has seen for itself that the broker is gone, and says so */
#define REAP_MS 500u      /* whom that does not end is left to process 1 */
#define EXIT_CANT_BEGIN 3 /* of pvx-bus: it will never be able to here, and has said so */
#define EXIT_SUCCESSOR 75 /* of the daemon, EX_TEMPFAIL: it wants a successor */

const char *const child_names[CHILDREN] = { "pvx-broker", "pvx-relay", "pvx-bus", "the daemon" };

static struct child *const children = current.children;

static enum { SERVING, DRAINING, LEAVING } state;
static int exit_code;
static uint64_t leave_at; /* the last moment */
static bool reloading, told_ready;

/* Whether systemd reads our standard error (systemd.exec(5), JOURNAL_STREAM): src/kernel/log.ts has it for the daemon. */
static bool is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat s;

	if (!named || fstat(2, &s) < 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino);
	return strcmp(named, ours) == 0;
}

void say(const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (n > 0)
		dprintf(2, "%spv-xconnect: %s\n", is_journal() ? "<4>" : "", text); /* a warning: sd-daemon(3) */
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
	upgrade_leave();
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
	pid_t pid;

	version_find(&current);
	pid = program_start(&current, which, -1);
	child->start_at = child->ready = 0;
	child->since = now_ms();
	child->pid = pid > 0 ? pid : 0;
	if (pid < 0) {
		say("%s can't be started: %s.", child_names[which], strerror(errno));
		if (which == BROKER)
			leave(1, 0);
		else
			child->start_at = child->since + MOST_MS; /* there is no process or descriptor to be had */
	}
	if (which == DAEMON)
		family_begin_bus();
}

void family_begin_bus(void)
{
	if (family.settings->hosts_bus && !children[BUS].pid && !children[BUS].start_at)
		start(BUS); /* that it can't begin, it said to the daemon before this one */
}

const char *how(int status)
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
		say("%s ended (%s), for the %dth time without having been ready: giving up.", child_names[which], how(status),
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
		say("%s ended (%s): it is started again%s.", child_names[which], how(status), wait ? " in a moment" : "");
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
	if (which != BUS)
		upgrade_give_up("%s ended (%s) meanwhile", child_names[which], how(status));
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
	int status, which;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!upgrade_reaped(pid, status) && (which = version_child(&current, pid)) >= 0)
			ended(which, status);
}

static void drain(void)
{
	if (state != SERVING)
		return;
	upgrade_give_up("it was asked to end");
	notify_stopping();
	if (children[DAEMON].pid == 0) {
		leave(0, 0);
		return;
	}
	state = DRAINING;
	children[DAEMON].kill_at = now_ms() + family.settings->stop_drain_ms + END_MS;
	kill(children[DAEMON].pid, SIGTERM);
}

bool family_is_serving(void)
{
	return state == SERVING && children[DAEMON].pid > 0 && children[DAEMON].ready && children[RELAY].pid > 0;
}

void family_reloading(void)
{
	if (told_ready)
		notify_reloading();
	reloading = true;
}

/* A daemon that is not ready yet does not catch it, and looks at the graph in any case. */
static void reload(void)
{
	if (state != SERVING)
		return;
	family_reloading();
	if (children[DAEMON].pid > 0 && children[DAEMON].ready)
		kill(children[DAEMON].pid, SIGHUP);
}

static void signalled(void)
{
	struct signalfd_siginfo info;

	while (read(family.signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			drain();
		else if (info.ssi_signo == SIGHUP)
			reload();
	}
	reap();
}

void family_ready(void)
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
	family_ready();
}

/* The trial's daemon does not speak for the one that serves. */
static void heard(const struct version *from, struct word word)
{
	if (word.letter == 'W')
		launcher_watch((pid_t)word.number);
	else if (word.letter == 'A')
		notify_alive();
	else if (word.letter == 'R' && from == &other)
		upgrade_ready();
	else if (from == &other)
		return;
	else if (word.letter == 'R')
		became_ready();
	else if (word.letter == 'G')
		family_ready();
	else if (word.letter == 'U')
		upgrade_begin(word.has_number ? &word.number : NULL);
	else if (word.letter == 'z')
		upgrade_frozen(word.number);
}

void family_listen(struct version *from)
{
	char text[512];
	int fd = from->from_daemon;
	ssize_t n = read(fd, text, sizeof(text));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		CLOSE_FD(from->from_daemon);
		from->heard = (struct word){ 0 };
	}
	for (ssize_t i = 0; i < n && from->from_daemon == fd; i++) {
		struct word *word = &from->heard, whole = *word;

		if (text[i] == '\n') {
			*word = (struct word){ 0 };
			heard(from, whole); /* which may start another daemon, or end this one */
		} else if (word->letter == 0) {
			word->letter = text[i];
		} else {
			word->has_number = true;
			word->number = word->number * 10 + (unsigned)(text[i] - '0');
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
	uint64_t now = now_ms(), next = upgrade_tick(now);

	version_kill_due(&current, now, &next);
	for (int i = 0; i < CHILDREN; i++) {
		struct child *child = &children[i];

		if (child->pid == 0 && child->start_at && child->start_at <= now)
			start(i);
		if (child->pid == 0 && child->start_at && child->start_at < next)
			next = child->start_at;
	}
	if (state == LEAVING && leave_at < next)
		next = leave_at;
	return next == UINT64_MAX ? -1 : next <= now ? 0 : next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

static bool is_over(void)
{
	return state == LEAVING && ((version_has_ended(&current) && upgrade_has_ended()) || now_ms() >= leave_at);
}

void family_state(struct state *to)
{
	state_section(to, "family");
	STATE_NUMBER(to, "reloading", reloading);
	STATE_NUMBER(to, "told-ready", told_ready);
}

int family_run(bool resumed)
{
	if (resumed) {
		upgrade_resume();
		reap(); /* those that ended while nobody looked */
	} else {
		start(BROKER);
		start(RELAY);
		if (family.settings->hosts_bus)
			start(BUS);
		start(DAEMON);
	}
	while (!is_over()) {
		struct pollfd fds[2 + UPGRADE_FDS + LAUNCHERS_MAX], *watched = fds + 2, *launched = watched + UPGRADE_FDS;
		int n = nlaunchers, ms = tick();

		fds[0] = (struct pollfd){ .fd = family.signals, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = current.from_daemon, .events = POLLIN };
		upgrade_watch(watched);
		for (int i = 0; i < n; i++)
			launched[i] = (struct pollfd){ .fd = state == LEAVING ? -1 : launchers[i].fd, .events = POLLIN };
		if (is_over() || poll(fds, (nfds_t)(2 + UPGRADE_FDS + n), ms) <= 0)
			continue;
		for (int i = 0; i < n; i++)
			if (launched[i].revents)
				launcher_ended(launchers[i].pid);
		if (fds[1].revents)
			family_listen(&current);
		upgrade_hear(watched);
		if (fds[0].revents)
			signalled();
	}
	control_remove();
	return exit_code;
}
