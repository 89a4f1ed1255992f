/*
 * The runtime's socket, which only root may connect to. Its path comes from our own command line, never from a message.
 */
#include "broker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int runtime_connect(const char *path, int *fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error = 0;

	*fd = -1;
	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	strcpy(address.sun_path, path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return errno;
	if (RETRY(connect(*fd, (struct sockaddr *)&address, sizeof(address))) < 0) {
		error = errno;
		CLOSE_FD(*fd);
	}
	return error;
}
