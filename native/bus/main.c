/*
 * pvx-bus --folder PATH --store PATH --uids FIRST-LAST, with descriptor 3 the channel to its keeper.
 *
 * Root until the folders and the view of /etc/passwd are made. The end of the channel is its end; signals that go to
 * a whole group of processes (SIGTERM, SIGHUP, a terminal's Ctrl-C) are its parent's to answer. Its exit code is
 * CANT_BEGIN where it said by RECORD_FAILED why it can't be here: it will not be able to the next time either.
 */
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../privileges.h"

#define CANT_BEGIN 3

/* What is in our queue is taken out: the end of a socket that has something there is an error for the other end, and
 * not what it was told. */
static int refuse(const char *why)
{
	char unread;

	say(RECORD_FAILED, false, why, strlen(why));
	while (recv(CHANNEL, &unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
	return CANT_BEGIN;
}

static int fail(const char *what, int error)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	return refuse(text);
}

/* FIRST-LAST. Root is nobody's role, and no role's neighbour. */
static bool read_range(const char *text, uint32_t *first, uint32_t *last)
{
	char rest;

	return sscanf(text, "%u-%u%c", first, last, &rest) == 2 && *first > 1 && *first <= *last && *last < INT32_MAX;
}

/* Whether one line of our map, see user_namespaces(7), has all of them. */
static bool are_mapped(uint32_t first, uint32_t last)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	uint32_t inside, length;
	bool found = false;

	while (map && !found && fscanf(map, "%u %*u %u", &inside, &length) == 2)
		found = first >= inside && last - inside < length;
	if (map)
		fclose(map);
	return found;
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
	struct bus bus = { .path = "", .address = -1, .errors = -1, .hidden = -1 };
	const char *store = "", *uids = "";
	int error, signals;
	char text[128];
	uid_t user;

	process_seal();
	keyring_renew();
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--folder") == 0)
			bus.path = argv[i + 1];
		else if (strcmp(argv[i], "--store") == 0)
			store = argv[i + 1];
		else if (strcmp(argv[i], "--uids") == 0)
			uids = argv[i + 1];
	}
	if ((error = standard_streams()))
		return error;
	if (fcntl(CHANNEL, F_SETFD, FD_CLOEXEC) < 0)
		return errno;
	descriptors_end(CHANNEL + 1);
	if (*bus.path != '/' || *store != '/' || !read_range(uids, &bus.first, &bus.last))
		return fail("the folders and the uids of roles have to be given", EINVAL);
	user = bus.first - 1;
	bus.program = program_find();
	if (!bus.program)
		return refuse("dbus-daemon is not installed");
	snprintf(text, sizeof(text), "the user namespace here has no uids from %u to %u, and each role needs its own", user,
		 bus.last);
	if (!are_mapped(user, bus.last))
		return refuse(text);
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
