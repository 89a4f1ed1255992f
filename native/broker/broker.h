/*
 * pvx-broker: the only privileged code. It enters containers, opens things there, and hands descriptors over.
 *
 * It has no policy and parses nothing that a container wrote but numbers of /proc. Every table has a fixed size,
 * every operation is in the closed list of protocol.h. A container is a process that is held by pidfd and by its
 * folder in /proc, never by a number that somebody else may have by now; a path is resolved by the kernel within
 * the root of that process (openat2, RESOLVE_IN_ROOT), never joined to a string.
 *
 *   main.c        start, privileges given up, threads, the end
 *   channel.c     requests in, one reply each out
 *   reader.c      which of a channel's threads reads
 *   epoch.c       which daemon asks: one that died is followed by another
 *   undo.c        what former daemons left is undone; at the end, all
 *   handover.c    what is held and planted, given to a broker of another build, or taken from one
 *   container.c   the table of held containers
 *   idmap.c       what a uid of a container is on the host
 *   path.c        paths within a container's root; what makes a container
 *   foreign.c     descriptors that came along, and on whose account they are closed
 *   unix.c        unix sockets planted in containers, connected to them, probes
 *   plant.c       the table of what is planted, and its removal
 *   device.c      device nodes: found, planted
 *   mount.c       device nodes mounted where a file system allows none
 *   grant.c       devices opened for a client, and taken back
 *   ioctl.c       what DRM and input devices are asked
 *   dgram.c       datagrams, sent under the name of a user
 *   tcp.c         TCP in the network namespace of a container, or in our own
 *   file.c        small files read
 *   thread.c      threads, and what they wait with; identity and network namespace of one, switched and back
 *   bus.c         sockets connected to the hosted bus
 *   runtime.c     the runtime's socket
 *   sandbox.c     capabilities and the seccomp filter
 *
 * Functions return 0 or an errno, unless they say otherwise; descriptors that they give are the caller's.
 */
#ifndef PVX_BROKER_H
#define PVX_BROKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <sys/types.h>
#include <sys/un.h>

#include "../closer.h"
#include "../process.h"
#include "../protocol.h"

#define CHANNELS 2
#define THREADS_PER_CHANNEL 8
#define CONTAINER_BUSY_MAX 3 /* operations in one container at once: one that hangs takes no more threads */
#define HANGS_MS 100         /* the longest wait for one of them to end; then EBUSY */
#define SLOW_MS 1000         /* and for as long nobody waits there */
#define IDMAP_MAX 8
#define DATAGRAM_MAX (256u * 1024u)
#define FDS_MAX 253 /* SCM_MAX_FD: all that a record can carry */

/* A call that a signal interrupted, or a file system of a container's making that says so (it may say so for ever),
 * is made again. */
#define INTERRUPTIONS_MAX 64
#define RETRY(call)                                                                 \
	({                                                                          \
		__typeof__(call) result_;                                           \
		int left_ = INTERRUPTIONS_MAX;                                      \
		do                                                                  \
			result_ = (call);                                           \
		while (result_ < 0 && errno == EINTR && left_-- > 0);               \
		result_;                                                            \
	})

/* idmap.c */
struct idmap {
	struct {
		uint32_t inside, outside, length;
	} range[IDMAP_MAX];
	uint32_t n; /* 0: numbers are the same inside and outside */
};
int idmap_read(int proc, const char *name, struct idmap *);
int idmap_outside(const struct idmap *, uint32_t inside, uint32_t *outside); /* EPERM: not mapped */
uint32_t idmap_inside(const struct idmap *, uint32_t outside); /* the same number where it is not mapped */

/* epoch.c */
uint32_t epoch_now(void); /* that of the daemon which said HELLO last */
bool epoch_asks(uint32_t epoch, uint32_t id); /* a request of this id is of that epoch's daemon */
int epoch_begin(uint32_t incarnation); /* ESTALE: a later one has begun */
void epoch_end(void); /* all is of former epochs from here on */

