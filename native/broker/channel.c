/*
 * Requests in, one reply each out. Several threads read from one channel, so that an operation that hangs in a
 * file system of a container's own making holds up one of them.
 *
 * What arrives is collected before it is judged: every descriptor of a record is closed on every way out. A
 * record is exactly one request; nothing in it sizes anything.
 */
#include "broker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(PVX_PLANTS_MAX * sizeof(uint32_t) <= PVX_DATA_MAX, "all plants fit into an answer");

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* locked until everything is in place */

struct exchange {
	struct pvx_request request;
	char path[PVX_PATH_MAX + 1];
	int fds[FDS_MAX]; /* that came */
	uint32_t nfds;
	struct closing *from; /* on whose account they are closed */
	struct pvx_reply reply;
	_Alignas(uint32_t) char data[PVX_DATA_MAX]; /* of the reply */
	int fd;                  /* of the reply; -1: none */
	char datagram[DATAGRAM_MAX];
};

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

static int with_path(struct exchange *x)
{
	uint32_t length = x->request.path_length;

	if (length > PVX_PATH_MAX)
		return EINVAL;
	memcpy(x->path, x->request.path, length);
	x->path[length] = 0;
	return path_check(x->path, length);
}

/* `c` NULL: the host. */
static int find_node(struct exchange *x, const struct container *c)
{
	struct pvx_node node;
	int error = with_path(x);

	if (!error)
		error = device_find(c, x->request.type, x->path, &x->fd, &node);
	if (error)
		return error;
	memcpy(x->data, &node, sizeof(node));
	x->reply.data_length = sizeof(node);
	return 0;
}

static int in_container(struct exchange *x, struct container *c)
{
	const struct pvx_request *request = &x->request;
	int type = (int)request->type;
	int error = with_path(x);

	if (error)
		return error;
	switch (request->op) {
	case PVX_OP_LISTEN_UNIX:
	case PVX_OP_CONNECT_UNIX:
		if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
			return EINVAL;
		if (request->op == PVX_OP_LISTEN_UNIX)
			return plant_listen(c, type, x->path, &x->fd, &x->reply.value);
		return connect_unix(c, type, x->path, request->uid, request->gid, &x->fd);
	case PVX_OP_PROBE_UNIX:
		return connect_probe(c, x->path);
	case PVX_OP_READ:
		error = file_read(c, x->path, x->data, &x->reply.data_length);
		x->reply.value = x->reply.data_length;
		return error;
	case PVX_OP_REPLY_DGRAM:
		return x->nfds == 2 ? dgram_reply(c, x->path, request->uid, request->gid, x->fds, x->datagram,
						  x->from) :
				      EBADMSG;
	case PVX_OP_FIND_NODE:
		return find_node(x, c);
	case PVX_OP_PLANT_NODE:
		return x->nfds == 1 ? device_plant(c, request, x->path, x->fds[0], &x->reply.value) : EBADMSG;
	default:
		return EOPNOTSUPP;
	}
}

/* With one descriptor, a node. */
static int with_node(struct exchange *x)
{
	const struct pvx_request *request = &x->request;
	struct pvx_card card;
	int error;

	if (x->nfds != 1)
		return EBADMSG;
	if (request->op == PVX_OP_OPEN_NODE)
		return grant_open(request->type, request->arg, x->fds[0], &x->fd, &x->reply.value);
	if (request->path_length > PVX_PATH_MAX)
		return EINVAL;
	if (request->op == PVX_OP_LEASE_CARD)
		return grant_lease(x->fds[0], request->path, request->path_length, &x->fd, &x->reply.value);
	error = grant_read_card(x->fds[0], &card);
	if (error)
		return error;
	memcpy(x->data, &card, sizeof(card));
	x->reply.data_length = sizeof(card);
	return 0;
}

