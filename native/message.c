/*
 * Messages of sockets, as the relay and the channels of the daemon send and receive them; what a failure means.
 *
 * A descriptor that was received is collected before the message is looked at any further: one that is forgotten in an
 * early return stays open for ever.
 */
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

uint32_t control_fds(struct msghdr *message, int *fds)
{
	uint32_t nfds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t length;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		length = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < length; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (nfds < MESSAGE_FDS_MAX)
				fds[nfds++] = fd;
			else
				close(fd);
		}
	}
	return nfds;
}

ssize_t receive_bytes(int fd, void *data, size_t length, struct closing *closing)
{
	char control[CONTROL_RECEIVED_SIZE];
	struct iovec iov = { .iov_base = data, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[MESSAGE_FDS_MAX];
	uint32_t nfds;

	if (n < 0 || message.msg_controllen == 0)
		return n;
	nfds = control_fds(&message, fds);
	if (nfds > 0 && closing_full(closing)) {
		n = -1;
		errno = ETOOMANYREFS;
	}
	closing_take(closing, fds, nfds); /* keeps errno */
	return n;
}

void control_put(struct msghdr *message, void *buffer, const int *fds, uint32_t nfds)
{
	struct cmsghdr *c;

	if (nfds == 0)
		return;
	message->msg_control = buffer;
	message->msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	memset(buffer, 0, message->msg_controllen);
	c = CMSG_FIRSTHDR(message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
}

bool transient(int error)
{
	return error == EAGAIN || error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM || error == EINTR ||
	       error == EMFILE || error == ENFILE || error == ENOSPC || error == EBUSY;
}

int socket_domain(int fd)
{
	int domain;
	socklen_t length = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ? -1 : domain;
}

int tcp_shaken(int fd)
{
	struct pollfd decided = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int error = 0;

	if (poll(&decided, 1, 0) == 0)
		return EINPROGRESS;
	if (!(decided.revents & (POLLERR | POLLHUP)))
		return 0;
	/* A peer that took the connection and broke it off again is a matter of the connection. */
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}
