/*
 * pv-xconnect: the process that was launched, and the parent of all others.
 *
 *   main.c      what it is asked for, and the order of the start
 *   settings.c  what of the command line it reads itself
 *   command.c   Node.js, which runs every command and explains every wrong usage
 *   control.c   the listener of the daemon's control socket
 *   own-user.c  users that nobody else has
 *   child.c     the start of one child: its user, its descriptors, its program
 *   programs.c  what each child is started with, and the sockets between them
 *   family.c    when a child is started again, and how all of it ends
 *   upgrade.c   another version takes over
 *   retired.c   what the versions before still have
 *   state.c     what the image of another version is told of this process
 *   launcher.c  the runtime that launched us, with which we end
 *   notify.c    what a service manager is told
 *
 * It keeps root, with the capabilities of its broker and those that it takes to start and end children, and so it has
 * little to do: it opens nothing in a container, receives no descriptor, and reads nothing but its command line and
 * single words of its own daemon, and in an upgrade of the new broker and relay. It is one thread, which never waits
 * but in poll(2).
 */
#ifndef PVX_SUPERVISOR_H
#define PVX_SUPERVISOR_H

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../between-versions.h"
#include "../process.h"

struct state; /* state.c */

#define BUSES_MAX 64 /* the broker has its own limit, and says so */

/* settings.c. Strings live as long as the process does. */
struct settings {
	const char *control, *certificates;
	const char *runtime; /* its socket, or that of a container engine */
	const char *user; /* NULL: users of our own */
	uint64_t stop_drain_ms;
	bool hosts_bus;
	char *bus_folder, *bus_store; /* where we host it */
	char *buses[BUSES_MAX];       /* absolute and without ".." */
	int nbuses;
	const char *bus_uids; /* FIRST-LAST */
	uint32_t first, last;
};

/* False: this is no daemon to be started but a command, a question for help, or wrong usage. */
bool settings_read(struct settings *settings, char *const *argv);

/* command.c */
/* Folder of the package that this image is of: build/Release/pv-xconnect is below it. */
extern char package_root[PATH_MAX];
/* The path that we were executed by, made absolute: another version may be there by now. */
extern char image_path[PATH_MAX];
/* Finds both. 0 or an errno. */
int package_find(void);
/* The first part of a package that is missing in that folder, on the heap; NULL: it is whole. */
char *package_lacks(const char *root);
/* False: a part of ours is missing, which was said. */
bool package_is_whole(void);
/* The path of Node.js without symlinks, on the heap. NULL: there is none, which was said. */
char *node_find(void);
_Noreturn void command_run(char **argv);

/* control.c */
/* -1: there is to be none (an empty path), or there can be none, which was said; *failed tells these apart. */
int control_listen(const char *path, bool *failed);
/* The listener; -1: there is none. */
int control_listener(void);
/* Removes the socket if it is still ours. */
void control_remove(void);
void control_state(struct state *state);

/* own-user.c */
struct id_range {
	int64_t first, last; /* both included; as our user namespace counts */
};
struct id_ranges {
	struct id_range *at;
	size_t n;
};
/* Of the hosted bus: its roles, whose own user is first - 1. The number is a user's and a group's, and no other process
 * that runs this can get it until we end. -1: none is free. */
int64_t own_user(uint32_t first_role, uint32_t last_role);
void own_user_state(struct state *state);
/* The user of that name or number in /etc/passwd. */
bool named_user(const char *name, int32_t *uid, int32_t *gid);
/* In a user namespace with a single identity there is no other user to become. */
bool only_root_is_mapped(void);

/* child.c */
#define CHILD_FDS 7
struct program {
	const char *path;
	char **argv;
	bool keeps_root; /* as far as we have it */
	int32_t uid, gid; /* otherwise; -1: stays, without capabilities */
	int fds[CHILD_FDS]; /* its descriptors from 3 on; they stay ours */
	int nfds;
	int death; /* what it is sent when we end */
};
/* Its pid; -1 with errno. What goes wrong after that it says itself: it ends with 127. */
pid_t child_start(const struct program *program);
/* Whether that user may search every folder on the way. */
bool can_reach(const char *path, int32_t uid, int32_t gid);

/* programs.c */
enum { BROKER, RELAY, BUS, DAEMON, CHILDREN };

struct child {
	pid_t pid;         /* 0: it does not run */
	uint64_t since;    /* when it was started */
	uint64_t ready;    /* when it was; 0: it is not yet */
	uint64_t start_at; /* 0: it is not waiting for a start */
	uint64_t kill_at;  /* 0: it is not asked to end */
	uint32_t quick;    /* starts since it was ready for a while */
	uint32_t failures; /* ends in a row without being ready */
#define QUICK_MAX 5
	uint64_t failed_at[QUICK_MAX]; /* when those were, one behind the other, again and again */
};

/* What is said over a pipe: lines of a letter, and a number behind some. */
struct word {
	char letter;
	bool has_number;
	unsigned number;
};

/* The pairs, whose end is whose; our ends of the daemon's pipes. */
#define VERSION_DESCRIPTORS(each)                      \
	each(broker_daemon) each(daemon_broker)        \
	each(broker_relay) each(relay_broker)          \
	each(relay_daemon) each(daemon_relay)          \
	each(broker_us) each(us_broker)                \
	each(relay_us) each(us_relay)                  \
	each(from_daemon) each(to_daemon)

