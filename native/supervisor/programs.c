/*
 * The programs of the children, what each is started with, and the sockets between them.
 *
 * The sockets are made once for a version, and those ends are kept here whose child may be started again: a successor
 * has the very same descriptors, and nobody else notices that there is one. The daemon's words to us come over a pipe,
 * which can carry no descriptor, and each daemon has a new one: a word of a former one counts no more. So has what it
 * reads from us.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER (8 * 1024 * 1024)
#define CODE "/proc/self/fd/9" /* the folder of the code, as the daemon has it */

struct version current = { NO_DESCRIPTORS }, other = { NO_DESCRIPTORS };

/* No upgrade touches the bus. */
static int bus_daemon = -1, daemon_bus = -1;
static int nothing = -1; /* /dev/null, in place of what there is none of */
uint32_t daemon_incarnation;

/* Large buffers: what is said to a child that is away waits in them. Without the privilege, as large as may be. */
static int make_pair(int *one, int *other_end)
{
	int pair[2], size = BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*one = pair[0];
	*other_end = pair[1];
	return 0;
}

int programs_init(void)
{
	/* Our children have few threads, which allocate little: an arena for each costs the daemon a megabyte (mallopt(3)). */
	setenv("MALLOC_ARENA_MAX", "1", 0);
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0)
		return errno;
	return family.settings->hosts_bus ? make_pair(&daemon_bus, &bus_daemon) : 0;
}

void programs_state(struct state *state)
{
	state_section(state, "programs");
	STATE_NUMBER(state, "daemon-uid", family.daemon_uid);
	STATE_NUMBER(state, "daemon-gid", family.daemon_gid);
	STATE_NUMBER(state, "relay-uid", family.relay_uid);
	STATE_NUMBER(state, "relay-gid", family.relay_gid);
	STATE_NUMBER(state, "incarnation", daemon_incarnation);
	state_descriptor(state, "bus-daemon", &bus_daemon);
	state_descriptor(state, "daemon-bus", &daemon_bus);
	state_descriptor(state, "nothing", &nothing);
}

int version_open(struct version *v, const char *root, const char *node)
{
	int error;

	*v = (struct version){ NO_DESCRIPTORS };
	snprintf(v->root, sizeof(v->root), "%s", root);
	snprintf(v->node, sizeof(v->node), "%s", node);
	if ((error = make_pair(&v->daemon_broker, &v->broker_daemon)) ||
	    (error = make_pair(&v->relay_broker, &v->broker_relay)) ||
	    (error = make_pair(&v->daemon_relay, &v->relay_daemon)) || (error = make_pair(&v->us_broker, &v->broker_us)) ||
	    (error = make_pair(&v->us_relay, &v->relay_us)))
		return error;
	return 0;
}

void version_find(struct version *v)
{
	char *missing = package_lacks(v->root), *node;

	if (missing && strcmp(v->root, package_root) != 0) {
		say("%s is missing: what is started again is of %s.", missing, package_root);
		snprintf(v->root, sizeof(v->root), "%s", package_root);
	}
	free(missing);
	if (access(v->node, X_OK) == 0 || !(node = node_find()))
		return;
	snprintf(v->node, sizeof(v->node), "%s", node);
	free(node);
}

void version_close(struct version *v)
{
#define CLOSE_THIS(name) CLOSE_FD(v->name);
	VERSION_DESCRIPTORS(CLOSE_THIS)
}

int version_child(const struct version *v, pid_t pid)
{
	for (int i = 0; i < CHILDREN; i++)
		if (v->children[i].pid == pid)
			return i;
	return -1;
}

bool version_has_ended(const struct version *v)
{
	for (int i = 0; i < CHILDREN; i++)
		if (v->children[i].pid > 0)
			return false;
	return true;
}

void version_kill_due(struct version *v, uint64_t now, uint64_t *next)
{
	for (int i = 0; i < CHILDREN; i++) {
		struct child *child = &v->children[i];

		if (child->pid <= 0 || !child->kill_at)
			continue;
		if (child->kill_at > now) {
			*next = child->kill_at < *next ? child->kill_at : *next;
			continue;
		}
		kill(child->pid, SIGKILL);
		child->kill_at = 0;
	}
}

void version_state(struct version *v, const char *name, struct state *state)
{
	state_section(state, "%s", name);
	state_text(state, "root", v->root, sizeof(v->root));
	state_text(state, "node", v->node, sizeof(v->node));
#define STATE_OF(name) state_descriptor(state, #name, &v->name);
	VERSION_DESCRIPTORS(STATE_OF)
	for (int i = 0; i < CHILDREN; i++) {
		struct child *child = &v->children[i];

		state_section(state, "%s-child-%d", name, i);
		STATE_NUMBER(state, "pid", child->pid);
		STATE_NUMBER(state, "since", child->since);
		STATE_NUMBER(state, "ready", child->ready);
		STATE_NUMBER(state, "start-at", child->start_at);
		STATE_NUMBER(state, "kill-at", child->kill_at);
		STATE_NUMBER(state, "quick", child->quick);
		STATE_NUMBER(state, "failures", child->failures);
		for (int k = 0; k < QUICK_MAX; k++) {
			state_section(state, "%s-child-%d-failure-%d", name, i, k);
			STATE_NUMBER(state, "at", child->failed_at[k]);
		}
	}
}

static char *built(const struct version *v, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/build/Release/%s", v->root, name) < 0)
		abort();
	return path;
}

