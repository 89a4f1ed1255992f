/*
 * Sockets connected to containers: as a uid and gid of the container, with no other group.
 *
 * The socket's file is opened first, inside the container's root, and then connected to through our own
 * descriptor of it: the path can be of any length, and can't be exchanged in between.
 */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DATAGRAM_MAX (256u * 1024u)

static int open_file(const struct container *c, const char *path, int *fd)
{
	int root, error = container_root(c, &root);

	if (error)
		return error;
	error = path_open(root, path, fd);
	CLOSE_FD(root);
	return error;
}

static int check_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? errno : S_ISSOCK(st.st_mode) ? 0 : ENOTSOCK;
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
		error = open_file(c, path, &file);
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
		if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) < 0)
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

int connect_probe(struct container *c, const char *path)
{
	int file, error = open_file(c, path, &file);

	if (error)
		return error;
	error = check_socket(file);
	CLOSE_FD(file);
	return error;
}

/* What a receiver that asks is told of the sender: not our real uid, which is root. */
static void put_credentials(struct msghdr *message, size_t room, uint32_t uid, uint32_t gid)
{
	struct ucred who = { .pid = getpid(), .uid = uid, .gid = gid };
	struct cmsghdr header = { .cmsg_len = CMSG_LEN(sizeof(who)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS };
	char *end = (char *)message->msg_control + message->msg_controllen;

	if (message->msg_controllen + CMSG_SPACE(sizeof(who)) > room)
		return;
	memset(end, 0, CMSG_SPACE(sizeof(who)));
	memcpy(end, &header, sizeof(header));
	memcpy(end + CMSG_LEN(0), &who, sizeof(who));
	message->msg_controllen += CMSG_SPACE(sizeof(who));
}

/* One datagram from fds[1]'s queue goes out of fds[0], which is bound in the container, with the descriptors
 * that are in it. The path is what a client said of itself: as its user, and with its name on it, the datagram
 * reaches nobody whom the client could not have written to. */
int connect_reply(struct container *c, const char *path, uint32_t uid, uint32_t gid, const int fds[2])
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { .iov_base = malloc(DATAGRAM_MAX), .iov_len = DATAGRAM_MAX };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct sockaddr_un address;
	int file, error;
	ssize_t n;

	if (!iov.iov_base)
		return ENOMEM;
	n = recvmsg(fds[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		error = errno;
		free(iov.iov_base);
		return error;
	}
	iov.iov_len = (size_t)n;
	error = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? EMSGSIZE : open_file(c, path, &file);
	if (!error) {
		address = address_of(file);
		message.msg_name = &address;
		message.msg_namelen = sizeof(address);
		put_credentials(&message, sizeof(control), uid, gid);
		error = thread_become(uid, gid);
		if (!error) {
			if (sendmsg(fds[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				error = errno;
			thread_return();
		}
		CLOSE_FD(file);
	}
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message); cmsg; cmsg = CMSG_NXTHDR(&message, cmsg)) {
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int carried[FDS_MAX];

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(carried, CMSG_DATA(cmsg), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			CLOSE_FD(carried[i]);
	}
	free(iov.iov_base);
	return error;
}
