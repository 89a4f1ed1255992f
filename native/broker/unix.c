/*
 * Unix sockets of containers: those that are planted there, connected to, asked after.
 *
 * A socket that is planted is bound under a name of its own beside the target and then renamed: at no moment is there
 * something half-made at the target, and what was there is never lost. A stale socket is exchanged, not overwritten, so
 * that what took its place in the last instant is put back.
 *
 * For a connection, as a uid and gid of the container with no other group, the socket's file is opened first, inside the
 * container's root, and then connected to through our own descriptor of it: the path can be of any length, and can't be
 * exchanged in between.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

struct sockaddr_un unix_address(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	return address;
}

/* 0: somebody has the socket that this is the file of. ECONNREFUSED: nobody has it any more. Anything else: there was no
 * asking. Its owner notices nothing: a stream or seqpacket socket takes no datagram one (EPROTOTYPE), and a datagram one
 * is sent nothing. */
static int find_owner(int file)
{
	struct sockaddr_un address = unix_address(file);
	int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;

	if (probe < 0)
		return errno;
	if (RETRY(connect(probe, (struct sockaddr *)&address, sizeof(address))) < 0 && errno == ECONNREFUSED)
		error = ECONNREFUSED;
	CLOSE_FD(probe);
	return error;
}

/* 0: the socket there is stale, and `*identity` is whose. EADDRINUSE: somebody has it. EEXIST: it is no socket. */
static int find_stale(int folder, const char *name, struct identity *identity)
{
	int error = plant_identify(folder, name, S_IFSOCK, identity), file;

	if (error)
		return error;
	file = RETRY(openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (file < 0)
		return errno;
	error = find_owner(file);
	CLOSE_FD(file);
	return error == ECONNREFUSED ? 0 : error ? error : EADDRINUSE;
}

/* Our socket, at `temporary`, takes the place of a stale one. */
static int replace_stale(int folder, const char *temporary, const char *name)
{
	struct identity stale = { 0 }, swapped = { 0 };
	int error = find_stale(folder, name, &stale);

	if (error)
		return error;
	if (RETRY(renameat2(folder, temporary, folder, name, RENAME_EXCHANGE)) < 0)
		return errno;
	error = plant_identify(folder, temporary, S_IFSOCK, &swapped);
	if (!error && plant_same(&stale, &swapped))
		return RETRY(unlinkat(folder, temporary, 0)) < 0 ? errno : 0;
	RETRY(renameat2(folder, temporary, folder, name, RENAME_EXCHANGE));
	return EEXIST;
}

/* Names `socket` in the folder, as the container's root. */
static int bind_at(const struct place *place, int socket_fd, int type, struct identity *identity)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char temporary[PLANT_TEMPORARY];
	int error = plant_temporary(temporary);

	if (error)
		return error;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", place->folder, temporary);
	umask(0111); /* of this thread: the socket's mode is 0666 */
	error = RETRY(bind(socket_fd, (struct sockaddr *)&address, sizeof(address))) < 0 ? errno : 0;
	umask(0);
	if (error)
		return error == EADDRINUSE ? EAGAIN : error;
	if (type != SOCK_DGRAM && listen(socket_fd, BACKLOG) < 0)
		error = errno;
	if (!error)
		error = plant_identify(place->folder, temporary, S_IFSOCK, identity);
	if (!error && RETRY(renameat2(place->folder, temporary, place->folder, place->name, RENAME_NOREPLACE)) < 0)
		error = errno == EEXIST ? replace_stale(place->folder, temporary, place->name) : errno;
	if (error)
		RETRY(unlinkat(place->folder, temporary, 0));
	return error;
}

int unix_listen(struct container *c, int type, const char *path, uint32_t epoch, int *fd, uint32_t *handle)
{
	struct planted what = { .type = S_IFSOCK };
	struct place place;
	int error;

	*fd = -1;
	error = path_place(c, path, true, &place);
	if (error)
		return error;
	error = thread_socket(c, AF_UNIX, type, 0, fd);
	if (!error && !(error = thread_fs_root_of(c))) {
		error = bind_at(&place, *fd, type, &what.identity);
		thread_fs_return();
	}
	CLOSE_FD(place.folder);
	if (!error)
		error = plant_remember(c, path, &what, epoch, handle);
	if (error)
		CLOSE_FD(*fd);
	return error;
}

static int check_socket(int fd)
{
	struct stat st;

	return RETRY(fstat(fd, &st)) < 0 ? errno : S_ISSOCK(st.st_mode) ? 0 : ENOTSOCK;
}

int unix_connect(struct container *c, int type, const char *path, uint32_t uid, uint32_t gid, int *fd)
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
		address = unix_address(file);
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

int unix_probe(struct container *c, const char *path)
{
	int file, error = path_open(c, path, &file);

	if (error)
		return error;
	error = check_socket(file);
	if (!error)
		error = find_owner(file);
	CLOSE_FD(file);
	return error;
}