/* container.c */
struct container {
	int pidfd, proc; /* owned; proc is the folder /proc/PID of that very process */
	uint32_t pid, epoch; /* that it counts as of */
	uint64_t start;      /* clock ticks since boot */
	uint64_t mount_ns;
	struct idmap uids, gids;
	struct closing *closing; /* the account of what comes from it */
	uint32_t generation, refs, busy;
	uint64_t moved; /* when an operation ended last, or the first of those under way began: milliseconds */
	uint64_t slow_until;
	uint64_t tardy_until; /* an operation may hold up who reads a channel: reader.c */
	bool released;
	bool uprooted; /* one of undo.c's threads removes what was left there */
};
struct held {
	uint32_t handle;
	uint64_t start, mount_ns;
	int pidfd;    /* a duplicate */
	char *cgroup; /* room for PVX_DATA_MAX bytes; cgroups(7) as the kernel tells, no NUL at its end */
	uint32_t cgroup_length;
};
int containers_init(void);
/* `epoch` of these and all functions below: the one that it is asked for in. ESTALE: that is over. */
int container_hold(uint32_t pid, uint64_t newest, uint32_t epoch, struct held *);
int container_release(uint32_t handle, uint32_t epoch);
void container_release_left(void); /* those that a former daemon held, and nobody since */
int container_use(uint32_t handle, struct container **); /* counted; EBADF, EBUSY */
int container_enter(struct container *);                 /* the same, of one that is referenced */
void container_done(struct container *);
void container_ref(struct container *);
void container_unref(struct container *);
int container_root(const struct container *, int *root); /* O_PATH, as it is now: it may have pivoted */
int container_network(const struct container *, uint64_t *inode); /* of its network namespace, as it is now */
struct closing *container_account(uint32_t handle); /* counted; NULL: it is not held */
bool container_alive(const struct container *);
/* A user and group as the container counts them -> as the host does. EPERM: it has none of these. */
int container_user(const struct container *, uint32_t *uid, uint32_t *gid);
/* For handover.c: what is at a place of the table, counted, NULL: nothing; how often each place was taken; a place taken
 * as a broker before us had it, by which nobody holds what it had released once containers_settle was called. The latter
 * take the place of any other use of the table until then. */
struct container *container_at(uint32_t index, uint32_t *handle, bool *released);
void container_generations(uint32_t generations[PVX_CONTAINERS_MAX]);
bool containers_begin(const uint32_t generations[PVX_CONTAINERS_MAX]);
/* Takes the descriptors and the account. EINVAL: no such place, or it is taken. ESTALE: they are of another process. */
int container_take_over(uint32_t handle, const struct container *);
struct container *container_taken(uint32_t handle); /* counted; NULL: there is none */
void containers_settle(void);
bool container_works(struct container *); /* operations are under way in it, which may hang */
/* For reader.c: an operation there took long; one did a short while ago. By handles that may be anything. */
void container_is_late(uint32_t handle);
bool container_is_tardy(uint32_t handle);

/* foreign.c */
struct msghdr;
int foreign_init(void); /* before there are other threads, and the filter */
/* Counted: of the container that hands something over; of the receiver, where that one is not held any more; of nobody,
 * where neither is. No handle is 0. */
struct closing *foreign_account(uint32_t sender, uint32_t receiver);
bool foreign_room(const struct closing *); /* else nothing that may carry descriptors is to be taken */
uint32_t foreign_take(struct msghdr *, int *fds); /* how many; `fds` has room for FDS_MAX */
void foreign_close(struct closing *, int *fds, uint32_t n); /* takes what came with a request */

/* path.c: what is opened is O_PATH; symlinks are followed, and lead out of nothing. EXDEV: it is the host's own */
struct place {
	int folder; /* O_PATH */
	char name[256];
};
struct open_how;
extern const struct open_how path_inside, path_inside_plain, path_inside_folder, path_beneath_folder;
int path_init(void); /* after threads_init */
int path_check(const char *path, uint32_t length);
int path_open(const struct container *, const char *path, int *fd);
int path_open_below(int folder, const char *path, int *fd); /* of the host */
int path_reopen(int fd, int flags, int *opened); /* what the descriptor is of, whatever its name means by now */
int path_place(const struct container *, const char *path, bool make, struct place *);

/* plant.c */
#define PLANT_TEMPORARY 32
struct identity {
	uint64_t inode;
	uint32_t major, minor;
	int64_t born_s;
	uint32_t born_ns;
};
struct planted {
	struct identity identity;
	mode_t type;           /* S_IFSOCK, S_IFCHR */
	bool theirs;           /* it was there before us, and stays */
	bool mounted;          /* over a file of ours, which is */
	struct identity point; /* this one */
};
/* "": what the descriptor itself is of. EEXIST: it is of another type. */
int plant_identify(int folder, const char *name, mode_t type, struct identity *);
bool plant_same(const struct identity *, const struct identity *);
int plant_temporary(char *name); /* PLANT_TEMPORARY bytes: a name that nobody has */
/* Or removes it. */
int plant_remember(struct container *, const char *path, const struct planted *, uint32_t epoch, uint32_t *plant);
int plant_remove(uint32_t plant, uint32_t epoch);
int plant_keep(uint32_t plant, uint32_t epoch); /* it counts as of this one. EBADF: there is none */
bool plant_find_former(const struct container *, const char *path, uint32_t *plant, struct planted *);
bool plant_is_kept_in(const struct container *); /* one of the present epoch is */
/* All that former daemons left in a container that nobody has taken yet, `works`: be it at work or not. False: there is
 * none. */
