/*
 * pvx-bus: runs the hosted system bus, a real dbus-daemon, under a user of its own.
 *
 * It is started as root by whoever hosts the bus, makes two folders and a view of /etc/passwd, and gives up root
 * for good before it reads its first record. From then on it keeps three files for its keeper, at the other end of its
 * channel, and supervises one child. It ends when its channel does, and so does the child.
 *
 *   main.c    start: folders, users, privileges given up
 *   users.c   what the bus sees as /etc/passwd: the roles, and nobody else
 *   files.c   the files that are kept: role uids, users, configuration
 *   program.c dbus-daemon's program: found, and put where nobody can read it
 *   child.c   dbus-daemon: started, reloaded, restarted ever more slowly, ended
 *   loop.c    records in and out, and what the child says
 *
 * Functions return 0 or an errno, unless they say otherwise.
 */
#ifndef PVX_BUS_H
#define PVX_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../between-versions.h"
#include "../process.h"

/*
 * One SOCK_SEQPACKET pair, descriptor 3 here. A record is one byte that says what it is, one that says whether
 * more of the same follows (1) or not (0), and data. Every request, once it is whole, is answered in order by a
 * record of its type with an errno as its data, four bytes in the machine's order.
 *
 * Either end may be followed by another while the channel stays: what is in it then, or half of it, was meant for
 * somebody else. So whoever is new at this end says RECORD_STARTED, and drops what comes before RECORD_BEGIN; whoever
 * is at the other end says RECORD_BEGIN first of all, and when it is told of a new one here, and drops what comes
 * before the answer to that.
 */
#define RECORD_MAX 32768u
#define RECORD_HEAD 2u

enum record {
	RECORD_STARTED = 's', /* from us, once */
	/* Request, with PVX_BETWEEN_VERSIONS in four bytes: whoever asks is new. Its answer is followed by RECORD_UIDS and
	 * RECORD_COPY; EPROTO where our number is another one, and nothing more that it asks is done. */
	RECORD_BEGIN = 'b',
	RECORD_UIDS = 'u',   /* request: keep these role uids. After RECORD_BEGIN, from us: those that are kept */
	RECORD_COPY = 'o',   /* from us: the second copy of the role uids */
	RECORD_USERS = 'p',  /* request: the bus knows these uids of roles; words of four bytes, whole in one record */
	RECORD_CONFIG = 'c', /* request: the configuration; starts the bus, or has it reload */
	RECORD_UP = 'U',     /* the bus listens */
	RECORD_DOWN = 'D',   /* it ended: how, and when it is started again, for people */
	RECORD_LOG = 'l',    /* what it wrote on its standard error; dropped where nobody reads */
	RECORD_FAILED = 'X', /* we can't begin here: why, the end of a sentence for people. The last record */
};

#define CHANNEL 3
#define UIDS_FILE "role-uids.json"
#define UIDS_COPY_FILE UIDS_FILE ".copy" /* written once the first is on the disk, so that one is whole and complete */
#define CONFIG_FILE "bus.conf"
#define SOCKET_FILE "system_bus_socket" /* the configuration names it: src/bus/configuration.ts */

struct bus {
	char *program; /* dbus-daemon */
	uint32_t first, last; /* uids of roles, both included; its own user is the one below */
	int hidden;          /* folder with the program that is executed, as PROGRAM_FILE; -1: it is where it was */
	const char *path;    /* of the folder */
	int folder, store;   /* folders, kept open: configuration and socket, role uids */
	pid_t child;         /* 0: not running */
	int address, errors; /* pipes from the child; -1: closed */
	bool wanted, reload; /* to be running; to be told that its configuration is another one */
	uint64_t since, at;  /* of its start; of the next start. Milliseconds, monotonic */
	uint32_t quick;      /* ends in a row that came soon after a start */
};

/* users.c */
int users_init(const struct bus *, uid_t own); /* before root is given up */
int users_add(const struct bus *, const char *uids, size_t length); /* those that are not known yet */
void users_end(const struct bus *); /* removes the files */

/* program.c */
#define PROGRAM_FILE "dbus-daemon"
char *program_find(void); /* of that name, in memory of the caller's; NULL: there is none */
int program_hide(const char *path); /* a folder, the caller's; -1: it can't be. Before root is given up */

/* files.c */
int folder_open(const char *path, uid_t owner, int *fd); /* makes it, for its owner alone */
int folder_lock(int fd); /* for as long as we live. EBUSY: another one has it, and keeps it for seconds */
bool folder_same(int a, int b);
struct writer {
	int fd;
	int error; /* the first one */
};
void writer_begin(struct writer *, int folder, const char *name);
void writer_add(struct writer *, const char *data, size_t length);
int writer_commit(struct writer *, int folder, const char *name);
int file_copy(int folder, const char *from, const char *to);
int write_all(int fd, const char *data, size_t length);

/* child.c */
void child_start(struct bus *);
void child_reload(struct bus *);
void child_ended(struct bus *, int status, char *text, size_t size); /* says how, for people */
void child_end(struct bus *);
int child_wait(const struct bus *, uint64_t now); /* milliseconds until child_tick has something to do; -1: never */
void child_tick(struct bus *, uint64_t now);
uint64_t now_ms(void);

/* loop.c */
void say(enum record, bool more, const void *data, size_t length);
int loop(struct bus *, int signals);

#endif
