/*
 * Linked into the pvx-broker of the tests in place of the C library's `ioctl`: answers what DRM and input devices
 * would, and writes each question down, for there is neither on the machine.
 *
 * What it knows: one card with two CRTCs and three connectors; which objects are leased; that a file which is
 * master or was revoked has O_APPEND set, which everybody who has a descriptor of that file can see. What it does
 * not know, so that only hardware can show it: that whoever opens a card without a master becomes it, that a
 * close gives a lease or the master back, and what the kernel then does for reads and drawing.
 *
 * Every question goes to the kernel, too: the stand-ins do not understand it (ENOTTY), but EPERM would be the
 * broker's own filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../../native/broker/drm.h"

#define LEASES 16

static const uint32_t crtcs[] = { 41, 42 };
static const struct {
	uint32_t id, type, number, encoder, possible, crtc;
} connectors[] = {
	{ 51, 11, 1, 61, 1, 41 }, /* HDMI-A-1: the first CRTC alone */
	{ 52, 10, 1, 62, 3, 0 },  /* DP-1: either */
	{ 53, 14, 1, 63, 3, 42 }, /* eDP-1: either, the second now */
};
static uint32_t leases[LEASES][8]; /* objects of each; lessee = index + 1 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A line to the file that the test reads. */
static void note(int fd, const char *text)
{
	const char *path = getenv("PVX_TEST_IOCTLS");
	char line[256];
	struct stat st;
	int file = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (file < 0 || fstat(fd, &st) < 0)
		return;
	snprintf(line, sizeof(line), "%u:%u %s\n", major(st.st_rdev), minor(st.st_rdev), text);
	(void)!write(file, line, strlen(line));
	close(file);
}

/* Somebody who is none of ours is master: a test made the file that says so. */
static int is_busy(void)
{
	const char *path = getenv("PVX_TEST_IOCTLS");
	char busy[256];
	struct stat st;

	snprintf(busy, sizeof(busy), "%s.busy", path ? path : "");
	return stat(busy, &st) == 0;
}

static int answer(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

static int mark(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, on ? flags | O_APPEND : flags & ~O_APPEND);
	return !!(flags & O_APPEND);
}

static int get_resources(struct drm_mode_card_res *get)
{
	uint32_t *out = (uint32_t *)(uintptr_t)get->connector_id_ptr;

	for (uint32_t i = 0; i < 3 && i < get->count_connectors; i++)
		out[i] = connectors[i].id;
	memcpy((void *)(uintptr_t)get->crtc_id_ptr, crtcs, sizeof(crtcs));
	get->count_connectors = 3;
	get->count_crtcs = 2;
	return 0;
}

static int get_connector(struct drm_mode_get_connector *get)
{
	for (int i = 0; i < 3; i++) {
		if (connectors[i].id != get->connector_id)
			continue;
		*(uint32_t *)(uintptr_t)get->encoders_ptr = connectors[i].encoder;
		get->count_encoders = 1;
		get->connector_type = connectors[i].type;
		get->connector_type_id = connectors[i].number;
		get->encoder_id = connectors[i].crtc ? connectors[i].encoder : 0;
		return 0;
	}
	return ENOENT;
}

static int get_encoder(struct drm_mode_get_encoder *get)
{
	for (int i = 0; i < 3; i++) {
		if (connectors[i].encoder != get->encoder_id)
			continue;
		get->possible_crtcs = connectors[i].possible;
		get->crtc_id = connectors[i].crtc;
		return 0;
	}
	return ENOENT;
}

static int is_leased(uint32_t object)
{
	for (int i = 0; i < LEASES; i++)
		for (int j = 0; j < 8; j++)
			if (leases[i][j] == object)
				return 1;
	return 0;
}

static int create_lease(int fd, struct drm_mode_create_lease *create)
{
	const uint32_t *objects = (const uint32_t *)(uintptr_t)create->object_ids;
	char text[128] = "CREATE_LEASE";
	uint32_t i, free_one = 0;

	for (i = 0; i < create->object_count && i < 8; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u", objects[i]);
		if (is_leased(objects[i]))
			return EBUSY;
	}
	while (free_one < LEASES && leases[free_one][0])
		free_one++;
	memcpy(leases[free_one], objects, i * sizeof(*objects));
	create->lessee_id = free_one + 1;
	create->fd = (uint32_t)open("/dev/zero", O_RDWR | (int)create->flags);
	note(fd, text);
	return 0;
}

static int revoke_lease(int fd, uint32_t lessee)
{
	char text[32];

	snprintf(text, sizeof(text), "REVOKE_LEASE %u", lessee);
	note(fd, text);
	if (lessee == 0 || lessee > LEASES || !leases[lessee - 1][0])
		return ENOENT;
	memset(leases[lessee - 1], 0, sizeof(leases[0]));
	return 0;
}

static int ask(int fd, unsigned long request, void *argument)
{
	switch (request) {
	case DRM_IOCTL_SET_MASTER:
		if (is_busy())
			return EBUSY;
		note(fd, "SET_MASTER");
		mark(fd, 1);
		return 0;
	case DRM_IOCTL_DROP_MASTER:
		note(fd, "DROP_MASTER");
		return mark(fd, 0) ? 0 : EINVAL;
	case DRM_IOCTL_MODE_GETRESOURCES:
		return get_resources(argument);
	case DRM_IOCTL_MODE_GETCONNECTOR:
		return get_connector(argument);
	case DRM_IOCTL_MODE_GETENCODER:
		return get_encoder(argument);
	case DRM_IOCTL_MODE_CREATE_LEASE:
		return create_lease(fd, argument);
	case DRM_IOCTL_MODE_REVOKE_LEASE:
		return revoke_lease(fd, ((struct drm_mode_revoke_lease *)argument)->lessee_id);
	case EVIOCGVERSION:
		*(int *)argument = EV_VERSION;
		return 0;
	case EVIOCREVOKE:
		note(fd, "EVIOCREVOKE");
		mark(fd, 1);
		return 0;
	default:
		return ENOTTY;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list list;
	int error;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	if (syscall(SYS_ioctl, fd, request, NULL) < 0 && errno == EPERM)
		return -1;
	pthread_mutex_lock(&lock);
	error = ask(fd, request, argument);
	pthread_mutex_unlock(&lock);
	return answer(error);
}