bool plant_remove_some(bool works);
int plant_check(const struct container *, uint32_t *lost, uint32_t *count); /* room for PVX_PLANTS_MAX handles */
/* For handover.c: what is at a place of the table, its container counted, which is given from now on; places as of
 * containers. */
struct plant_at {
	uint32_t handle;
	struct container *container;
	struct planted what;
	char path[PVX_PATH_MAX + 1];
};
bool plant_give(uint32_t index, struct plant_at *);
void plants_given(bool kept); /* they are ours alone again, or else another broker's: forgotten, and not removed */
void plant_generations(uint32_t generations[PVX_PLANTS_MAX]);
bool plants_begin(const uint32_t generations[PVX_PLANTS_MAX]);
bool plant_take_over(const struct plant_at *, uint32_t epoch); /* takes the container if it can be */

/* handover.c */
int handover_serve(void); /* has a thread answer the supervisor; before the filter */
/* All that there is on descriptor 6, before anything is asked and the filter. NULL, or what is wrong with it. */
const char *handover_take(void);
bool handover_left(void); /* what we gave is another broker's */

/* unix.c */
int unix_listen(struct container *, int type, const char *path, uint32_t epoch, int *fd, uint32_t *plant);
int unix_connect(struct container *, int type, const char *path, uint32_t uid, uint32_t gid, int *fd);
int unix_probe(struct container *, const char *path);
struct sockaddr_un unix_address(int fd); /* of the socket that this descriptor is the file of */

/* dgram.c: `room`: DATAGRAM_MAX bytes; `from`: the account of who hands over the descriptors */
int dgram_reply(struct container *, const char *path, uint32_t uid, uint32_t gid, const int fds[2], char *room,
		struct closing *from);
/* `*sent` counts on errors, too. */
int dgram_send(const struct container *, uint32_t uid, uint32_t gid, uint32_t many, const int fds[2], char *room,
	       struct closing *from, uint32_t *sent);

/* tcp.c: no container means our own network; the address is 4 or 16 raw bytes, anything else EINVAL */
int tcp_listen(const struct container *, const char *address, uint32_t length, uint32_t port, int *fd);
int tcp_connect(const struct container *, const char *address, uint32_t length, uint32_t port, int *fd);
int tcp_probe(const struct container *, const char *address, uint32_t length, uint32_t port);

/* file.c */
int file_read(struct container *, const char *path, char *data, uint32_t *length);
/* Below `folder`, which is from our own command line; no link leads out of it. */
int file_read_certificate(const char *folder, const char *path, char *data, uint32_t *length);

#define DRM_MAJOR 226
#define INPUT_MAJOR 13
/* device.c: `c` NULL is the host; `node` and `fds` stay the caller's */
int device_check(uint32_t kind, int node, dev_t *device); /* ENOTTY, EPROTOTYPE: it is none of that kind */
int device_owner(const struct container *, const struct pvx_node *, uint32_t *uid, uint32_t *gid);
int device_find(const struct container *c, uint32_t kind, const char *path, int *fd, struct pvx_node *);
int device_plant(struct container *, const struct pvx_request *, const char *path, int node, uint32_t epoch,
		 uint32_t *plant);
int device_reopen(uint32_t kind, int node, int flags, int *fd, dev_t *device);

/* mount.c */
int mount_node(const struct container *, const struct place *, const struct pvx_node *, struct planted *);
int mount_remove(const struct container *, const struct place *, const struct planted *);

/* grant.c */
int grant_open(uint32_t kind, uint32_t flags, int node, uint32_t epoch, int *fd, uint32_t *grant);
int grant_read_card(int node, struct pvx_card *);
int grant_lease(int node, const char *objects, uint32_t length, uint32_t epoch, int *fd, uint32_t *grant);
int grant_revoke(uint32_t grant);
void grant_revoke_former(void); /* those of former epochs */

