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
 *   launcher.c  the runtime that launched us, with which we end
 *   notify.c    what a service manager is told
 *
 * It keeps root, with the capabilities of its broker and those that it takes to start and end children, and so it has
 * little to do: it opens nothing in a container, receives no descriptor, and reads nothing but its command line and
 * five words of its own daemon. It is one thread, which never waits but in ppoll(2).
 */
#ifndef PVX_SUPERVISOR_H
#define PVX_SUPERVISOR_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../process.h"

#define BUSES_MAX 64 /* the broker has its own limit, and says so */

/* settings.c. Strings live as long as the process does. */
struct settings {
	const char *control, *certificates;
	const char *runtime; /* its socket, or that of a container engine */
	const char *user; /* NULL: users of our own */
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
/* Folder of the package: build/Release/pv-xconnect is below it. */
extern char package_root[PATH_MAX];
/* 0 or an errno. */
int package_find(void);
/* The path of Node.js without symlinks, on the heap. NULL: there is none, which was said. */
char *node_find(void);
_Noreturn void command_run(char **argv);

/* control.c */
/* -1: there is to be none (an empty path), or there can be none, which was said; *failed tells these apart. */
int control_listen(const char *path, bool *failed);
/* Removes the socket if it is still ours. */
void control_remove(void);

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
/* The user of that name or number in /etc/passwd. */
bool named_user(const char *name, int32_t *uid, int32_t *gid);
/* In a user namespace with a single identity there is no other user to become. */
bool only_root_is_mapped(void);

/* child.c */
#define CHILD_FDS 6
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

/* family.c. Never fails: what it can't do it says, and ends. */
struct family {
	const struct settings *settings;
	int listener, signals;
	int32_t daemon_uid, daemon_gid, relay_uid, relay_gid;
	const char *node;
	char **args; /* of the command line, for the daemon */
};
/* Serves until the end; returns the exit code. */
int family_run(const struct family *family);

/* programs.c */
enum { BROKER, RELAY, BUS, DAEMON, CHILDREN };
/* The channels, of root's size. 0 or an errno. */
int programs_init(const struct family *family);
/* As child_start. */
pid_t program_start(int which);
extern unsigned daemon_incarnation; /* of the last that was started */
extern int daemon_words;            /* our end of its pipe; -1: it is closed */
/* By the end of its channel pvx-bus knows that it is to end. */
void programs_end_bus(void);

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

/* notify.c; nothing where there is no NOTIFY_SOCKET. */
void notify_init(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* On standard error, for people: one sentence. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
uint64_t now_ms(void);

#endif
