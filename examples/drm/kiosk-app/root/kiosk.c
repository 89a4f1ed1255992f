/* The consumer: is sent the opened card, prints the name of its driver, and waits until the card is taken back. */
#include <stdio.h>
#include <sys/ioctl.h>

#include "pv_device.h"

/* Of drm.h, which not every machine has. */
struct drm_version {
	int major, minor, patch;
	size_t name_len;
	char *name;
	size_t date_len;
	char *date;
	size_t desc_len;
	char *desc;
};
#define DRM_IOCTL_VERSION _IOWR('d', 0x00, struct drm_version)

static void show(int fd)
{
	char name[64] = "";
	struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };

	if (ioctl(fd, DRM_IOCTL_VERSION, &version) == 0)
		printf("I have the screen: driver %s\n", name);
	else
		printf("I have a device that is no screen: %s\n", strerror(errno));
}

int main(int argc, char **argv)
{
	struct pv_device screen;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; argc == 2; sleep(2)) {
		if (pv_device_open(&screen, argv[1])) {
			if (errno != ENOENT)
				printf("I have no screen: %s\n", strerror(errno));
			continue;
		}
		show(screen.fd);
		poll(&(struct pollfd){ .fd = screen.connection, .events = POLLIN }, 1, -1);
		printf("the screen was taken back\n");
		pv_device_close(&screen);
	}
	return 2;
}
