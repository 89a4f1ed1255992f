/*
 * pv-xconnect [OPTION VALUE]...: the daemon and all that belongs to it; or a command, which Node.js runs alone.
 *
 * The order of the start: whoever launched us is watched from the first line on; the control socket is made first, as
 * that finds out whether another one is there already; users are chosen while all privileges are there.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "../privileges.h"

/* Children of other users are sent signals, and are started without a bounding set. */
#define OWN_CAPABILITIES (BROKER_CAPABILITIES | CAPABILITY(KILL) | CAPABILITY(SETPCAP))

static void ignore(int signal)
{
	(void)signal;
}

struct family family;

/* They are taken from the descriptor. The handlers are never called: by them it is to be seen in /proc that we take
 * these signals, and what whoever launched us ignored is not ignored. -1 with errno. */
static int take_signals(void)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		sigaddset(&set, taken[i]);
		signal(taken[i], ignore);
	}
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Of a terminal, or of whatever else standard input is, none of us has a use. 0 or an errno. */
static int leave_standard_input(void)
{
	int error = standard_streams(), nothing;

	if (error)
		return error;
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, 0) < 0)
		error = errno;
	CLOSE_FD(nothing);
	return error;
}

static int fail(const char *what, int error)
{
	say("%s: %s.", what, strerror(error));
	control_remove();
	return 1;
}

/* False: there is none, which was said. */
static bool choose_users(void)
{
	const struct settings *s = family.settings;
	const char *name = s->user;

	family.daemon_uid = family.daemon_gid = family.relay_uid = family.relay_gid = -1;
	if (only_root_is_mapped())
		return true;
	if (name) {
		if (!named_user(name, &family.daemon_uid, &family.daemon_gid)) {
			say("there is no user %s in /etc/passwd: give an existing one with --user.", name);
			return false;
		}
		if (family.daemon_uid == 0) {
			say("--user %s is root, which nobody becomes here: give a user without privileges.", name);
			return false;
		}
		family.relay_uid = family.daemon_uid;
		family.relay_gid = family.daemon_gid;
		return true;
	}
	family.daemon_uid = family.daemon_gid = (int32_t)own_user(s->first, s->last);
	family.relay_uid = family.relay_gid = (int32_t)own_user(s->first, s->last);
	if (family.relay_uid < 0)
		say("every user of this user namespace has somebody already: map more of them, or give one with --user.");
	return family.relay_uid >= 0;
}

/* What daemon and broker have to agree on. */
static bool tell_daemon(const struct settings *settings)
{
	char *list = strdup(settings->nbuses > 0 ? settings->buses[0] : "");

	for (int i = 1; i < settings->nbuses; i++) {
		char *longer;

		if (!list || asprintf(&longer, "%s\n%s", list, settings->buses[i]) < 0)
			return false;
		free(list);
		list = longer;
	}
	unsetenv("PVX_LAUNCHER");
	return list && setenv("PVX_BUSES", list, 1) == 0 && setenv("PVX_BUS_UIDS", settings->bus_uids, 1) == 0;
}

/* pv-xconnect --resumes NUMBER [OPTION VALUE]...: whether this image could go on where one is that has this number of
 * the protocol between versions, with that command line. The exit code. */
static int resumes(char **argv)
{
	struct settings settings;

	if (atoi(argv[2]) != PVX_BETWEEN_VERSIONS)
		return EXIT_OTHER_PROTOCOL;
	return settings_read(&settings, argv + 2) && package_is_whole() && node_find() ? 0 : 1;
}

/* We are the same process as before, with the same children, and an upgrade goes on. */
static int resume(int state)
{
	int error;

	unsetenv("PVX_RESUME");
	process_seal();
	if (!state_load(state, upgrade_state)) {
		say("PVX_RESUME=%d names no state of a version that can be resumed: ending, to be started anew.", state);
		return 1;
	}
	CLOSE_FD(state);
	if ((family.signals = take_signals()) < 0)
		return fail("signals", errno);
	if ((error = privileges_keep(OWN_CAPABILITIES)))
		return fail("giving up capabilities", error);
	return family_run(true);
}

int main(int argc, char **argv)
{
	const char *launcher = getenv("PVX_LAUNCHER"), *state = getenv("PVX_RESUME");
	struct settings settings;
	bool failed;
	char *node;
	int error = package_find();

	if (error)
		return fail("/proc/self/exe", error);
	if (argc > 2 && strcmp(argv[1], "--resumes") == 0)
		return resumes(argv);
	family = (struct family){ .settings = &settings, .args = argv + 1 };
	if (geteuid() != 0 || !settings_read(&settings, argv)) {
		if (state)
			return fail("PVX_RESUME", EINVAL);
		command_run(argv);
	}
	if (state)
		return resume(atoi(state));
	process_seal();
	keyring_renew();
	descriptors_end(3);
	if ((error = leave_standard_input()))
		return fail("/dev/null", error);
	if ((family.signals = take_signals()) < 0)
		return fail("signals", errno);
	if (launcher && atoi(launcher) > 0 && !launcher_watch(atoi(launcher))) {
		say("the runtime that launched this daemon (pid %s) is gone: ending, too.", launcher);
		return 1;
	}
	if (!package_is_whole() || !(node = node_find()))
		return 1;
	notify_init();
	control_listen(settings.control, &failed);
	if (failed)
		return 1;
	if (!choose_users()) {
		control_remove();
		return 1;
	}
	if (!tell_daemon(&settings))
		return fail("start", ENOMEM);
	if ((error = programs_init()) || (error = version_open(&current, package_root, node)))
		return fail("channels", error);
	if ((error = privileges_keep(OWN_CAPABILITIES)))
		return fail("giving up capabilities", error);
	return family_run(false);
}
