/* SPDX-License-Identifier: BSD-3-Clause */
#include "drm_internal.h"

#include <errno.h>
#include <string.h>

static const char *const names[PROP_COUNT] = {
	[PROP_ACTIVE] = "ACTIVE",
	[PROP_MODE_ID] = "MODE_ID",
	[PROP_OUT_FENCE_PTR] = "OUT_FENCE_PTR",
	[PROP_CRTC_ID] = "CRTC_ID",
	[PROP_WRITEBACK_FB_ID] = "WRITEBACK_FB_ID",
	[PROP_WRITEBACK_OUT_FENCE_PTR] = "WRITEBACK_OUT_FENCE_PTR",
	[PROP_WRITEBACK_PIXEL_FORMATS] = "WRITEBACK_PIXEL_FORMATS",
	[PROP_FB_ID] = "FB_ID",
	[PROP_IN_FENCE_FD] = "IN_FENCE_FD",
	[PROP_SRC_X] = "SRC_X",
	[PROP_SRC_Y] = "SRC_Y",
	[PROP_SRC_W] = "SRC_W",
	[PROP_SRC_H] = "SRC_H",
	[PROP_CRTC_X] = "CRTC_X",
	[PROP_CRTC_Y] = "CRTC_Y",
	[PROP_CRTC_W] = "CRTC_W",
	[PROP_CRTC_H] = "CRTC_H",
	[PROP_IN_FORMATS] = "IN_FORMATS",
	[PROP_TYPE] = "type",
};

static bool known(const struct drm_device *d, uint32_t id)
{
	for (int i = 0; i < PROP_COUNT; i++) {
		if (d->property[i] == id)
			return true;
	}
	return false;
}

int shm__drm_learn_properties(struct drm_device *d, uint32_t object, uint32_t type)
{
	drmModeObjectPropertiesPtr list = drmModeObjectGetProperties(d->fd, object, type);

	if (!list)
		return metal_shm_set_error(errno, "%s: properties of object %u: %s", d->name,
					   object, strerror(errno));
	for (uint32_t i = 0; i < list->count_props; i++) {
		drmModePropertyPtr property;

		if (known(d, list->props[i]))
			continue;
		property = drmModeGetProperty(d->fd, list->props[i]);
		if (!property)
			continue;
		for (int p = 0; p < PROP_COUNT; p++) {
			if (!strcmp(property->name, names[p]))
				d->property[p] = property->prop_id;
		}
		drmModeFreeProperty(property);
	}
	drmModeFreeObjectProperties(list);
	return 0;
}

int shm__drm_read_properties(struct drm_device *d, uint32_t object, uint32_t type,
			     uint64_t values[PROP_COUNT])
{
	drmModeObjectPropertiesPtr list = drmModeObjectGetProperties(d->fd, object, type);

	if (!list)
		return metal_shm_set_error(errno, "%s: properties of object %u: %s", d->name,
					   object, strerror(errno));
	memset(values, 0, PROP_COUNT * sizeof(values[0]));
	for (uint32_t i = 0; i < list->count_props; i++) {
		for (int p = 0; p < PROP_COUNT; p++) {
			if (d->property[p] == list->props[i])
				values[p] = list->prop_values[i];
		}
	}
	drmModeFreeObjectProperties(list);
	return 0;
}
