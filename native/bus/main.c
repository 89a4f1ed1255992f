/*
 * pvx-bus --folder PATH --store PATH --user UID [--last UID] [--program PATH], with descriptor 3 the channel to its
 * parent. The roles have the uids behind the user's, to the last one. The program is looked for where it is not given.
 *
 * Root until the folders and the view of /etc/passwd are made. The end of the channel is its end; signals that go to
 * a whole group of processes (SIGTERM, SIGHUP, a terminal's Ctrl-C) are its parent's to answer.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../privileges.h"

static int fail(const char *what, int error)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s: %s", what, strerror(error));

	say(RECORD_FAILED, false, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return 1;
}

/* Whether one line of our uid_map, see user_namespaces(7), has the whole range. */
static bool are_mapped(uid_t first, uid_t last)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned long inside, length;
	bool mapped = false;

	while (map && !mapped && fscanf(map, "%lu %*u %lu", &inside, &length) == 2)
		mapped = first >= inside && last < inside + length;
	if (map)
		fclose(map);
	return mapped;
}

/* Why it can't run here at all: the end of a sentence. */
static int cannot(const char *format, uid_t user, uid_t last)
{
	char text[256];
	int n = snprintf(text, sizeof(text), format, user, last);

	say(RECORD_FAILED, false, text, (size_t)n);
	return 1;
}

/* A descriptor that SIGCHLD is read from; -1 with errno. */
static int signals_init(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Its folder stays, empty: the one around it is root's. */
static void clean_up(const struct bus *bus)
{
	unlinkat(bus->folder, SOCKET_FILE, 0);
	unlinkat(bus->folder, CONFIG_FILE, 0);
	users_end(bus);
}

int main(int argc, char **argv)
{
	struct bus bus = { .path = "", .program = "", .address = -1, .errors = -1, .hidden = -1 };
	const char *store = "";
	uid_t user = 0, last = 0;
	int error, signals;

	process_seal();
	keyring_renew();
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--folder") == 0)
			bus.path = argv[i + 1];
		else if (strcmp(argv[i], "--store") == 0)
			store = argv[i + 1];
		else if (strcmp(argv[i], "--user") == 0)
			user = (uid_t)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--last") == 0)
			last = (uid_t)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--program") == 0)
			bus.program = argv[i + 1];
	}
	if ((error = standard_streams()))
		return error;
	if (fcntl(CHANNEL, F_SETFD, FD_CLOEXEC) < 0)
		return errno;
	descriptors_end(CHANNEL + 1);
	if (*bus.path != '/' || *store != '/' || user == 0)
		return fail("the folders and a user that is not root have to be given", EINVAL);
	if (!*bus.program && !(bus.program = program_find()))
		return cannot("dbus-daemon is not installed", 0, 0);
	if (last > 0 && !are_mapped(user, last))
		return cannot("the user namespace here has no uids from %u to %u, and each role needs its own", user,
			      last);
	umask(0022); /* the folders around ours are others' too */
	raise_descriptor_limit(); /* the bus, our child, has one for each connection */
	if ((signals = signals_init()) < 0)
		return fail("signals", errno);
	if ((error = folder_open(bus.path, user, &bus.folder)))
		return fail(bus.path, error);
	if ((error = folder_open(store, user, &bus.store)))
		return fail(store, error);
	umask(0077);
	/* Two that share a folder would take the bus, or the uids, from under each other. */
	if ((error = folder_lock(bus.folder)) ||
	    (!folder_same(bus.folder, bus.store) && (error = folder_lock(bus.store))))
		return fail(error == EBUSY ? "another one has the folder of the bus or of its uids" : "lock", error);
	if ((error = users_init(&bus, user)))
		return fail("an /etc/passwd of its own for the bus", error);
	bus.hidden = program_hide(bus.program);
	if (chdir(bus.path) < 0) /* from here on it need not be allowed to find the way */
		return fail(bus.path, errno);
	if ((error = privileges_drop((int32_t)user, (int32_t)user)))
		return fail("becoming the bus's own user", error);
	process_seal(); /* that was undone */
	unlinkat(bus.folder, SOCKET_FILE, 0); /* of one that was killed */
	error = loop(&bus, signals);
	child_end(&bus);
	clean_up(&bus);
	return error;
}
