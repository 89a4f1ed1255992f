/*
 * The few words of the kernel's DRM interface that the broker speaks (drm.h and drm_mode.h of linux/uapi/drm),
 * written down here because not every toolchain brings them along.
 */
#ifndef PVX_DRM_H
#define PVX_DRM_H

#include <linux/ioctl.h>
#include <stdint.h>

struct drm_mode_card_res {
	uint64_t fb_id_ptr, crtc_id_ptr, connector_id_ptr, encoder_id_ptr; /* arrays of 32-bit ids */
	uint32_t count_fbs, count_crtcs, count_connectors, count_encoders; /* room, then how many there are */
	uint32_t min_width, max_width, min_height, max_height;
};

struct drm_mode_modeinfo {
	uint32_t words[17];
};

struct drm_mode_get_connector {
	uint64_t encoders_ptr, modes_ptr, props_ptr, prop_values_ptr;
	uint32_t count_modes, count_props, count_encoders;
	uint32_t encoder_id, connector_id, connector_type, connector_type_id;
	uint32_t connection, mm_width, mm_height, subpixel, pad;
};

struct drm_mode_get_encoder {
	uint32_t encoder_id, encoder_type, crtc_id, possible_crtcs, possible_clones;
};

struct drm_mode_create_lease {
	uint64_t object_ids;
	uint32_t object_count, flags, lessee_id, fd;
};

struct drm_mode_revoke_lease {
	uint32_t lessee_id;
};

_Static_assert(sizeof(struct drm_mode_card_res) == 64, "drm_mode_card_res");
_Static_assert(sizeof(struct drm_mode_modeinfo) == 68, "drm_mode_modeinfo");
_Static_assert(sizeof(struct drm_mode_get_connector) == 80, "drm_mode_get_connector");
_Static_assert(sizeof(struct drm_mode_get_encoder) == 20, "drm_mode_get_encoder");
_Static_assert(sizeof(struct drm_mode_create_lease) == 24, "drm_mode_create_lease");

#define DRM_IOCTL_SET_MASTER _IO('d', 0x1e)
#define DRM_IOCTL_DROP_MASTER _IO('d', 0x1f)
#define DRM_IOCTL_MODE_GETRESOURCES _IOWR('d', 0xa0, struct drm_mode_card_res)
#define DRM_IOCTL_MODE_GETENCODER _IOWR('d', 0xa6, struct drm_mode_get_encoder)
#define DRM_IOCTL_MODE_GETCONNECTOR _IOWR('d', 0xa7, struct drm_mode_get_connector)
#define DRM_IOCTL_MODE_CREATE_LEASE _IOWR('d', 0xc6, struct drm_mode_create_lease)
#define DRM_IOCTL_MODE_REVOKE_LEASE _IOWR('d', 0xc9, struct drm_mode_revoke_lease)

#endif
