/*
 * The conversation between pv-xconnect and pvx-broker.
 *
 * Two SOCK_SEQPACKET pairs carry it: one for the daemon, one for the relay, so that neither waits behind the other.
 * Both outlive who uses them: a daemon or a relay that dies is followed by another, which has the same descriptors and
 * picks other ids, so that it knows which answers are none of its. Ids of the daemon are its incarnation (modulo 4096),
 * shifted by 20 bits, and a number below that; one that is not of the present incarnation is refused with ESTALE. One request is one record of this fixed layout; its answer is one
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
#define PVX_DATA_MAX 65536u       /* bytes of data in an answer */
#define PVX_CONTAINERS_MAX 4096u  /* containers held at once */
#define PVX_BUSES_MAX 8u          /* on the command line */
#define PVX_PLANTS_MAX 16384u     /* sockets and nodes planted at once */
#define PVX_HOST 0xffffffffu      /* a container handle: the host itself, for the operations that say so */
#define PVX_GRANTS_MAX 4096u      /* opened devices that can be taken back, at once */
#define PVX_CRTCS_MAX 32u         /* of one card: possible_crtcs is a mask of 32 bits */
#define PVX_CONNECTORS_MAX 64u

/* The closed list of what the daemon may ask for. */
enum pvx_op {
	/* arg = incarnation of the daemon -> value = PVX_PROTOCOL_VERSION. From now on that daemon asks, and nobody else.
	 * All grants of former ones are revoked; what they held and planted stays. ESTALE: a later one has said it.
	 * EINVAL: the id is of another incarnation. */
	PVX_OP_HELLO = 1,
	/* -> fd = a stream connected to the runtime's pv-ctrl socket, made as the broker's own user */
	PVX_OP_RUNTIME = 2,
	/* arg = pid, stamp = newest acceptable start time in clock ticks since boot (0: any)
	 * -> value = container handle, fd = pidfd (readable when it dies), stamp = start time, aux = mount ns inode.
	 * ESRCH: no such process. ESTALE: it started after `stamp`, so the pid was recycled.
	 * data = its cgroups, as /proc/PID/cgroup has them (cgroups(7)); empty where the kernel has none.
	 * EXDEV: it lives in the broker's own mount namespace, so it is no container.
	 * Where a former daemon held that process and did not release it, the handle is that one's. */
	PVX_OP_HOLD = 3,
	/* container -> (nothing). What was planted there stays until REMOVE or the end. */
	PVX_OP_RELEASE = 4,
	/* Every operation that takes a path in a container answers EXDEV where that leads to the host's own files: the
	 * root of the container is the host's, and nothing is mounted over it there. EAGAIN, too: its file system says
	 * without end that it was interrupted. EBUSY, of all operations within a container: as many as there may be are
	 * under way there; ask again. */
	/* container, type, path -> value = plant handle, fd = listening (stream, seqpacket) or bound (dgram) socket.
	 * EEXIST: something that is no socket is at the path. EADDRINUSE: a live foreign socket is.
	 * EROFS, ELOOP, ENOTDIR, EACCES: as open(2). */
	PVX_OP_LISTEN_UNIX = 5,
	/* container, type, path, uid, gid (as the container counts them)
	 * -> fd = a non-blocking connected socket; for dgram also autobound in the container's network namespace.
	 * ENOTSOCK: no socket at the path. EAGAIN: its backlog is full. ENOENT, ECONNREFUSED: not there yet. */
	PVX_OP_CONNECT_UNIX = 6,
	/* container, path -> value = 0; only says whether a socket is at the path that somebody has (errno as
	 * CONNECT_UNIX); who has it notices nothing */
	PVX_OP_PROBE_UNIX = 7,
	/* container, path -> value = length, data. EFBIG: over PVX_DATA_MAX. EINVAL: not a regular file.
	 * PVX_HOST: below the folder of certificates that the broker was started with, and nowhere else. */
	PVX_OP_READ = 8,
	/* arg = plant handle -> (nothing). Removes the socket or node if it is still the one that was planted.
	 * EBUSY: as many operations as there may be are under way in its container; ask again. */
	PVX_OP_REMOVE = 9,
	/* container, path, uid, gid (as the broker counts them), two descriptors with the request: [0] the planted
	 * dgram socket, [1] a dgram socket holding one datagram. Sends that datagram from [0] to the socket at path,
	 * as that user. What it carries is from the container `from`, and closed on its account. EAGAIN: there is no room
	 * for it. EBUSY: nor for the descriptors that it carries, as too many of `from` or of all wait to be closed. */
	PVX_OP_REPLY_DGRAM = 10,
	/* arg = which of the buses on the broker's own command line, from 0; uid (as the host counts)
	 * -> fd = a non-blocking stream connected to that bus as that uid, with the gid of the same number.
	 * ERANGE: no such bus, or a uid that is not one of a role. ENOENT, ECONNREFUSED: it is not there now. */
	PVX_OP_CONNECT_BUS = 11,
	/* container -> data = handles (32-bit words) of what was planted there and is no longer what the container sees
	 * at its path; aux = inode of its network namespace, as it is now */
	PVX_OP_CHECK = 12,
	/* container, uid, gid (as the container counts them), `from` as above, arg = how many, two descriptors: [0] a
	 * connected dgram socket, [1] a seqpacket socket holding as many datagrams, a record each. Sends them out of [0] in
	 * order, as far as that goes, and says to a receiver that asks that they are that user's -> value = how many.
	 * Another error than 0 is about the next one, which stays. EAGAIN: there is no room for it. EBUSY: none for its
	 * descriptors here. */
	PVX_OP_SEND_DGRAMS = 13,
	/* arg = plant handle -> (nothing). What a former daemon planted is this one's from now on. EBADF: there is none. */
	PVX_OP_KEEP = 14,
	/* -> (nothing). All that former daemons planted, and that this one has not kept, is removed; containers that only
	 * they held are released, but for those in which something is kept. What hangs is left to threads that do nothing
	 * else, and not waited for. */
	PVX_OP_SWEEP = 15,
	/* container or PVX_HOST, type = PVX_DEVICE_*, path -> fd = the device's node, O_PATH, data = struct pvx_node.
	 * Symlinks are followed inside the container. ENOTTY: no character device. EPROTOTYPE: one of another kind.
	 * EACCES: it is in a file system in which devices can't be opened. */
	PVX_OP_FIND_NODE = 20,
	/* container, type, path, uid, gid (as the container counts them; one that it does not have becomes its
	 * root), one descriptor: [0] a node -> value = plant handle. Where the same device was there already, that one
	 * counts as planted, and REMOVE leaves it. Where a former daemon planted the same, the handle is that one's, and the
	 * plant kept; where it has another owner or mode by now, it is exchanged.
	 * EEXIST: something else is. EXDEV, EROFS, ...: as LISTEN_UNIX. */
	PVX_OP_PLANT_NODE = 21,
	/* type, arg = PVX_OPEN_*, one descriptor: [0] a node -> fd = the device, opened, non-blocking;
	 * value = grant handle, 0 where it can't be taken back. It is DRM master only with PVX_OPEN_MASTER.
	 * EBUSY: somebody else is master. ENXIO, ENODEV: the device is gone. */
	PVX_OP_OPEN_NODE = 22,
	/* arg = grant handle -> (nothing). Ends it: an input device is revoked, a DRM master dropped, a lease
	 * revoked, whoever has the descriptor. */
	PVX_OP_REVOKE = 23,
	/* one descriptor: [0] the node of a DRM card -> data = struct pvx_card, as the kernel knows it now */
	PVX_OP_READ_CARD = 24,
	/* path = ids of connectors, CRTCs (and planes) as 32-bit words, one descriptor: [0] the node of a DRM card
	 * -> fd = a lease of them, value = grant handle. EBUSY: somebody else is master, or leases one of them. */
	PVX_OP_LEASE_CARD = 25,
	/* The TCP operations take a container or PVX_HOST, an address of 4 or 16 raw bytes in `path` and a port in
	 * `arg` (EINVAL: neither), and work in that one's network namespace.
	 * ENOLINK: that is none of ours and can't be entered, as there would be no way back (root of a user namespace has
	 * none); also for a dgram socket of CONNECT_UNIX.
	 * -> fd = a listening, non-blocking socket; an IPv6 one takes no IPv4. aux = as of CHECK; 0 for the host.
	 * EADDRINUSE: taken. EADDRNOTAVAIL: no interface has the address. EACCES: a port that we may not have. */
	PVX_OP_LISTEN_TCP = 30,
	/* -> fd = a non-blocking socket, connected or on its way: once it is writable, SO_ERROR says which way it
	 * went. Nobody here waits for a handshake. */
	PVX_OP_CONNECT_TCP = 31,
	/* -> (nothing): somebody would take a connection to that address. Asks the kernel; its owner notices nothing.
	 * ECONNREFUSED: nobody would. EOPNOTSUPP: this kernel can't tell. */
	PVX_OP_PROBE_TCP = 32,
};

