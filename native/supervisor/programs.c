/*
 * The programs of the children, what each is started with, and the sockets between them.
 *
 * The sockets are made once, and those ends are kept here whose child may be started again: a successor has the very
 * same descriptors, and nobody else notices that there is one. The daemon's words to us come over a pipe, which can
 * carry no descriptor, and each daemon has a new one: a word of a former one counts no more.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER (8 * 1024 * 1024)

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
unsigned daemon_incarnation;
int daemon_words = -1;

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

int programs_init(const struct family *of)
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

	CLOSE_FD(daemon_words);
	if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	daemon_words = pipe_ends[0];
	program.fds[0] = ends.daemon_broker;
	program.fds[1] = ends.daemon_relay;
	program.fds[2] = pipe_ends[1];
	program.fds[3] = family->listener >= 0 ? family->listener : ends.nothing;
	program.fds[4] = ends.daemon_bus >= 0 ? ends.daemon_bus : ends.nothing;
	if (ends.package >= 0)
		program.fds[program.nfds++] = ends.package;
	snprintf(main_file, sizeof(main_file), "%s/dist/main.js", ends.package >= 0 ? "/proc/self/fd/8" : package_root);
	snprintf(number, sizeof(number), "%u", ++daemon_incarnation);
	program.argv = argv = daemon_argv(main_file);
	setenv("PVX_INCARNATION", number, 1);
	pid = child_start(&program);
	unsetenv("PVX_INCARNATION");
	free(argv);
	CLOSE_FD(pipe_ends[1]);
	return pid;
}

pid_t program_start(int which)
{
	static pid_t (*const starts[CHILDREN])(void) = { start_broker, start_relay, start_bus, start_daemon };

	return starts[which]();
}

void programs_end_bus(void)
{
	CLOSE_FD(ends.daemon_bus);
	CLOSE_FD(ends.bus_daemon);
}