static pid_t start_broker(struct version *v, int handed)
{
	const struct settings *s = family.settings;
	char *argv[8 + 2 * BUSES_MAX + 4], *path = built(v, "pvx-broker");
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
					     .fds = { v->broker_daemon, v->broker_relay, v->broker_us, handed },
					     .nfds = handed < 0 ? 3 : 4 });
	free(path);
	CLOSE_FD(v->broker_daemon); /* it has no successor: its end is to be seen by all */
	CLOSE_FD(v->broker_relay);
	CLOSE_FD(v->broker_us);
	return pid;
}

static pid_t start_relay(struct version *v, int handed)
{
	char *path = built(v, "pvx-relay"), *argv[] = { path, NULL };
	pid_t pid = child_start(&(struct program){ .path = path, .argv = argv, .death = SIGKILL,
						   .uid = family.relay_uid, .gid = family.relay_gid,
						   .fds = { v->relay_broker, v->relay_daemon, v->relay_us, handed },
						   .nfds = handed < 0 ? 3 : 4 });

	free(path);
	return pid;
}

static pid_t start_bus(struct version *v)
{
	const struct settings *s = family.settings;
	char *path = built(v, "pvx-bus");
	char *argv[] = { path, "--folder", s->bus_folder, "--store", s->bus_store, "--uids", (char *)s->bus_uids, NULL };
	pid_t pid = child_start(&(struct program){ .path = path, .argv = argv, .keeps_root = true, .death = SIGTERM,
						   .fds = { bus_daemon }, .nfds = 1 });

	free(path);
	return pid;
}

/* The daemon has few megabytes of objects. A small young generation, and code that is compiled for its size, save memory
 * (the latter 4 MiB with 100 links) and cost no time that can be measured on a request or a message. */
static char *const node_options[] = { "--max-semi-space-size=1", "--optimize-for-size",
				      "--disable-warning=ExperimentalWarning" };
#define NODE_OPTIONS (sizeof(node_options) / sizeof(*node_options))

static char **daemon_argv(const struct version *v, const char *main_file, bool by_folder)
{
	size_t given = 0, n = 0;
	char **argv;

	while (family.args[given])
		given++;
	argv = calloc(given + NODE_OPTIONS + 5, sizeof(*argv));
	if (!argv)
		abort();
	argv[n++] = (char *)v->node;
	for (size_t i = 0; i < NODE_OPTIONS; i++)
		argv[n++] = node_options[i];
	if (by_folder)
		argv[n++] = "--preserve-symlinks", argv[n++] = "--preserve-symlinks-main";
	argv[n++] = (char *)main_file;
	memcpy(argv + n, family.args, given * sizeof(*argv));
	return argv;
}

/* Its end is one that it may wait on; ours is not. */
static int make_pipes(int *from_daemon, int *to_us, int *from_us, int *to_daemon)
{
	int one[2], two[2];

	if (pipe2(one, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (pipe2(two, O_CLOEXEC) < 0) {
		CLOSE_FD(one[0]);
		CLOSE_FD(one[1]);
		return -1;
	}
	fcntl(two[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	*from_daemon = one[0];
	*to_us = one[1];
	*from_us = two[0];
	*to_daemon = two[1];
	return 0;
}

/* Its descriptors: to the broker, the relay, us; the control socket's listener; to the bus; from us; the folder of its
 * code. */
static pid_t start_daemon(struct version *v)
{
	char main_file[PATH_MAX + 16], number[16], **argv;
	struct program program = { .path = v->node, .uid = family.daemon_uid, .gid = family.daemon_gid,
				   .death = SIGKILL, .nfds = 6 };
	int to_us, from_us, package = -1;
	pid_t pid;

	CLOSE_FD(v->from_daemon);
	CLOSE_FD(v->to_daemon);
	v->heard = (struct word){ 0 };
	if (make_pipes(&v->from_daemon, &to_us, &from_us, &v->to_daemon) < 0)
		return -1;
	program.fds[0] = v->daemon_broker;
	program.fds[1] = v->daemon_relay;
	program.fds[2] = to_us;
	program.fds[3] = control_listener() >= 0 ? control_listener() : nothing;
	program.fds[4] = daemon_bus >= 0 ? daemon_bus : nothing;
	program.fds[5] = from_us;
	snprintf(main_file, sizeof(main_file), "%s/dist/main.js", v->root);
	if (!can_reach(main_file, family.daemon_uid, family.daemon_gid))
		package = open(v->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (package >= 0) {
		program.fds[program.nfds++] = package;
		snprintf(main_file, sizeof(main_file), "%s/dist/main.js", CODE);
	}
	snprintf(number, sizeof(number), "%u", ++daemon_incarnation);
	program.argv = argv = daemon_argv(v, main_file, package >= 0);
	setenv("PVX_INCARNATION", number, 1);
	setenv("PVX_BETWEEN_VERSIONS", TEXT_OF(PVX_BETWEEN_VERSIONS), 1);
	pid = child_start(&program);
	unsetenv("PVX_INCARNATION");
	unsetenv("PVX_BETWEEN_VERSIONS");
	free(argv);
	CLOSE_FD(to_us);
	CLOSE_FD(from_us);
	CLOSE_FD(package);
	return pid;
}

pid_t program_start(struct version *version, int which, int handed)
{
	if (which == BROKER)
		return start_broker(version, handed);
	if (which == RELAY)
		return start_relay(version, handed);
	return which == BUS ? start_bus(version) : start_daemon(version);
}

void programs_end_bus(void)
{
	CLOSE_FD(daemon_bus);
	CLOSE_FD(bus_daemon);
}