/* Kinds of devices: their major numbers and nothing else. */
#define PVX_DEVICE_DRM 1u   /* 226 */
#define PVX_DEVICE_INPUT 2u /* 13 */

#define PVX_OPEN_READ_ONLY 1u
#define PVX_OPEN_MASTER 2u

struct pvx_node {
	uint32_t major, minor;
	uint32_t mode;     /* permission bits */
	uint32_t uid, gid; /* as the container counts them; as the host does where the container can't */
};

/* What of a DRM card can be leased; drm-kms(7). */
struct pvx_card {
	uint32_t ncrtcs, nconnectors;
	uint32_t crtcs[PVX_CRTCS_MAX];
	struct pvx_connector {
		uint32_t id;
		uint32_t type, number; /* DRM_MODE_CONNECTOR_*, and the 1 of HDMI-A-1 */
		uint32_t possible;     /* bit i: crtcs[i] can drive it */
		uint32_t crtc;         /* id of the one that does; 0: none */
	} connectors[PVX_CONNECTORS_MAX];
};

struct pvx_request {
	uint32_t id;
	uint32_t op;
	uint32_t container;
	uint32_t type; /* SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET; PVX_DEVICE_* */
	uint32_t uid;
	uint32_t gid;
	uint32_t arg;
	uint32_t path_length;
	union {
		uint64_t stamp;
		uint64_t from; /* a container, where descriptors may be carried; 0: none that is known */
	};
	char path[PVX_PATH_MAX]; /* or an address */
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
_Static_assert(sizeof(struct pvx_node) == 20, "node layout");
_Static_assert(sizeof(struct pvx_card) == 8 + 4 * PVX_CRTCS_MAX + 20 * PVX_CONNECTORS_MAX, "card layout");

#endif
