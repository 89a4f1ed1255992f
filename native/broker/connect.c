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

static int open_socket_file(const struct container *c, const char *path, int *fd)
{
	struct stat st;
	int root, error = container_root(c, &root);

	if (error)
		return error;
	error = path_open(root, path, fd);
	CLOSE_FD(root);
	if (error)
		return error;
	error = fstat(*fd, &st) < 0 ? errno : S_ISSOCK(st.st_mode) ? 0 : ENOTSOCK;
	if (error)
		CLOSE_FD(*fd);
	return error;
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
		error = open_socket_file(c, path, &file);
	if (error)
		return error;
	error = thread_socket(c, type, fd);
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
	CLOSE_FD(file);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

int connect_probe(struct container *c, const char *path)
{
	int file, error = open_socket_file(c, path, &file);

	if (!error)
		CLOSE_FD(file);
	return error;
}

/* One datagram from fds[1]'s queue goes out of fds[0], which is bound in the container, with the descriptors
 * that are in it. */
int connect_reply(struct container *c, const char *path, const int fds[2])
{
	static _Thread_local char data[256 * 1024];
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct sockaddr_un address;
	ssize_t n = recvmsg(fds[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int file, error;

	if (n < 0)
		return errno;
	iov.iov_len = (size_t)n;
	error = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? EMSGSIZE : open_socket_file(c, path, &file);
	if (!error) {
		address = address_of(file);
		message.msg_name = &address;
		message.msg_namelen = sizeof(address);
		if (sendmsg(fds[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			error = errno;
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
	return error;
}
