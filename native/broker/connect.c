/*
 * Sockets connected to containers: as a uid and gid of the container, with no other group.
 *
 * The socket's file is opened first, inside the container's root, and then connected to through our own
 * descriptor of it: the path can be of any length, and can't be exchanged in between.
 */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int check_socket(int fd)
{
	struct stat st;

	return RETRY(fstat(fd, &st)) < 0 ? errno : S_ISSOCK(st.st_mode) ? 0 : ENOTSOCK;
}

static struct sockaddr_un address_of(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	return address;
}

int connect_unix(struct container *c, int type, const char *path, uint32_t uid, uint32_t gid, int *fd)
{
	struct sockaddr_un address;
	int file, error;

	*fd = -1;
	error = idmap_outside(&c->uids, uid, &uid);
	if (!error)
		error = idmap_outside(&c->gids, gid, &gid);
	if (!error)
		error = path_open(c, path, &file);
	if (error)
		return error;
	error = thread_socket(c, AF_UNIX, type, 0, fd);
	if (!error && type == SOCK_DGRAM) {
		/* Bound to a name that the kernel picks, so that the provider can answer. */
		address = (struct sockaddr_un){ .sun_family = AF_UNIX };
		if (bind(*fd, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0)
			error = errno;
	}
	if (!error)
		error = thread_become(uid, gid);
	if (!error) {
		address = address_of(file);
		if (RETRY(connect(*fd, (struct sockaddr *)&address, sizeof(address))) < 0)
			error = errno;
		thread_return();
	}
	if (error == ECONNREFUSED && check_socket(file)) /* connect(2) says the same of what is no socket */
		error = ENOTSOCK;
	CLOSE_FD(file);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

/* Whether nobody has the socket any more that this is the file of. Its owner, if it has one, notices nothing: a stream
 * or seqpacket socket takes no datagram one, and a datagram one is sent nothing. */
static bool is_stale(int file)
{
	struct sockaddr_un address = address_of(file);
	int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool stale = probe >= 0 && RETRY(connect(probe, (struct sockaddr *)&address, sizeof(address))) < 0 &&
		     errno == ECONNREFUSED;

	CLOSE_FD(probe);
	return stale;
}

int connect_probe(struct container *c, const char *path)
{
	int file, error = path_open(c, path, &file);

	if (error)
		return error;
	error = check_socket(file);
	if (!error && is_stale(file))
		error = ECONNREFUSED;
	CLOSE_FD(file);
	return error;
}

static void put(struct msghdr *message, int type, const void *data, size_t length)
{
	struct cmsghdr header = { .cmsg_len = CMSG_LEN(length), .cmsg_level = SOL_SOCKET, .cmsg_type = type };
	char *end = (char *)message->msg_control + message->msg_controllen;

	memset(end, 0, CMSG_SPACE(length));
	memcpy(end, &header, sizeof(header));
	memcpy(end + CMSG_LEN(0), data, length);
	message->msg_controllen += CMSG_SPACE(length);
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
	address = address_of(file);
	message->msg_name = &address;
	message->msg_namelen = sizeof(address);
	message->msg_controllen = 0;
	put(message, SCM_CREDENTIALS, &who, sizeof(who));
	if (nfds > 0)
		put(message, SCM_RIGHTS, fds, nfds * sizeof(int));
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
int connect_reply(struct container *c, const char *path, uint32_t uid, uint32_t gid, const int fds[2], char *room,
		  struct closing *from)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { .iov_base = room, .iov_len = DATAGRAM_MAX };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
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