/* ioctl.c: ENOTTY where the device is not of the type that the question is for */
int ioctl_is_event(int fd);
int ioctl_revoke(int fd);
int ioctl_take_master(int fd);
int ioctl_drop_master(int fd); /* 0 too where it was none */
int ioctl_read_card(int fd, struct pvx_card *);
int ioctl_lease(int fd, const uint32_t *objects, uint32_t count, int *lease, uint32_t *lessee);
int ioctl_revoke_lease(int fd, uint32_t lessee);

/* thread.c: each has its counterpart, and is not done at all (EPERM) where there would be no way back */
int threads_init(void);
int condition_init(pthread_cond_t *); /* whose times are those of time_in */
struct timespec time_in(int ms); /* from now on, monotonic */
int thread_start(void *(*run)(void *), void *argument);
void *thread_rest(void); /* never returns */
int thread_init(void); /* first of all in every thread that serves */
int thread_become(uint32_t uid, uint32_t gid); /* effective, as the host counts */
void thread_return(void);
int thread_fs_become(uint32_t uid, uint32_t gid); /* for the file system only */
int thread_fs_root_of(const struct container *); /* the same, as the container's root */
int thread_fs_own(uint32_t uid, uint32_t gid); /* the same, with our capabilities: what is made is theirs */
int thread_fs_stranger(uint32_t owner); /* the return is to be called on errors, too */
void thread_fs_return(void);
int thread_mounts_enter(const struct container *); /* its mount namespace: until the way back no absolute path */
void thread_mounts_return(void);
int thread_root(void); /* a folder: of the host, for who looks at what is its own */
int thread_descriptors(void); /* the folder of ours: a name in it leads to what that descriptor is of */
/* A non-blocking socket, made in the container's network namespace where that matters (NULL: in ours). ENOLINK: it
 * can't be entered, for there would be no way back. */
int thread_socket(const struct container *, int family, int type, int protocol, int *fd);

/* runtime.c */
int runtime_connect(const char *path, int *fd);

/* bus.c: for the command line, before there are threads; paths stay the caller's */
int bus_add(const char *path);
int bus_uids(const char *range); /* FIRST-LAST, both included */
int bus_connect(uint32_t which, uint32_t uid, int *fd);

/* reader.c */
struct readers {
	_Atomic uint32_t turn;
	atomic_bool asleep; /* the deputy, until there is traffic */
	_Atomic uint32_t container; /* that the leader's request names */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t post, traffic;
	bool has_deputy;
};
int readers_init(struct readers *);
void reader_lead(struct readers *); /* returns when this thread is the one that reads */
uint32_t reader_goes(struct readers *, uint32_t container); /* it has read a request that names this handle, or anything */
void reader_comes_back(struct readers *, uint32_t turn); /* the same as reader_lead: another one may read by now */

/* channel.c */
struct channel {
	int fd;
	struct readers readers;
	enum asker { DAEMON = 1, RELAY = 2 } asker; /* who is at the other end */
	const char *runtime; /* path of the runtime's socket */
	const char *certificates; /* folder of the host's certificates and keys */
};
uint32_t channel_calls(void); /* that the operations need: CALLS_* */
const char *channel_unknown_to(uint32_t calls); /* an operation that needs others than these; NULL: there is none */
int channel_serve(struct channel *); /* starts the threads */
void channel_end(struct channel *); /* whoever waits for an answer is told that there is none */
void channel_hold(void); /* threads that are started wait from here ... */
void channel_open(void); /* ... to here; both in one thread */

/* undo.c: each takes at most so many milliseconds */
int undo_init(void);       /* its threads, before the filter is there */
void undo_grants(int ms);  /* of former epochs */
void undo_plants(int ms);  /* of former epochs */
void undo_all(int ms);     /* once all epochs are over */

/* sandbox.c: groups of system calls, by what the operations need them for */
#define CALLS_SOCKETS 1u
#define CALLS_FILES 2u
#define CALLS_DEVICES 4u
#define CALLS_MOUNTS 8u
#define CALLS_PROCESSES 16u
#define CALLS_IDENTITIES 32u
int sandbox_capabilities(void);
void capabilities_say_missing(void);
uint32_t sandbox_groups(void); /* all that it has */
int sandbox_filter(uint32_t calls); /* ENOSYS, EINVAL: this kernel has none */
/* Arguments that the filter knows by their addresses. */
extern const char fixed_tmpfs[], fixed_node[], fixed_empty[], fixed_here[];

#endif
