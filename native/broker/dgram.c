/*
 * Datagrams that the relay has to send, with the name of a user on them: a receiver that asks (SO_PASSCRED, unix(7)) is
 * told who sends by the kernel, which takes nobody's word for it but a privileged one's. Those to a provider are the
 * link's user's, and many at a time; those to a client, which answer one of his, are his own, and one at a time.
 *
 * They are copied from one socket to another, and looked at by nobody. One for a provider is taken from its queue only
 * when it was sent.
 */
#include "broker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RECORDS_MAX 64u /* at once: others wait */

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

static void put(struct msghdr *message, int type, const void *data, size_t length)
{
	struct cmsghdr header = { .cmsg_len = CMSG_LEN(length), .cmsg_level = SOL_SOCKET, .cmsg_type = type };
	char *end = (char *)message->msg_control + message->msg_controllen;

	memset(end, 0, CMSG_SPACE(length));
	memcpy(end, &header, sizeof(header));
	memcpy(end + CMSG_LEN(0), data, length);
	message->msg_controllen += CMSG_SPACE(length);
}

/* Who sends it, and with which descriptors; in place of all that was there. */
static void put_all(struct msghdr *message, const struct ucred *who, const int *fds, uint32_t nfds)
{
	message->msg_controllen = 0;
	put(message, SCM_CREDENTIALS, who, sizeof(*who));
	if (nfds > 0)
		put(message, SCM_RIGHTS, fds, nfds * sizeof(int));
}

/* The descriptors of the record at the head of the queue, which stays there. */
static int carried_by(int queue, const struct closing *from, int *fds, uint32_t *n)
{
	union control control;
	struct msghdr message = { .msg_control = control.space, .msg_controllen = sizeof(control.space) };

	if (!foreign_room(from))
		return EBUSY;
	if (recvmsg(queue, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return errno;
	*n = foreign_take(&message, fds);
	return message.msg_flags & MSG_CTRUNC ? EMFILE : 0; /* our table is full */
}

static int send_one(const int fds[2], const struct ucred *who, char *room, struct closing *from)
{
	union control control;
	struct iovec iov = { .iov_base = room, .iov_len = DATAGRAM_MAX };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int carried[FDS_MAX], error = 0;
	uint32_t n = 0;
	ssize_t length = recvmsg(fds[1], &message, MSG_PEEK | MSG_DONTWAIT); /* without room for them, it says if there are some */

	if (length < 0)
		return errno;
	if (message.msg_flags & MSG_TRUNC)
		return EMSGSIZE;
	if (message.msg_flags & MSG_CTRUNC)
		error = carried_by(fds[1], from, carried, &n);
	if (!error) {
		iov.iov_len = (size_t)length;
		message = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space };
		put_all(&message, who, carried, n);
		if (sendmsg(fds[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			error = errno;
	}
	if (!error) {
		iov.iov_len = 0;
		message = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
		recvmsg(fds[1], &message, MSG_DONTWAIT); /* what it carried is open here still: nothing is closed by this */
	}
	closing_take(from, carried, n);
	return error;
}

int dgram_send(const struct container *c, uint32_t uid, uint32_t gid, uint32_t many, const int fds[2], char *room,
	       struct closing *from, uint32_t *sent)
{
	struct ucred who = { .pid = getpid(), .uid = uid, .gid = gid };
	int error = container_user(c, &who.uid, &who.gid);

	for (*sent = 0; !error && *sent < many && *sent < RECORDS_MAX;) {
		error = send_one(fds, &who, room, from);
		*sent += error == 0;
	}
	return error;
}

/* What is in `message` with these descriptors; who the sender is, the kernel tells a receiver that asks from what we
 * say here: not our real uid, which is root. */
static int send_as(struct container *c, const char *path, uint32_t uid, uint32_t gid, int fd, struct msghdr *message,
		   const int *fds, uint32_t nfds)
{
	struct ucred who = { .pid = getpid(), .uid = uid, .gid = gid };
	struct sockaddr_un address;
	int file, error = path_open(c, path, &file);

	if (error)
		return error;
	address = unix_address(file);
	message->msg_name = &address;
	message->msg_namelen = sizeof(address);
	put_all(message, &who, fds, nfds);
	error = thread_become(uid, gid);
	if (!error) {
		if (RETRY(sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0)
			error = errno;
		thread_return();
	}
	CLOSE_FD(file);
	return error;
}

/* One datagram from fds[1]'s queue goes out of fds[0], which is bound in the container, with the descriptors
 * that are in it. The path is what a client said of itself: as its user, and with its name on it, the datagram
 * reaches nobody whom the client could not have written to. */
int dgram_reply(struct container *c, const char *path, uint32_t uid, uint32_t gid, const int fds[2], char *room,
		struct closing *from)
{
	union control control;
	struct iovec iov = { .iov_base = room, .iov_len = DATAGRAM_MAX };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)
	};
	struct msghdr glance = { 0 }; /* without room for descriptors it says if there are some */
	int carried[FDS_MAX], error;
	uint32_t ncarried;
	ssize_t n;

	if (RETRY(recvmsg(fds[1], &glance, MSG_PEEK | MSG_DONTWAIT)) < 0)
		return errno;
	if (glance.msg_flags & MSG_CTRUNC && !foreign_room(from))
		return EBUSY;
	n = RETRY(recvmsg(fds[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	if (n < 0)
		return errno;
	iov.iov_len = (size_t)n;
	ncarried = foreign_take(&message, carried);
	error = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ?
			EMSGSIZE :
			send_as(c, path, uid, gid, fds[0], &message, carried, ncarried);
	closing_take(from, carried, ncarried);
	return error;
}
