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
 *   container.c   the table of held containers
 *   idmap.c       what a uid of a container is on the host
 *   path.c        paths within a container's root
 *   plant.c       sockets planted in containers, and their removal
 *   connect.c     sockets connected to containers, probes, datagram replies
 *   file.c        small files read
 *   thread.c      identity and network namespace of one thread, switched and back
 *   host.c        the two sockets on the host: our control socket, the runtime's
 *   sandbox.c     capabilities and the seccomp filter
 *
 * Functions return 0 or an errno, unless they say otherwise; descriptors that they give are the caller's.
 */
#ifndef PVX_BROKER_H
#define PVX_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../protocol.h"

#define THREADS_PER_CHANNEL 8
#define CONTAINER_BUSY_MAX 3 /* operations in one container at once: one that hangs takes no more threads */
#define HANGS_MS 100         /* the longest wait for one of them to end; then EBUSY */
#define SLOW_MS 1000         /* and for as long nobody waits there */
#define IDMAP_MAX 8
#define FDS_MAX 253 /* SCM_MAX_FD: all that a record can carry */

/* idmap.c */
struct idmap {
	struct {
		uint32_t inside, outside, length;
	} range[IDMAP_MAX];
	uint32_t n; /* 0: numbers are the same inside and outside */
};
int idmap_read(int proc, const char *name, struct idmap *);
int idmap_outside(const struct idmap *, uint32_t inside, uint32_t *outside); /* EPERM: not mapped */

/* container.c */
struct container {
	int pidfd, proc; /* owned; proc is the folder /proc/PID of that very process */
	uint64_t start;  /* clock ticks since boot */
	uint64_t mount_ns;
	struct idmap uids, gids;
	uint32_t generation, refs, busy;
	uint64_t moved; /* when an operation ended last, or the first of those under way began: milliseconds */
	uint64_t slow_until;
	bool released;
};
struct held {
	uint32_t handle;
	uint64_t start, mount_ns;
	int pidfd; /* a duplicate */
};
int containers_init(void);
int container_hold(uint32_t pid, uint64_t newest, struct held *);
int container_release(uint32_t handle);
int container_use(uint32_t handle, struct container **); /* counted; EBADF, EBUSY */
int container_enter(struct container *);                 /* the same, of one that is referenced */
void container_done(struct container *);
void container_ref(struct container *);
void container_unref(struct container *);
int container_root(const struct container *, int *root); /* O_PATH, as it is now: it may have pivoted */
bool container_alive(const struct container *);

/* path.c */
struct place {
	int folder; /* O_PATH */
	char name[256];
};
int path_check(const char *path, uint32_t length);
int path_open(int root, const char *path, int *fd); /* O_PATH, symlinks followed inside the root */
int path_place(const struct container *, int root, const char *path, bool make, struct place *);

/* plant.c */
int plant_listen(struct container *, int type, const char *path, int *fd, uint32_t *plant);
int plant_remove(uint32_t plant);
void plant_remove_all(void);

/* connect.c */
int connect_unix(struct container *, int type, const char *path, uint32_t uid, uint32_t gid, int *fd);
int connect_probe(struct container *, const char *path);
int connect_reply(struct container *, const char *path, uint32_t uid, uint32_t gid, const int fds[2]);

/* file.c */
int file_read(struct container *, const char *path, char *data, uint32_t *length);

/* thread.c: each has its counterpart, and aborts the process where the way back fails */
int threads_init(void);
int thread_become(uint32_t uid, uint32_t gid); /* effective, as the host counts */
void thread_return(void);
void thread_fs_become(uint32_t uid, uint32_t gid); /* for the file system only */
void thread_fs_return(void);
int thread_socket(const struct container *, int type, int *fd); /* made in the container's network namespace */

/* host.c */
int host_listen(const char *path); /* says what is wrong on stderr; 0 or an errno */
int host_listener(void);           /* a duplicate, or -1 */
void host_remove(void);
int host_runtime(const char *path, int *fd);

/* channel.c */
struct channel {
	int fd;
	const char *runtime; /* path of the runtime's socket */
	void (*ended)(void); /* called once by one of its threads */
};
int channel_serve(struct channel *); /* starts the threads */
void channel_hold(void); /* threads that are started wait from here ... */
void channel_open(void); /* ... to here; both in one thread */

/* sandbox.c */
int sandbox_capabilities(void);
int sandbox_filter(void); /* ENOSYS, EINVAL: this kernel has none */

/* fcntl */
#define CLOSE_FD(fd) close_fd(&(fd))
void close_fd(int *fd); /* keeps errno; -1 afterwards */

#endif
