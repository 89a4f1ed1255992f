/*
 * pv_device.h: opened devices from pv-xconnect, for links with "mode": "fd". One file, C99, no library needed;
 * take it along.
 *
 *     struct pv_device screen;
 *
 *     if (pv_device_open(&screen, "/run/screen.sock"))
 *         ...                       // errno says why
 *     drmModeGetResources(screen.fd);
 *     ...
 *     pv_device_close(&screen);
 *
 * The device is yours for as long as the connection stands. Its end tells you that the device was taken back: input
 * devices are revoked then, a DRM master is dropped, a lease is revoked. Let your poll() wait for POLLIN on
 * `connection`; nothing is ever sent on it but that end.
 */
#ifndef PV_DEVICE_H
#define PV_DEVICE_H

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct pv_device {
	int fd;         /* the device: opened, non-blocking, close-on-exec */
	int connection; /* readable when the device was taken back */
};

/* Yours is nothing any more. What you did with the device is forgotten by the kernel. */
static inline void pv_device_close(struct pv_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	if (device->connection >= 0)
		close(device->connection);
	device->fd = device->connection = -1;
}

/*
 * 0, or -1 with errno: ENOENT, ECONNREFUSED: the link is not there (yet). ENODEV: it is, but there is no device, or
 * you may not have it; the log of pv-xconnect says why. Others as of socket(2), connect(2) and recvmsg(2). It waits
 * for the device as long as pv-xconnect does (5 s).
 */
static inline int pv_device_open(struct pv_device *device, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t n = -1;
	int error;

	device->fd = device->connection = -1;
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	device->connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (device->connection >= 0 &&
	    connect(device->connection, (struct sockaddr *)&address, sizeof(address)) == 0)
		do
			n = recvmsg(device->connection, &message, MSG_CMSG_CLOEXEC);
		while (n < 0 && errno == EINTR);
	if (n >= 0) {
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);

		if (n == 1 && head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
		    head->cmsg_len == CMSG_LEN(sizeof(int))) {
			memcpy(&device->fd, CMSG_DATA(head), sizeof(int));
			return 0;
		}
		errno = message.msg_flags & MSG_CTRUNC ? EMFILE : ENODEV;
	}
	error = errno;
	pv_device_close(device);
	errno = error;
	return -1;
}

/* 1: it was taken back; 0: it is still yours. Does not wait. */
static inline int pv_device_taken(const struct pv_device *device)
{
	struct pollfd wait = { .fd = device->connection, .events = POLLIN };

	return poll(&wait, 1, 0) != 0;
}

#endif
