/*
 * Requests in, one reply each out; and the one table of what the daemon may ask for.
 *
 * One thread at a time reads from a channel, of several (reader.c): an operation that hangs in a file system of a
 * container's own making holds up one of them. What arrives is collected before it is judged: every descriptor of a
 * record is closed on every way out. A record is exactly one request; nothing in it sizes anything.
 *
 * What the table says of an operation is checked before its function is called. A function reads the request from the
 * exchange and leaves its answer there.
 */
#include "broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(PVX_PLANTS_MAX * sizeof(uint32_t) <= PVX_DATA_MAX, "all plants fit into an answer");

#define UNDO_MS 250 /* what was left to undo after so long, is undone when it can be; the daemon does not wait for it */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* locked until everything is in place */

struct exchange {
	const struct channel *channel;
	uint32_t epoch; /* that it is asked in */
	struct pvx_request request;
	char path[PVX_PATH_MAX + 1]; /* that of the request where it is one, ended by a NUL */
	struct container *container; /* that the operation works in; NULL: in none */
	int fds[FDS_MAX]; /* that came */
	uint32_t nfds;
	struct closing *from; /* on whose account they are closed */
	struct pvx_reply reply;
	_Alignas(uint32_t) char data[PVX_DATA_MAX]; /* of the reply */
	int fd;                  /* of the reply; -1: none */
	char datagram[DATAGRAM_MAX];
};

static int hello(struct exchange *x)
{
	int error = epoch_asks(x->request.arg, x->request.id) ? epoch_begin(x->request.arg) : EINVAL;

	if (error)
		return error;
	x->reply.value = PVX_PROTOCOL_VERSION;
	undo_grants(UNDO_MS);
	return 0;
}

static int keep(struct exchange *x)
{
	return plant_keep(x->request.arg, x->epoch);
}

static int sweep(struct exchange *x)
{
	(void)x;
	undo_plants(UNDO_MS);
	container_release_left();
	return 0;
}

static int runtime(struct exchange *x)
{
	return runtime_connect(x->channel->runtime, &x->fd);
}

static int hold(struct exchange *x)
{
	struct held held = { .cgroup = x->data };
	int error = container_hold(x->request.arg, x->request.stamp, x->epoch, &held);

	if (error)
		return error;
	x->reply.value = held.handle;
	x->reply.stamp = held.start;
	x->reply.aux = held.mount_ns;
	x->reply.data_length = held.cgroup_length;
	x->fd = held.pidfd;
	return 0;
}

static int release(struct exchange *x)
{
	return container_release(x->request.container, x->epoch);
}

static bool is_socket_type(uint32_t type)
{
	return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET;
}

static int listen_unix(struct exchange *x)
{
	if (!is_socket_type(x->request.type))
		return EINVAL;
	return unix_listen(x->container, (int)x->request.type, x->path, x->epoch, &x->fd, &x->reply.value);
}

static int connect_unix(struct exchange *x)
{
	if (!is_socket_type(x->request.type))
		return EINVAL;
	return unix_connect(x->container, (int)x->request.type, x->path, x->request.uid, x->request.gid, &x->fd);
}

static int probe_unix(struct exchange *x)
{
	return unix_probe(x->container, x->path);
}

static int read_file(struct exchange *x)
{
	int error = x->container ?
			    file_read(x->container, x->path, x->data, &x->reply.data_length) :
			    file_read_certificate(x->channel->certificates, x->path, x->data, &x->reply.data_length);

	x->reply.value = x->reply.data_length;
	return error;
}

static int remove_plant(struct exchange *x)
{
	return plant_remove(x->request.arg, x->epoch);
}

static int reply_dgram(struct exchange *x)
{
	return dgram_reply(x->container, x->path, x->request.uid, x->request.gid, x->fds, x->datagram, x->from);
}

static int send_dgrams(struct exchange *x)
{
	return dgram_send(x->container, x->request.uid, x->request.gid, x->request.arg, x->fds, x->datagram, x->from,
			  &x->reply.value);
}

static int connect_bus(struct exchange *x)
{
	return bus_connect(x->request.arg, x->request.uid, &x->fd);
}

static int check(struct exchange *x)
{
	uint32_t count;
	int error = container_network(x->container, &x->reply.aux);

	if (!error)
		error = plant_check(x->container, (uint32_t *)x->data, &count);
	if (!error)
		x->reply.data_length = count * (uint32_t)sizeof(uint32_t);
	return error;
}

/* A record as the data of the reply, unless there is an error. */
static int reply_with(struct exchange *x, int error, const void *record, uint32_t length)
{
	if (error)
		return error;
	memcpy(x->data, record, length);
	x->reply.data_length = length;
	return 0;
}

