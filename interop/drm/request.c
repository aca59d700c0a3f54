/* SPDX-License-Identifier: BSD-3-Clause */
/* Atomic requests on the stack: libdrm's own allocate and sort for each commit. */
#include "drm_internal.h"

#include <errno.h>

void shm__drm_request_object(struct drm_request *r, uint32_t object)
{
	if (r->objects == DRM_MAX_OBJECTS) {
		r->overflow = true;
		return;
	}
	r->object[r->objects] = object;
	r->count[r->objects] = 0;
	r->objects++;
}

void shm__drm_request_set(struct drm_request *r, const struct drm_device *d,
			  enum drm_property property, uint64_t value)
{
	if (r->properties == DRM_MAX_PROPERTIES || r->overflow) {
		r->overflow = true;
		return;
	}
	r->property[r->properties] = d->property[property];
	r->value[r->properties] = value;
	r->properties++;
	r->count[r->objects - 1]++;
}

int shm__drm_request_commit(const struct drm_request *r, const struct drm_device *d, uint32_t flags,
			    uint64_t cookie)
{
	struct drm_mode_atomic arg = {
		.flags = flags,
		.count_objs = r->objects,
		.objs_ptr = (uintptr_t)r->object,
		.count_props_ptr = (uintptr_t)r->count,
		.props_ptr = (uintptr_t)r->property,
		.prop_values_ptr = (uintptr_t)r->value,
		.user_data = cookie,
	};

	if (r->overflow)
		return -E2BIG;
	return drmIoctl(d->fd, DRM_IOCTL_MODE_ATOMIC, &arg) < 0 ? -errno : 0;
}
