/*
 * The conversation between pv-xconnect and pvx-broker.
 *
 * Two SOCK_SEQPACKET pairs carry it: one for the daemon's main thread, one for the relay's thread, so
 * that neither waits behind the other. One request is one record of this fixed layout; its answer is one
 * record too, told apart by `id`, with at most one descriptor as SCM_RIGHTS. Answers may come out of
 * order. Nothing here is sized by the peer: a record of any other length is refused with EBADMSG.
 *
 * src/broker/protocol.ts mirrors this file; a unit test compares the two.
 */
#ifndef PVX_PROTOCOL_H
#define PVX_PROTOCOL_H

#include <stdint.h>

#define PVX_PROTOCOL_VERSION 1u
#define PVX_PATH_MAX 1024u        /* bytes of path in a request, not NUL-terminated */
#define PVX_DATA_MAX 65536u       /* bytes of file in the answer to PVX_OP_READ */
#define PVX_CONTAINERS_MAX 4096u  /* containers held at once */
#define PVX_PLANTS_MAX 16384u     /* sockets planted at once */

/* The closed list of what the daemon may ask for. */
enum pvx_op {
	/* -> value = PVX_PROTOCOL_VERSION, fd = the control socket's listener (none if not configured) */
	PVX_OP_HELLO = 1,
	/* -> fd = a stream connected to the runtime's pv-ctrl socket, made as the broker's own user */
	PVX_OP_RUNTIME = 2,
	/* arg = pid, stamp = newest acceptable start time in clock ticks since boot (0: any)
	 * -> value = container handle, fd = pidfd (readable when it dies), stamp = start time, aux = mount ns inode.
	 * ESRCH: no such process. ESTALE: it started after `stamp`, so the pid was recycled.
	 * EXDEV: it lives in the broker's own mount namespace, so it is no container. */
	PVX_OP_HOLD = 3,
	/* container -> (nothing). What was planted there stays until REMOVE or the end. */
	PVX_OP_RELEASE = 4,
	/* container, type, path -> value = plant handle, fd = listening (stream, seqpacket) or bound (dgram) socket.
	 * EEXIST: something that is no socket is at the path. EADDRINUSE: a live foreign socket is.
	 * EXDEV: the path is on the host's own file system. EROFS, ELOOP, ENOTDIR, EACCES: as open(2). */
	PVX_OP_LISTEN_UNIX = 5,
	/* container, type, path, uid, gid (as the container counts them)
	 * -> fd = a non-blocking connected socket; for dgram also autobound in the container's network namespace.
	 * ENOTSOCK: no socket at the path. EAGAIN: its backlog is full. ENOENT, ECONNREFUSED: not there yet. */
	PVX_OP_CONNECT_UNIX = 6,
	/* container, path -> value = 0; only says whether a socket is at the path (errno as CONNECT_UNIX) */
	PVX_OP_PROBE_UNIX = 7,
	/* container, path -> value = length, data. EFBIG: over PVX_DATA_MAX. EINVAL: not a regular file. */
	PVX_OP_READ = 8,
	/* arg = plant handle -> (nothing). Removes the socket if it is still the one that was planted.
	 * EBUSY: as many operations as there may be are under way in its container; ask again. */
	PVX_OP_REMOVE = 9,
	/* container, path, uid, gid (as the broker counts them), two descriptors with the request: [0] the planted
	 * dgram socket, [1] a dgram socket holding one datagram. Sends that datagram from [0] to the socket at path,
	 * as that user. EAGAIN: there is no room for it. */
	PVX_OP_REPLY_DGRAM = 10,
};

struct pvx_request {
	uint32_t id;
	uint32_t op;
	uint32_t container;
	uint32_t type; /* SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET */
	uint32_t uid;
	uint32_t gid;
	uint32_t arg;
	uint32_t path_length;
	uint64_t stamp;
	char path[PVX_PATH_MAX];
};

struct pvx_reply {
	uint32_t id;
	uint32_t error; /* an errno, 0 for success */
	uint32_t value;
	uint32_t data_length;
	uint64_t stamp;
	uint64_t aux;
	/* data_length bytes follow in the same record */
};

_Static_assert(sizeof(struct pvx_request) == 40 + PVX_PATH_MAX, "request layout");
_Static_assert(sizeof(struct pvx_reply) == 32, "reply layout");

#endif
