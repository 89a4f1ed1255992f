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

struct sockaddr_un connect_address(int fd)
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
	error = container_user(c, &uid, &gid);
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
		address = connect_address(file);
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
	struct sockaddr_un address = connect_address(file);
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
