/*
 * Sockets connected to the hosted bus, as the uid of a role. Which buses there are, and which uids are roles', comes
 * from our own command line: a message names a bus by its place there, and can name no other uid, but nobody's: so
 * is who requires a bus and says no role.
 *
 * The socket's file is opened as root, as the folder around it lets nobody else in, and connected to as the role. A
 * symbolic link in its place, which the bus's own user could make, is not followed.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534u

static const char *buses[PVX_BUSES_MAX];
static uint32_t nbuses;
static uint32_t first = 1, last; /* none */

int bus_add(const char *path)
{
	if (*path != '/')
		return EINVAL;
	if (nbuses == PVX_BUSES_MAX)
		return E2BIG;
	buses[nbuses++] = path;
	return 0;
}

/* Root is nobody's role, whatever is asked for. */
int bus_uids(const char *range)
{
	char rest;

	return sscanf(range, "%u-%u%c", &first, &last, &rest) == 2 && first > 0 && last < UINT32_MAX ? 0 : EINVAL;
}

int bus_connect(uint32_t which, uint32_t uid, int *fd)
{
	struct sockaddr_un address;
	int file, error;

	*fd = -1;
	if (which >= nbuses || (uid != NOBODY && (uid < first || uid > last)))
		return ERANGE;
	file = RETRY(open(buses[which], O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (file < 0)
		return errno;
	address = unix_address(file);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	error = *fd < 0 ? errno : thread_become(uid, uid);
	if (!error) {
		if (RETRY(connect(*fd, (struct sockaddr *)&address, sizeof(address))) < 0)
			error = errno;
		thread_return();
	}
	CLOSE_FD(file);
	if (error)
		CLOSE_FD(*fd);
	return error;
}
