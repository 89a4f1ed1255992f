/*
 * Another version takes over: without a connection that ends, and back again where it does not come up.
 *
 *          U              it resumes, and has         z                h of both              R
 *   IDLE ─────▶ CHECKING ─────────────────▶ FREEZING ─────▶ HANDING ─────────────▶ TRYING ─────────▶ it is the current one
 *    ▲             │         our place         │               │ broker and relay     │ the daemon      │
 *    │ refused     ▼                           ▼               ▼ of the other one     ▼ as well         │
 *    ├◀────────────┴───────────────────────────┘    GIVEN UP ◀─┴──────────────────────┘                 │
 *    │                 all of the other version have ended  │                                           │
 *    └◀─────────────────────────────────────────────────────┴◀──────────────────────────────────────────┘
 *
 * CHECKING asks the other image whether it can go on from here; then it takes our place (state.c), and the rest is run
 * by it. Until TRYING is over `other` is the new version and is killed if anything goes wrong: then `current` thaws, and
 * nothing has happened. When it serves, the old version is retired (retired.c). The bus goes on, whoever serves.
 *
 * Only a version that has frozen, and whose broker can be told so, is ever replaced: a broker that did not know would
 * remove at its end what is the new one's.
 */
#include "supervisor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NUMBER TEXT_OF(PVX_BETWEEN_VERSIONS)
#define CHECK_MS 5000u
#define FREEZE_MS 5000u
#define HAND_MS 5000u
#define TRY_MS 10000u
#define DRAIN_S 3600u
#define DRAIN_MAX_S (30u * 24 * 3600)

static enum { IDLE, CHECKING, FREEZING, HANDING, TRYING, GIVEN_UP } stage;
static uint64_t deadline; /* of CHECKING to TRYING */
static uint32_t drain_s;
static pid_t checker; /* 0: none runs */
static bool has_handed[CHILDREN];

static bool is_trial(void)
{
	return stage == FREEZING || stage == HANDING || stage == TRYING;
}

static void enter(int next, uint64_t ms)
{
	stage = next;
	deadline = now_ms() + ms;
}

/* False: it can't be told. */
static bool tell_daemon(const struct version *v, const char *word)
{
	return v->to_daemon >= 0 && write(v->to_daemon, word, strlen(word)) == (ssize_t)strlen(word);
}

/* A record, perhaps with a descriptor. */
static bool tell(int channel, const char *word, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec text = { .iov_base = (char *)word, .iov_len = strlen(word) };
	struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	return sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void kill_all(const struct version *v)
{
	for (int i = 0; i < CHILDREN; i++)
		if (v->children[i].pid > 0)
			kill(v->children[i].pid, SIGKILL);
}

/* To the daemon, whose user asked. */
static void refuse(const char *why)
{
	char text[PATH_MAX + 600];

	snprintf(text, sizeof(text), "X%s\n", why);
	tell_daemon(&current, text);
}

static void refuse_for_long(void)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "%d versions before this one still have connections: try again when those of one of them have ended, in %u "
		 "minutes at the latest",
		 RETIRED_MAX, retired_minutes());
	refuse(text);
}

static void clear(void)
{
	version_close(&other);
	stage = IDLE;
}

void upgrade_give_up(const char *why, ...)
{
	char text[PATH_MAX + 512];
	bool was_trial = is_trial();
	va_list list;

	if (stage != CHECKING && !was_trial)
		return;
	va_start(list, why);
	vsnprintf(text, sizeof(text), why, list);
	va_end(list);
	if (checker)
		kill(checker, SIGKILL);
	kill_all(&other); /* so that its broker removes nothing */
	stage = GIVEN_UP;
	if (was_trial) {
		tell(current.us_broker, "T", -1);
		tell(current.us_relay, "T", -1);
		tell_daemon(&current, "T\n");
	}
	say("the upgrade was given up: %s.", text);
	refuse(text);
	family_ready();
	if (version_has_ended(&other) && !checker)
		clear();
}

/* Whether the image that is there now, perhaps another one, can go on from here with our command line. */
static pid_t check(void)
{
	char **argv;
	size_t n = 0;
	pid_t pid;

	while (family.args[n])
		n++;
	argv = calloc(n + 4, sizeof(*argv));
	if (!argv)
		return -1;
	argv[0] = image_path;
	argv[1] = "--resumes";
	argv[2] = NUMBER;
	memcpy(argv + 3, family.args, n * sizeof(*argv));
	pid = child_start(&(struct program){ .path = image_path, .argv = argv, .keeps_root = true, .death = SIGKILL });
	free(argv);
	return pid;
}