/* `c` NULL: the host. */
static int tcp(struct exchange *x, const struct container *c)
{
	const struct pvx_request *request = &x->request;
	/* Asked first: should the container change it meanwhile, the socket is taken for one of its old network. */
	int error = c && request->op == PVX_OP_LISTEN_TCP ? container_network(c, &x->reply.aux) : 0;

	if (error)
		return error;
	return tcp_perform(request->op, c, request->path, request->path_length, request->arg, &x->fd);
}

static int check(struct exchange *x, const struct container *c)
{
	uint32_t count;
	int error = container_network(c, &x->reply.aux);

	if (!error)
		error = plant_check(c, (uint32_t *)x->data, &count);
	if (!error)
		x->reply.data_length = count * (uint32_t)sizeof(uint32_t);
	return error;
}

static int send_dgrams(struct exchange *x, const struct container *c)
{
	const struct pvx_request *request = &x->request;

	if (x->nfds != 2)
		return EBADMSG;
	return dgram_send(c, request->uid, request->gid, request->arg, x->fds, x->datagram, x->from,
			  &x->reply.value);
}

static int hold(struct exchange *x)
{
	struct held held = { .cgroup = x->data };
	int error = container_hold(x->request.arg, x->request.stamp, &held);

	if (error)
		return error;
	x->reply.value = held.handle;
	x->reply.stamp = held.start;
	x->reply.aux = held.mount_ns;
	x->reply.data_length = held.cgroup_length;
	x->fd = held.pidfd;
	return 0;
}

static int read_certificate(struct exchange *x, const char *folder)
{
	int error = with_path(x);

	if (!error)
		error = file_read_certificate(folder, x->path, x->data, &x->reply.data_length);
	x->reply.value = x->reply.data_length;
	return error;
}

static int perform(struct exchange *x, const struct channel *channel)
{
	struct container *c;
	int error;

	switch (x->request.op) {
	case PVX_OP_HELLO:
		x->reply.value = PVX_PROTOCOL_VERSION;
		x->fd = host_listener();
		return 0;
	case PVX_OP_RUNTIME:
		return host_runtime(channel->runtime, &x->fd);
	case PVX_OP_HOLD:
		return hold(x);
	case PVX_OP_RELEASE:
		return container_release(x->request.container);
	case PVX_OP_REMOVE:
		return plant_remove(x->request.arg);
	case PVX_OP_CONNECT_BUS:
		return bus_connect(x->request.arg, x->request.uid, &x->fd);
	case PVX_OP_OPEN_NODE:
	case PVX_OP_READ_CARD:
	case PVX_OP_LEASE_CARD:
		return with_node(x);
	case PVX_OP_REVOKE:
		return grant_revoke(x->request.arg);
	case PVX_OP_FIND_NODE:
		if (x->request.container == PVX_HOST)
			return find_node(x, NULL);
	}
	if (is_tcp(x->request.op) && x->request.container == PVX_HOST)
		return tcp(x, NULL);
	if (x->request.op == PVX_OP_READ && x->request.container == PVX_HOST)
		return read_certificate(x, channel->certificates);
	error = container_use(x->request.container, &c);
	if (error)
		return error;
	if (x->request.op == PVX_OP_CHECK)
		error = check(x, c);
	else if (x->request.op == PVX_OP_SEND_DGRAMS)
		error = send_dgrams(x, c);
	else
		error = is_tcp(x->request.op) ? tcp(x, c) : in_container(x, c);
	container_done(c);
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
	while (receive(channel->fd, x, &error)) {
		x->reply = (struct pvx_reply){ .id = x->request.id };
		x->fd = -1;
		x->from = foreign_account(error ? NULL : &x->request);
		if (!error)
			error = perform(x, channel);
		if (error)
			CLOSE_FD(x->fd);
		x->reply.error = (uint32_t)(error == EINTR ? EAGAIN : error); /* a file system that goes on saying so */
		foreign_close(x->from, x->fds, x->nfds);
		closing_unref(x->from);
		answer(channel->fd, x);
	}
	if (channel->ended)
		channel->ended();
	return thread_rest();
}

int channel_serve(struct channel *channel)
{
	int error = 0;

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
