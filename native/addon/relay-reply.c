/*
 * Replies to datagrams: from the flow's socket to the client that it stands for, see relay-dgram.c.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void reply_sent(void *link, int fd, int error)
{
	if (fd >= 0)
		close(fd);
	if (error)
		atomic_fetch_add(&((struct link *)link)->closes[REASON_ERROR], 1);
	link_unref(link);
}

/* Through the broker, which may write to a socket in the consumer's file system and finds it there.
 * 0, or the errno. */
static int reply_by_path(struct flow *flow, struct msghdr *datagram)
{
	struct link *link = flow->link;
	struct pvx_request request = { .op = PVX_OP_REPLY_DGRAM, .container = link->consumer, .type = SOCK_DGRAM };
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
		atomic_fetch_add(&link->refs, 1);
		if (!broker_ask(link->relay, &request, fds, 2, link, reply_sent)) {
			error = EAGAIN;
			link_unref(link);
		}
	}
	close(pair[0]);
	close(pair[1]);
	return error;
}

static int reply(struct flow *flow, size_t length, const int *fds, uint32_t nfds)
{
	char control[CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX)];
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

	for (int turn = 0; flow->source.fd >= 0; turn++) {
		char control[CMSG_SPACE(sizeof(int) * RELAY_FDS_MAX) + CMSG_SPACE(64)];
		struct iovec iov = { .iov_base = link->relay->scratch, .iov_len = RELAY_SCRATCH };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		int fds[RELAY_FDS_MAX], error;
		uint32_t nfds;
		ssize_t n;

		if (turn == RELAY_BATCH) {
			relay_rearm(link->relay, &flow->source, EPOLLIN | EPOLLOUT); /* others first */
			return;
		}
		n = recvmsg(flow->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK);
		if (n < 0) {
			flow->readable = errno == EINTR;
			return;
		}
		nfds = control_fds(&message, fds);
		error = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? EMSGSIZE : reply(flow, (size_t)n, fds, nfds);
		fds_close(fds, nfds);
		if (!error)
			share_sent(link, &link->fds_replied, nfds);
		if (error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS)
			return; /* it stays where it is; dgram_tick comes back to it */
		recv(flow->source.fd, link->relay->scratch, 1, MSG_DONTWAIT);
		if (error)
			atomic_fetch_add(&link->closes[REASON_ERROR], 1);
		else
			atomic_fetch_add(&link->bytes[1], (uint64_t)n);
		flow->idle_at = relay_now() + FLOW_IDLE_MS;
	}
}