/* Of the environment, or the default where that says no number. */
static unsigned long usual_drain(void)
{
	const char *given = getenv("PV_XCONNECT_UPGRADE_DRAIN");
	bool is_number = given && *given && strspn(given, "0123456789") == strlen(given);

	return is_number ? strtoul(given, NULL, 10) : DRAIN_S;
}

void upgrade_begin(const unsigned *drain)
{
	unsigned long seconds = drain ? *drain : usual_drain();
	pid_t pid;

	if (!family_is_serving()) {
		refuse("it is ending, or only just starting");
	} else if (!retired_have_room()) {
		refuse_for_long();
	} else if (stage == GIVEN_UP) {
		refuse("what an upgrade left that was given up has not ended yet: try again in a moment");
	} else if (stage != IDLE) {
		refuse("another upgrade is under way");
	} else {
		drain_s = (uint32_t)(seconds < DRAIN_MAX_S ? seconds : DRAIN_MAX_S);
		family_reloading();
		enter(CHECKING, CHECK_MS);
		pid = check();
		checker = pid > 0 ? pid : 0;
		if (pid < 0)
			upgrade_give_up("%s can't be started: %s", image_path, strerror(errno));
	}
}

void upgrade_state(struct state *state)
{
	programs_state(state);
	version_state(&current, "version", state);
	retired_state(state);
	family_state(state);
	control_state(state);
	own_user_state(state);
	launcher_state(state);
	notify_state(state);
	state_section(state, "upgrade");
	STATE_NUMBER(state, "drain", drain_s);
}

/* Does not return, unless it fails. */
static void become_other(void)
{
	int error, state = state_save(upgrade_state);
	char number[16];

	if (state < 0) {
		error = errno;
	} else {
		snprintf(number, sizeof(number), "%d", state);
		setenv("PVX_RESUME", number, 1);
		execv(image_path, family.args - 1);
		error = errno;
		unsetenv("PVX_RESUME");
		state_load(state, upgrade_state); /* what is not for our children is so again */
		CLOSE_FD(state);
	}
	upgrade_give_up("%s can't be executed: %s", image_path, strerror(error));
}

static void checked(int status)
{
	checker = 0;
	if (stage == GIVEN_UP) {
		if (version_has_ended(&other))
			clear();
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		become_other();
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OTHER_PROTOCOL) {
		upgrade_give_up("%s does not have number %d of the protocol between versions, as this version does: restart "
				"pv-xconnect to have it",
				image_path, PVX_BETWEEN_VERSIONS);
	} else {
		upgrade_give_up("%s can't go on where this version is (%s): restart pv-xconnect to have it", image_path,
				how(status));
	}
}

void upgrade_resume(void)
{
	enter(FREEZING, FREEZE_MS);
	if (!tell_daemon(&current, "Z" NUMBER "\n"))
		upgrade_give_up("the daemon can't be told to freeze");
}

static void start_trial(int which, int handed)
{
	struct child *child = &other.children[which];

	child->since = now_ms();
	child->pid = program_start(&other, which, handed);
	if (child->pid > 0)
		return;
	child->pid = 0;
	upgrade_give_up("%s of the new version can't be started: %s", child_names[which], strerror(errno));
}

/* One of the new version gets what the old one of its kind has. */
static void hand_over(int which, int channel)
{
	int ends[2];

	if (stage != HANDING)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		upgrade_give_up("there is no socket: %s", strerror(errno));
		return;
	}
	start_trial(which, ends[0]);
	if (stage == HANDING && (!tell(channel, "Z" NUMBER, -1) || !tell(channel, "H" NUMBER, ends[1])))
		upgrade_give_up("%s can't be told to hand over: %s", child_names[which], strerror(errno));
	CLOSE_FD(ends[0]);
	CLOSE_FD(ends[1]);
}