/* The children of one version, and the sockets between them. A descriptor that there is none of is -1. */
struct version {
	char root[PATH_MAX]; /* of the package that they are programs of, see version_find */
	char node[PATH_MAX];
	struct child children[CHILDREN]; /* the bus is always the current one's */
#define FIELD(name) int name;
	VERSION_DESCRIPTORS(FIELD)
#undef FIELD
	struct word heard; /* of the daemon, as far as it has been read */
};
#define IS_NONE(name) .name = -1,
#define NO_DESCRIPTORS VERSION_DESCRIPTORS(IS_NONE)
extern struct version current; /* that one serves, and its children are started again */
extern struct version other;   /* it is to serve (upgrade.c) */

struct family {
	const struct settings *settings;
	int signals; /* a signalfd */
	int32_t daemon_uid, daemon_gid, relay_uid, relay_gid;
	char **args; /* of the command line, for the daemon */
};
extern struct family family; /* main.c */
/* What all versions share. 0 or an errno. */
int programs_init(void);
void programs_state(struct state *state);
/* The channels of a version, of root's size. 0 or an errno. */
int version_open(struct version *version, const char *root, const char *node);
void version_close(struct version *version);
/* Which child that is; -1: none of its. */
int version_child(const struct version *version, pid_t pid);
/* All of its children have. */
bool version_has_ended(const struct version *version);
/* Kills whose time is over. `*next` is what is due first, and becomes earlier where one of its is. */
void version_kill_due(struct version *version, uint64_t now, uint64_t *next);
void version_state(struct version *version, const char *name, struct state *state);
/* Before a child is started again: another package may be at the place of this version's by now, or none. Then that is
 * taken, or ours; so for Node.js. What does not go together says so, by the numbers of its protocols. */
void version_find(struct version *version);
/* As child_start. `handed`: where broker and relay find what they take over; -1: nothing. */
pid_t program_start(struct version *version, int which, int handed);
extern uint32_t daemon_incarnation; /* of the last that was started */
/* By the end of its channel pvx-bus knows that it is to end. */
void programs_end_bus(void);

/* family.c. Never fails: what it can't do it says, and ends. */
extern const char *const child_names[CHILDREN];
/* Serves until the end; returns the exit code. `resumed`: the children run already. */
int family_run(bool resumed);
void family_state(struct state *state);
/* Neither ending nor asked to end. */
bool family_is_serving(void);
/* Reads what the daemon of that version says. */
void family_listen(struct version *from);
/* What a service manager hears of an upgrade. */
void family_reloading(void);
void family_ready(void);
/* pvx-bus tells each daemon anew that it can't begin. */
void family_begin_bus(void);
/* Of a child that ended, as people read it. */
const char *how(int status);

/* upgrade.c */
#define LEAVE_MS 4000u  /* more than the 3 s after which the broker gives up on file systems that hang */
/* The daemon wants one. `drain`: the seconds that connections of the old relay have, NULL: as by default. */
void upgrade_begin(const unsigned *drain);
/* The image of the other version has taken our place. */
void upgrade_resume(void);
/* The daemon has frozen, if that is our number of the protocol between versions. */
void upgrade_frozen(unsigned version);
/* That one's daemon is ready. */
void upgrade_ready(void);
/* A child of the current version has ended, or all of it is to end: no trial goes on. */
void upgrade_give_up(const char *why, ...) __attribute__((format(printf, 1, 2)));
/* The other version's children end with all the rest. */
void upgrade_leave(void);
/* True: it was a process of the upgrade, not one of the current version. */
bool upgrade_reaped(pid_t pid, int status);
#define UPGRADE_FDS 3
void upgrade_watch(struct pollfd fds[UPGRADE_FDS]);
void upgrade_hear(const struct pollfd fds[UPGRADE_FDS]);
/* What is due; returns when something will be, UINT64_MAX: nothing. */
uint64_t upgrade_tick(uint64_t now);
/* No process of another version than the current one is left. */
bool upgrade_has_ended(void);
/* The state of the process, there and back: every part is named once. */
void upgrade_state(struct state *state);

/* retired.c */
#define RETIRED_MAX 4 /* at once; to be changed with PVX_BETWEEN_VERSIONS */
bool retired_have_room(void);
/* Until there is room at the latest. */
unsigned retired_minutes(void);
/* Takes all of it. Its relay was told that its connections have `drain_s` seconds. */
void retired_add(const struct version *old, uint32_t drain_s);
/* True: it was a process of one of them. */
bool retired_reaped(pid_t pid, int status);
/* They end with everything. */
void retired_leave(void);
bool retired_have_ended(void);
/* As upgrade_tick. */
uint64_t retired_tick(uint64_t now);
void retired_state(struct state *state);

/* state.c. One function for each part writes it or reads it, whichever is being done. */
/* False: it is not whole, or none at all. */
bool state_load(int fd, void (*parts)(struct state *));
/* A descriptor that has it, and that an exec keeps as all descriptors in it; -1 with errno. */
int state_save(void (*parts)(struct state *));
void state_section(struct state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));
void state_number(struct state *state, const char *name, void *at, size_t size);
#define STATE_NUMBER(state, name, lvalue) state_number(state, name, &(lvalue), sizeof(lvalue))
/* Of things that follow: at most so many. */
void state_count(struct state *state, const char *name, int *count, int most);
void state_text(struct state *state, const char *name, char *at, size_t size);
void state_descriptor(struct state *state, const char *name, int *fd);

/* launcher.c */
#define LAUNCHERS_MAX 4
struct launcher {
	pid_t pid;
	int fd; /* readable when it has ended */
};
extern struct launcher launchers[LAUNCHERS_MAX];
extern int nlaunchers;
/* Watches an ancestor of ours. False: it is none, or has ended. */
bool launcher_watch(pid_t pid);
void launcher_state(struct state *state);

/* notify.c; nothing where there is no NOTIFY_SOCKET. */
void notify_init(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);
void notify_state(struct state *state);

/* On standard error, for people: one sentence. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
uint64_t now_ms(void);

#endif
