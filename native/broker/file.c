/*
 * Small files of a container, or of the host's folder of certificates, read whole. What is no regular file is never
 * opened: a device or a FIFO would do something, or wait.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes `found`. */
static int read_whole(int found, char *data, uint32_t *length)
{
	struct stat st;
	int fd = -1, error = EINVAL;
	char over;

	if (RETRY(fstat(found, &st)) == 0 && S_ISREG(st.st_mode))
		error = path_reopen(found, O_RDONLY | O_NONBLOCK, &fd);
	CLOSE_FD(found);
	while (!error && *length < PVX_DATA_MAX) {
		ssize_t n = RETRY(read(fd, data + *length, PVX_DATA_MAX - *length));

		if (n < 0)
			error = errno;
		if (n == 0)
			break;
		if (n > 0)
			*length += (uint32_t)n;
	}
	if (!error && *length == PVX_DATA_MAX && read(fd, &over, 1) > 0)
		error = EFBIG;
	CLOSE_FD(fd);
	if (error)
		*length = 0;
	return error;
}

int file_read(struct container *c, const char *path, char *data, uint32_t *length)
{
	int found, error = path_open(c, path, &found);

	*length = 0;
	return error ? error : read_whole(found, data, length);
}

int file_read_certificate(const char *folder, const char *path, char *data, uint32_t *length)
{
	int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), found, error;

	*length = 0;
	if (root < 0)
		return errno;
	error = path_open_below(root, path, &found);
	CLOSE_FD(root);
	return error ? error : read_whole(found, data, length);
}