static int find_node(struct exchange *x)
{
	struct pvx_node node;
	int error = device_find(x->container, x->request.type, x->path, &x->fd, &node);

	return reply_with(x, error, &node, sizeof(node));
}

static int plant_node(struct exchange *x)
{
	return device_plant(x->container, &x->request, x->path, x->fds[0], x->epoch, &x->reply.value);
}

static int open_node(struct exchange *x)
{
	return grant_open(x->request.type, x->request.arg, x->fds[0], x->epoch, &x->fd, &x->reply.value);
}

static int revoke_grant(struct exchange *x)
{
	return grant_revoke(x->request.arg);
}

static int read_card(struct exchange *x)
{
	struct pvx_card card;
	int error = grant_read_card(x->fds[0], &card);

	return reply_with(x, error, &card, sizeof(card));
}

static int lease_card(struct exchange *x)
{
	return grant_lease(x->fds[0], x->request.path, x->request.path_length, x->epoch, &x->fd, &x->reply.value);
}

static int listen_tcp(struct exchange *x)
{
	/* Asked first: should the container change it meanwhile, the socket is taken for one of its old network. */
	int error = x->container ? container_network(x->container, &x->reply.aux) : 0;

	if (error)
		return error;
	return tcp_listen(x->container, x->request.path, x->request.path_length, x->request.arg, &x->fd);
}

static int connect_tcp(struct exchange *x)
{
	return tcp_connect(x->container, x->request.path, x->request.path_length, x->request.arg, &x->fd);
}

static int probe_tcp(struct exchange *x)
{
	return tcp_probe(x->container, x->request.path, x->request.path_length, x->request.arg);
}

/* Who may ask for an operation: the daemon for all, the relay for what a connection or a datagram needs. */
#define BOTH (DAEMON | RELAY)
/* A container is entered, as another user perhaps, to make a socket there. */
#define CALLS_ENTERING (CALLS_SOCKETS | CALLS_FILES | CALLS_IDENTITIES)

/* Where an operation works. */
enum where {
	HOST,
	CONTAINER, /* as one of those that are under way there: container.c bounds them */
	EITHER,    /* in a container, or on the host where PVX_HOST stands in its place */
	NODE,      /* on a device node, which comes along */
};

/* What the `path` of a request is. */
enum content {
	UNUSED, /* empty */
	PATH,
	BYTES, /* an address, or ids: checked by who reads them */
};

/* How many descriptors come along, and which. */
enum descriptors {
	NONE = 0,
	A_NODE = 1,
	A_QUEUE = 2, /* a socket to send from, and one with datagrams: what these carry is from the container `from` */
};

/*
 * The closed list. Each operation of protocol.h has one entry: who may ask for it, where it works, what its path is,
 * which descriptors come along, which groups of system calls the filter lets through for it (sandbox.c), its function,
 * and what it grants, word for word as docs/security.md has it.
 */