void upgrade_frozen(unsigned version)
{
	char *node;
	int error;

	if (stage != FREEZING)
		return;
	if (version != PVX_BETWEEN_VERSIONS) {
		upgrade_give_up("the running daemon has number %u of the protocol between versions, and the new version %d: "
				"restart pv-xconnect to have that",
				version, PVX_BETWEEN_VERSIONS);
		return;
	}
	node = node_find();
	error = node ? version_open(&other, package_root, node) : ENOENT;
	free(node);
	enter(HANDING, HAND_MS);
	memset(has_handed, 0, sizeof(has_handed));
	if (error)
		upgrade_give_up("the new version can't be started: %s", strerror(error));
	hand_over(BROKER, current.us_broker);
	hand_over(RELAY, current.us_relay);
}

/* The first that it says; its end of the channel may be closed before it is seen that it has ended. */
static void hear_handed(int which, int *channel)
{
	char word = 0;
	ssize_t n = recv(*channel, &word, 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		CLOSE_FD(*channel);
	else if (n == 1 && word == 'h')
		has_handed[which] = true;
	if (stage == HANDING && has_handed[BROKER] && has_handed[RELAY]) {
		enter(TRYING, TRY_MS);
		tell(current.us_relay, "T", -1); /* the new one accepts nobody yet, and its daemon takes a while to start */
		start_trial(DAEMON, -1);
		family_begin_bus();
	}
}

/* The new version is the current one from here on. */
static void swap(void)
{
	struct child bus = current.children[BUS];
	uint64_t now = now_ms();

	retired_add(&current, drain_s);
	current = other;
	other = (struct version){ NO_DESCRIPTORS };
	current.children[BUS] = bus;
	for (int i = 0; i < CHILDREN; i++)
		if (i != BUS)
			current.children[i].ready = now;
}

void upgrade_ready(void)
{
	char drain[16];

	if (stage != TRYING)
		return;
	snprintf(drain, sizeof(drain), "C%u", drain_s);
	if (!tell(current.us_broker, "C", -1)) {
		upgrade_give_up("the old broker can't be told: %s", strerror(errno));
		return;
	}
	/* Who doesn't hear it would go on serving, and the new relay accepts nobody until the old one does no more. */
	if (!tell(current.us_relay, drain, -1))
		kill(current.children[RELAY].pid, SIGKILL);
	if (!tell_daemon(&current, "C\n"))
		kill(current.children[DAEMON].pid, SIGKILL);
	if (!tell(other.us_relay, "T", -1))
		kill(other.children[RELAY].pid, SIGKILL); /* its successor was handed nothing, and waits for nobody */
	swap();
	stage = IDLE;
	family_ready();
}

bool upgrade_reaped(pid_t pid, int status)
{
	int which = version_child(&other, pid);

	if (pid == checker) {
		checked(status);
		return true;
	}
	if (which < 0)
		return retired_reaped(pid, status);
	other.children[which].pid = 0;
	upgrade_give_up("%s of the new version ended (%s)", child_names[which], how(status));
	if (stage == GIVEN_UP && version_has_ended(&other) && !checker)
		clear();
	return true;
}

void upgrade_leave(void)
{
	upgrade_give_up("all of it is ending");
	retired_leave();
}

bool upgrade_has_ended(void)
{
	return version_has_ended(&other) && retired_have_ended();
}

void upgrade_watch(struct pollfd fds[UPGRADE_FDS])
{
	fds[0] = (struct pollfd){ .fd = stage == TRYING ? other.from_daemon : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = stage == HANDING ? other.us_broker : -1, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = stage == HANDING ? other.us_relay : -1, .events = POLLIN };
}

void upgrade_hear(const struct pollfd fds[UPGRADE_FDS])
{
	/* What was seen when the version was another one may not be there any more. */
	if (fds[0].revents && stage == TRYING && fds[0].fd == other.from_daemon)
		family_listen(&other);
	if (fds[1].revents && stage == HANDING && fds[1].fd == other.us_broker)
		hear_handed(BROKER, &other.us_broker);
	if (fds[2].revents && stage == HANDING && fds[2].fd == other.us_relay)
		hear_handed(RELAY, &other.us_relay);
}

uint64_t upgrade_tick(uint64_t now)
{
	uint64_t next = retired_tick(now);

	if ((stage == CHECKING || is_trial()) && deadline <= now)
		upgrade_give_up("%s",
				stage == CHECKING ? "the other version does not say in time whether it can go on" :
				stage == FREEZING ? "the daemon did not freeze in time" :
				stage == HANDING  ? "broker and relay were not handed over in time" :
						    "the daemon of the new version was not ready in time");
	if ((stage == CHECKING || is_trial()) && deadline < next)
		next = deadline;
	return next;
}
