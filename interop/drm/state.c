/* SPDX-License-Identifier: BSD-3-Clause */
/* What the CRTC, its planes and connectors are set to: read, saved, replaced, put back. */
#include "drm_internal.h"

#include <errno.h>
#include <string.h>

static const enum drm_property crtc_properties[] = { PROP_ACTIVE, PROP_MODE_ID };
static const enum drm_property connector_properties[] = { PROP_CRTC_ID };
static const enum drm_property plane_properties[] = {
	PROP_FB_ID, PROP_CRTC_ID, PROP_SRC_X,  PROP_SRC_Y,  PROP_SRC_W,
	PROP_SRC_H, PROP_CRTC_X,  PROP_CRTC_Y, PROP_CRTC_W, PROP_CRTC_H,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Adds an object if it is the device's own or stands on its CRTC. */
static int add_object(struct drm_device *d, struct drm_state *state, uint32_t id, uint32_t type,
		      bool own)
{
	struct drm_object *object = &state->object[state->count];
	int ret;

	if (state->count == DRM_MAX_OBJECTS)
		return metal_shm_set_error(E2BIG, "%s: more than %d objects on a CRTC", d->name,
					   DRM_MAX_OBJECTS);
	ret = shm__drm_read_properties(d, id, type, object->value);
	if (ret < 0)
		return ret;
	if (!own && object->value[PROP_CRTC_ID] != d->crtc)
		return 0;
	object->id = id;
	object->type = type;
	state->count++;
	return 0;
}

static int add_connectors(struct drm_device *d, struct drm_state *state)
{
	drmModeResPtr resources = drmModeGetResources(d->fd);
	int ret = 0;

	if (!resources)
		return metal_shm_set_error(errno, "%s: its objects: %s", d->name, strerror(errno));
	for (int i = 0; i < resources->count_connectors && !ret; i++) {
		uint32_t id = resources->connectors[i];

		ret = add_object(d, state, id, DRM_MODE_OBJECT_CONNECTOR,
				 id == d->connector || id == d->writeback);
	}
	drmModeFreeResources(resources);
	return ret;
}

static int add_planes(struct drm_device *d, struct drm_state *state)
{
	drmModePlaneResPtr planes = drmModeGetPlaneResources(d->fd);
	int ret = 0;

	if (!planes)
		return metal_shm_set_error(errno, "%s: its planes: %s", d->name, strerror(errno));
	for (uint32_t i = 0; i < planes->count_planes && !ret; i++)
		ret = add_object(d, state, planes->planes[i], DRM_MODE_OBJECT_PLANE,
				 planes->planes[i] == d->plane);
	drmModeFreePlaneResources(planes);
	return ret;
}

int shm__drm_state_read(struct drm_device *d, struct drm_state *ret)
{
	drmModePropertyBlobPtr blob;
	int error;

	*ret = (struct drm_state){ .count = 0 };
	error = add_object(d, ret, d->crtc, DRM_MODE_OBJECT_CRTC, true);
	if (!error)
		error = add_connectors(d, ret);
	if (!error)
		error = add_planes(d, ret);
	if (error < 0 || !ret->object[0].value[PROP_MODE_ID])
		return error;
	/* The blob may go with its owner, so its content is kept. */
	blob = drmModeGetPropertyBlob(d->fd, (uint32_t)ret->object[0].value[PROP_MODE_ID]);
	if (blob && blob->length == sizeof(ret->mode)) {
		memcpy(&ret->mode, blob->data, sizeof(ret->mode));
		ret->has_mode = true;
	}
	drmModeFreePropertyBlob(blob);
	return 0;
}

static void set_plane(struct drm_request *r, const struct drm_device *d,
		      const struct drm_picture *picture, uint32_t fb)
{
	shm__drm_request_set(r, d, PROP_FB_ID, fb);
	shm__drm_request_set(r, d, PROP_CRTC_ID, d->crtc);
	shm__drm_request_set(r, d, PROP_SRC_X, 0);
	shm__drm_request_set(r, d, PROP_SRC_Y, 0);
	shm__drm_request_set(r, d, PROP_SRC_W, (uint64_t)picture->width << 16);
	shm__drm_request_set(r, d, PROP_SRC_H, (uint64_t)picture->height << 16);
	shm__drm_request_set(r, d, PROP_CRTC_X, (uint64_t)(int64_t)picture->x);
	shm__drm_request_set(r, d, PROP_CRTC_Y, (uint64_t)(int64_t)picture->y);
	shm__drm_request_set(r, d, PROP_CRTC_W, picture->width);
	shm__drm_request_set(r, d, PROP_CRTC_H, picture->height);
}

static bool on_crtc(const struct drm_device *d, const struct drm_picture *picture, uint32_t id)
{
	return (picture->display && id == d->connector) ||
	       (picture->writeback && id == d->writeback);
}

/* The whole picture: our plane alone, our connectors alone; without one (fb 0), nothing. */
int shm__drm_request_picture(struct drm_request *r, struct drm_device *d,
			     const struct drm_picture *picture, uint32_t fb)
{
	struct drm_state state;
	int ret = shm__drm_state_read(d, &state);

	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < state.count; i++) {
		const struct drm_object *object = &state.object[i];

		shm__drm_request_object(r, object->id);
		if (object->type == DRM_MODE_OBJECT_CRTC) {
			shm__drm_request_set(r, d, PROP_ACTIVE, fb != 0);
			shm__drm_request_set(r, d, PROP_MODE_ID, picture->blob);
		} else if (object->type == DRM_MODE_OBJECT_CONNECTOR) {
			shm__drm_request_set(r, d, PROP_CRTC_ID,
					     on_crtc(d, picture, object->id) ? d->crtc : 0);
		} else if (object->id == d->plane && fb) {
			set_plane(r, d, picture, fb);
		} else {
			shm__drm_request_set(r, d, PROP_FB_ID, 0);
			shm__drm_request_set(r, d, PROP_CRTC_ID, 0);
		}
	}
	return 0;
}