#define OPERATIONS(OPERATION)                                                                                        \
	OPERATION(HELLO, DAEMON, HOST, UNUSED, NONE, CALLS_DEVICES, hello,                                           \
		  "the begin of a daemon's epoch; what clients of former ones were granted ends")                    \
	OPERATION(RUNTIME, DAEMON, HOST, UNUSED, NONE, CALLS_SOCKETS, runtime,                                       \
		  "a connection to the socket of the runtime, or with `--docker` of the engine, at the path on the command line") \
	OPERATION(HOLD, DAEMON, HOST, UNUSED, NONE, CALLS_FILES | CALLS_PROCESSES, hold,                             \
		  "a handle for a process in a mount namespace of its own, its pidfd, start time and cgroups")       \
	OPERATION(RELEASE, DAEMON, HOST, UNUSED, NONE, 0, release, "the end of such a handle")                       \
	OPERATION(LISTEN_UNIX, DAEMON, CONTAINER, PATH, NONE, CALLS_ENTERING, listen_unix,                           \
		  "a socket planted at a path where there is nothing, or one that nobody has open")                  \
	OPERATION(CONNECT_UNIX, BOTH, CONTAINER, PATH, NONE, CALLS_ENTERING, connect_unix,                           \
		  "a connection to the socket at a path, as any uid and gid of the container")                       \
	OPERATION(PROBE_UNIX, DAEMON, CONTAINER, PATH, NONE, CALLS_SOCKETS | CALLS_FILES, probe_unix,                \
		  "whether somebody has the socket at a path")                                                       \
	OPERATION(READ, DAEMON, EITHER, PATH, NONE, CALLS_FILES, read_file,                                          \
		  "a file of up to 64 KiB; on the host, of the folder of certificates alone")                        \
	OPERATION(REMOVE, DAEMON, HOST, UNUSED, NONE, CALLS_FILES | CALLS_MOUNTS, remove_plant,                      \
		  "the removal of what was planted, where it is still that")                                         \
	OPERATION(REPLY_DGRAM, BOTH, CONTAINER, PATH, A_QUEUE, CALLS_FILES | CALLS_IDENTITIES, reply_dgram,          \
		  "a datagram sent from a planted socket to the one at a path, as a uid and gid of the host")        \
	OPERATION(CONNECT_BUS, BOTH, HOST, UNUSED, NONE, CALLS_ENTERING, connect_bus,                                \
		  "a connection to a bus of the command line, as a uid of the range there or as nobody")             \
	OPERATION(CHECK, DAEMON, CONTAINER, UNUSED, NONE, CALLS_FILES, check,                                        \
		  "which of what was planted the container no longer sees, and in which network it is")              \
	OPERATION(SEND_DGRAMS, BOTH, CONTAINER, UNUSED, A_QUEUE, 0, send_dgrams,                                     \
		  "datagrams sent out of a connected socket, in the name of a uid and gid of the container")         \
	OPERATION(KEEP, DAEMON, HOST, UNUSED, NONE, 0, keep, "that what was planted by a former daemon stays")       \
	OPERATION(SWEEP, DAEMON, HOST, UNUSED, NONE, CALLS_FILES | CALLS_MOUNTS, sweep,                              \
		  "the removal of what former daemons planted and this one did not keep")                            \
	OPERATION(FIND_NODE, DAEMON, EITHER, PATH, NONE, CALLS_FILES | CALLS_IDENTITIES, find_node,                  \
		  "the node of a DRM or input device at a path, not opened, and its owner and mode")                 \
	OPERATION(PLANT_NODE, DAEMON, CONTAINER, PATH, A_NODE,                                                       \
		  CALLS_FILES | CALLS_DEVICES | CALLS_MOUNTS | CALLS_IDENTITIES, plant_node,                         \
		  "such a node planted at a path where there is nothing")                                            \
	OPERATION(OPEN_NODE, DAEMON, NODE, UNUSED, A_NODE, CALLS_FILES | CALLS_DEVICES, open_node,                   \
		  "such a device opened, and a grant by which that is taken back")                                   \
	OPERATION(REVOKE, DAEMON, HOST, UNUSED, NONE, CALLS_DEVICES, revoke_grant, "the end of such a grant, or of a lease") \
	OPERATION(READ_CARD, DAEMON, NODE, UNUSED, A_NODE, CALLS_FILES | CALLS_DEVICES, read_card,                   \
		  "the connectors and CRTCs of a DRM card")                                                          \
	OPERATION(LEASE_CARD, DAEMON, NODE, BYTES, A_NODE, CALLS_FILES | CALLS_DEVICES, lease_card,                  \
		  "a DRM lease of some of them")                                                                     \
	OPERATION(LISTEN_TCP, DAEMON, EITHER, BYTES, NONE, CALLS_ENTERING, listen_tcp,                               \
		  "a listener at an IP address and port of that network")                                            \
	OPERATION(CONNECT_TCP, BOTH, EITHER, BYTES, NONE, CALLS_ENTERING, connect_tcp,                               \
		  "a connection to an IP address and port out of that network")                                      \
	OPERATION(PROBE_TCP, DAEMON, EITHER, BYTES, NONE, CALLS_ENTERING, probe_tcp, \
		  "whether somebody listens at an IP address and port of that network")

struct operation {
	const char *name;
	unsigned askers;
	enum where where;
	enum content content;
	enum descriptors descriptors;
	uint32_t calls;
	int (*perform)(struct exchange *); /* 0 or an errno */
};

#define ENTRY(name, askers, where, content, descriptors, calls, perform, grants) \
	[PVX_OP_##name] = { #name, askers, where, content, descriptors, calls, perform },
#define FOUND(name, ...)    \
	case PVX_OP_##name: \
		return &operations[PVX_OP_##name];

static const struct operation operations[] = { OPERATIONS(ENTRY) };

/* NULL: there is no such operation. One of protocol.h that is forgotten in the table does not compile. */
static const struct operation *operation_of(enum pvx_op op)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
	switch (op) {
		OPERATIONS(FOUND)
	}
#pragma GCC diagnostic pop
	return NULL;
}

/* One a thread: memory that was never used costs none. */
static struct exchange exchanges[CHANNELS * THREADS_PER_CHANNEL];
static atomic_uint taken;

/* False: the channel has ended. `*error`: the record is no request. */
static bool receive(int fd, struct exchange *x, int *error)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	struct iovec iov = { .iov_base = &x->request, .iov_len = sizeof(x->request) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS));
	if (n <= 0)
		return false;
	x->nfds = foreign_take(&message, x->fds);
	*error = 0;
	if (n < (ssize_t)sizeof(uint32_t))
		x->request.id = 0;
	if (n != sizeof(x->request) || message.msg_flags & MSG_TRUNC)
		*error = EBADMSG;
	else if (message.msg_flags & MSG_CTRUNC)
		*error = x->nfds < FDS_MAX ? EMFILE : EBADMSG; /* our table is full, or it sent too many */
	return true;
}

