/*
 * Replies to datagrams: from the flow's socket to the client that it stands for, see dgram.c.
 *
 * To a client that is bound to a path the broker sends them, one at a time: so they stay in order, and one that
 * the client has no room for yet stays where it is. The path is the client's own word, so the broker sends as the
 * client's user: the reply reaches nothing that the client itself could not write to.
 */
#include "dgram.h"
#include "lease.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Whether the reply at the head of the queue is done with; else dgram_tick comes back to it. */
static bool settled(struct flow *flow, int error)
{
	struct link *link = flow->link;

	if (transient(error)) /* EAGAIN: the client reads slowly */
		return false;
	if (error) {
		counter_add(&link->counters->closes[PVX_REASON_ERROR], 1);
	} else {
		counter_add(&link->counters->bytes[1], flow->reply_length);
		flow->bytes[1] += flow->reply_length;
		share_sent(link, &link->fds_replied, flow->reply_nfds);
	}
	/* Whoever had its descriptors may have closed them by now: what is in the queue is the last of them. */
	(void)receive_bytes(flow->source.fd, link->relay->scratch, link->tap ? RELAY_SCRATCH : 1, link->closing);
	if (link->tap && !error)
		tap_take(link, flow->id, true, link->relay->scratch, flow->reply_length, flow->reply_nfds);
	flow->idle_at = relay_now() + FLOW_IDLE_MS;
	return true;
}

static void reply_sent(void *owner, int fd, int error, uint32_t value)
{
	struct flow *flow = owner;

	(void)value;
	closing_take(flow->link->closing, &fd, 1);
	flow->reply_slot = 0;
	if (settled(flow, error))
		dgram_replies(flow);
}

/* Through the broker, which may write to a socket in the consumer's file system and finds it there.
 * EINPROGRESS: reply_sent will say. */
static int reply_by_path(struct flow *flow, struct msghdr *datagram)
{
	struct link *link = flow->link;
	const struct pvx_request *provider = flow_request(flow);
	struct pvx_request request = { .op = PVX_OP_REPLY_DGRAM, .container = link->consumer, .type = SOCK_DGRAM,
				       .uid = flow->who.uid, .gid = flow->who.gid,
				       .from = provider ? provider->container : 0 };
	size_t length = strnlen(flow->address.sun_path, flow->length - sizeof(sa_family_t));
	int pair[2], fds[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return EAGAIN;
	request.path_length = (uint32_t)length;
	memcpy(request.path, flow->address.sun_path, length);
	fds[0] = link->listener.fd;
	fds[1] = pair[1];
	if (sendmsg(pair[0], datagram, MSG_NOSIGNAL) < 0) {
		error = errno;
	} else {
		flow->reply_slot = broker_ask(link, &request, fds, 2, flow, reply_sent);
		error = flow->reply_slot ? EINPROGRESS : EAGAIN;
	}
	close(pair[0]);
	closing_take(link->closing, &pair[1], 1); /* the datagram may be in it still */
	return error;
}

static int reply(struct flow *flow, size_t length, const int *fds, uint32_t nfds)
{
	char control[CONTROL_SIZE];
	struct link *link = flow->link;
	struct iovec iov = { .iov_base = link->relay->scratch, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (flow->length <= sizeof(sa_family_t))
		return EDESTADDRREQ;
	if (nfds > 0 && !share_left(link))
		return EAGAIN;
	control_put(&message, control, fds, nfds);
	if (flow->address.sun_path[0] != 0)
		return reply_by_path(flow, &message);
	message.msg_name = &flow->address;
	message.msg_namelen = flow->length;
	return sendmsg(link->listener.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

void dgram_replies(struct flow *flow)
{
	struct link *link = flow->link;

	for (int turn = 0; flow->source.fd >= 0 && !flow->reply_slot; turn++) {
		char control[CONTROL_RECEIVED_SIZE];
		struct iovec iov = { .iov_base = link->relay->scratch, .iov_len = RELAY_SCRATCH };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		int fds[MESSAGE_FDS_MAX], error;
		ssize_t n;

		if (turn == RELAY_BATCH) {
			relay_rearm(link->relay, &flow->source, EPOLLIN | EPOLLOUT); /* others first */
			return;
		}
		if (closing_full(link->closing) || (link->fault && !fault_answers(link, &flow->due)))
			return; /* each look takes descriptors; dgram_tick comes back to it */
		n = recvmsg(flow->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK);
		if (n < 0) {
			flow->readable = errno != EAGAIN; /* else dgram_tick comes back to it */
			flow->due = 0;
			return;
		}
		flow->reply_length = (size_t)n;
		flow->reply_nfds = control_fds(&message, fds);
		error = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? EMSGSIZE :
								     reply(flow, (size_t)n, fds, flow->reply_nfds);
		closing_take(link->closing, fds, flow->reply_nfds);
		if (error == EINPROGRESS || !settled(flow, error))
			return;
	}
}
