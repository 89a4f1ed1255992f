/*
 * What DRM and input devices are asked: a closed list, the same as in the filter of sandbox.c.
 *
 * A number means something else to another driver, so each is sent only to a device that is looked at first: its
 * major number, and for input devices whether they speak evdev at all. What comes back is bounded by us.
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "drm.h"

#define ENCODERS_MAX 32

static int ask(int fd, uint32_t kind, unsigned long request, void *argument)
{
	dev_t device;
	int error = device_check(kind, fd, &device);

	if (error)
		return error;
	while (ioctl(fd, request, argument) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return errno;
	return 0;
}

int ioctl_is_event(int fd)
{
	int version;

	return ask(fd, PVX_DEVICE_INPUT, EVIOCGVERSION, &version);
}

int ioctl_revoke(int fd)
{
	int error = ioctl_is_event(fd);

	return error ? error : ask(fd, PVX_DEVICE_INPUT, EVIOCREVOKE, NULL);
}

int ioctl_take_master(int fd)
{
	return ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_SET_MASTER, NULL);
}

/* EINVAL: it was none. EACCES: it is a render node, which never is. */
int ioctl_drop_master(int fd)
{
	int error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_DROP_MASTER, NULL);

	return error == EINVAL || error == EACCES ? 0 : error;
}

/* CRTCs that its encoders can take their picture from, and the one that it is taken from now. Room for a mode is
 * offered, so that the kernel does not ask the monitor for all of its own, which can take a second. */
static int read_connector(int fd, struct pvx_connector *connector)
{
	uint32_t encoders[ENCODERS_MAX];
	struct drm_mode_modeinfo mode;
	struct drm_mode_get_connector get = { .connector_id = connector->id,
					      .encoders_ptr = (uintptr_t)encoders,
					      .count_encoders = ENCODERS_MAX,
					      .modes_ptr = (uintptr_t)&mode,
					      .count_modes = 1 };
	int error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_MODE_GETCONNECTOR, &get);

	if (error)
		return error;
	connector->type = get.connector_type;
	connector->number = get.connector_type_id;
	for (uint32_t i = 0; i < get.count_encoders && i < ENCODERS_MAX; i++) {
		struct drm_mode_get_encoder encoder = { .encoder_id = encoders[i] };

		error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_MODE_GETENCODER, &encoder);
		if (error)
			return error;
		connector->possible |= encoder.possible_crtcs;
		if (encoders[i] == get.encoder_id)
			connector->crtc = encoder.crtc_id;
	}
	return 0;
}

int ioctl_read_card(int fd, struct pvx_card *card)
{
	uint32_t connectors[PVX_CONNECTORS_MAX];
	struct drm_mode_card_res resources = { .crtc_id_ptr = (uintptr_t)card->crtcs,
					       .count_crtcs = PVX_CRTCS_MAX,
					       .connector_id_ptr = (uintptr_t)connectors,
					       .count_connectors = PVX_CONNECTORS_MAX };
	int error;

	*card = (struct pvx_card){ 0 };
	error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_MODE_GETRESOURCES, &resources);
	if (error)
		return error;
	card->ncrtcs = resources.count_crtcs < PVX_CRTCS_MAX ? resources.count_crtcs : PVX_CRTCS_MAX;
	for (uint32_t i = 0; i < resources.count_connectors && i < PVX_CONNECTORS_MAX; i++) {
		struct pvx_connector *connector = &card->connectors[card->nconnectors];

		*connector = (struct pvx_connector){ .id = connectors[i] };
		error = read_connector(fd, connector);
		if (error == ENOENT)
			continue; /* unplugged meanwhile: those of docking stations come and go */
		if (error)
			return error;
		card->nconnectors++;
	}
	return 0;
}

int ioctl_lease(int fd, const uint32_t *objects, uint32_t count, int *lease, uint32_t *lessee)
{
	struct drm_mode_create_lease create = { .object_ids = (uintptr_t)objects,
						.object_count = count,
						.flags = O_CLOEXEC | O_NONBLOCK };
	int error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_MODE_CREATE_LEASE, &create);

	*lease = error ? -1 : (int)create.fd;
	*lessee = create.lessee_id;
	return error;
}

/* ENOENT: its last descriptor was closed before. */
int ioctl_revoke_lease(int fd, uint32_t lessee)
{
	struct drm_mode_revoke_lease revoke = { .lessee_id = lessee };
	int error = ask(fd, PVX_DEVICE_DRM, DRM_IOCTL_MODE_REVOKE_LEASE, &revoke);

	return error == ENOENT ? 0 : error;
}