int shm__drm_off(struct drm_device *d)
{
	static const struct drm_picture nothing;
	struct drm_request r = { .objects = 0 };
	int ret = shm__drm_request_picture(&r, d, &nothing, 0);

	if (ret < 0)
		return ret;
	shm__drm_before_modeset(d);
	ret = shm__drm_request_commit(&r, d, DRM_MODE_ATOMIC_ALLOW_MODESET, 0);
	if (ret < 0)
		return shm__drm_commit_error(d, ret, NULL);
	shm__drm_picture_drop(d, &d->picture);
	return 0;
}

static void request_saved(struct drm_request *r, const struct drm_device *d, uint32_t blob)
{
	for (unsigned int i = 0; i < d->saved.count; i++) {
		const struct drm_object *object = &d->saved.object[i];
		const enum drm_property *list = plane_properties;
		size_t count = COUNT(plane_properties);

		if (object->type == DRM_MODE_OBJECT_CRTC) {
			list = crtc_properties;
			count = COUNT(crtc_properties);
		} else if (object->type == DRM_MODE_OBJECT_CONNECTOR) {
			list = connector_properties;
			count = COUNT(connector_properties);
		}
		shm__drm_request_object(r, object->id);
		for (size_t p = 0; p < count; p++)
			shm__drm_request_set(r, d, list[p],
					     list[p] == PROP_MODE_ID ? blob
								     : object->value[list[p]]);
	}
}

/* What was there before the first commit; off where its framebuffers are gone. */
int shm__drm_restore(struct drm_device *d)
{
	struct drm_request r = { .objects = 0 };
	uint32_t blob = 0;
	int ret = 0;

	if (!d->touched)
		return 0;
	if (d->saved.has_mode &&
	    drmModeCreatePropertyBlob(d->fd, &d->saved.mode, sizeof(d->saved.mode), &blob) < 0)
		ret = -errno;
	if (!ret) {
		request_saved(&r, d, blob);
		shm__drm_before_modeset(d);
		ret = shm__drm_request_commit(&r, d, DRM_MODE_ATOMIC_ALLOW_MODESET, 0);
	}
	if (blob)
		drmModeDestroyPropertyBlob(d->fd, blob);
	d->saved.count = 0;
	d->touched = false;
	if (ret < 0)
		return shm__drm_off(d);
	shm__drm_picture_drop(d, &d->picture);
	return 0;
}