/* Whether the request is what the table expects of it. */
static int inspect(struct exchange *x, const struct operation *operation)
{
	uint32_t length = x->request.path_length;

	if (!(operation->askers & x->channel->asker))
		return EPERM;
	if (x->channel->asker == DAEMON && operation->perform != hello && !epoch_asks(x->epoch, x->request.id))
		return ESTALE; /* of a daemon that is gone, and was in the queue still */
	if (x->nfds != operation->descriptors)
		return EBADMSG;
	if (length > PVX_PATH_MAX || (operation->content == UNUSED && length > 0))
		return EINVAL;
	if (operation->content != PATH)
		return 0;
	memcpy(x->path, x->request.path, length);
	x->path[length] = 0;
	return path_check(x->path, length);
}

static int perform(struct exchange *x, const struct operation *operation)
{
	uint32_t handle = x->request.container;
	int error = operation ? inspect(x, operation) : EOPNOTSUPP;

	if (error)
		return error;
	if (operation->where == CONTAINER || (operation->where == EITHER && handle != PVX_HOST))
		error = container_use(handle, &x->container);
	if (!error)
		error = operation->perform(x);
	if (x->container)
		container_done(x->container);
	return error;
}

static void answer(int fd, struct exchange *x)
{
	struct iovec iov[2] = { { .iov_base = &x->reply, .iov_len = sizeof(x->reply) },
				{ .iov_base = x->data, .iov_len = x->reply.data_length } };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	if (x->fd >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
							     .cmsg_level = SOL_SOCKET,
							     .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &x->fd, sizeof(int));
	}
	while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR && errno != ENOMEM && errno != ENOBUFS && errno != ETOOMANYREFS)
			break; /* whoever asked is gone */
		usleep(1000);
	}
	CLOSE_FD(x->fd);
}

static void *serve(void *argument)
{
	struct channel *channel = argument;
	struct exchange *x = &exchanges[atomic_fetch_add(&taken, 1)];
	int error;

	if (thread_init())
		abort();
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	x->channel = channel;
	reader_lead(&channel->readers);
	while (receive(channel->fd, x, &error)) {
		uint32_t turn = reader_goes(&channel->readers, x->request.container);
		const struct operation *operation = error ? NULL : operation_of(x->request.op);
		bool carries = operation && operation->descriptors == A_QUEUE;

		x->reply = (struct pvx_reply){ .id = x->request.id };
		x->epoch = epoch_now();
		x->fd = -1;
		x->container = NULL;
		x->from = carries ? foreign_account((uint32_t)x->request.from, x->request.container) :
				    foreign_account(0, 0);
		if (!error)
			error = perform(x, operation);
		if (error)
			CLOSE_FD(x->fd);
		x->reply.error = (uint32_t)(error == EINTR ? EAGAIN : error); /* a file system that goes on saying so */
		foreign_close(x->from, x->fds, x->nfds);
		closing_unref(x->from);
		answer(channel->fd, x);
		reader_comes_back(&channel->readers, turn);
	}
	return thread_rest();
}

uint32_t channel_calls(void)
{
	uint32_t calls = 0;

	for (size_t op = 0; op < sizeof(operations) / sizeof(*operations); op++)
		calls |= operations[op].calls;
	return calls;
}

const char *channel_unknown_to(uint32_t calls)
{
	for (size_t op = 0; op < sizeof(operations) / sizeof(*operations); op++)
		if (operations[op].calls & ~calls)
			return operations[op].name;
	return NULL;
}

int channel_serve(struct channel *channel)
{
	int error = readers_init(&channel->readers);

	for (int i = 0; i < THREADS_PER_CHANNEL && !error; i++)
		error = thread_start(serve, channel);
	return error;
}

/* A thread that hangs keeps the descriptor, and this process, for ever: closing it would tell nobody anything. */
void channel_end(struct channel *channel)
{
	shutdown(channel->fd, SHUT_RDWR);
}

void channel_hold(void)
{
	pthread_mutex_lock(&gate);
}

void channel_open(void)
{
	pthread_mutex_unlock(&gate);
}
