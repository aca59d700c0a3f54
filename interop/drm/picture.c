/* SPDX-License-Identifier: BSD-3-Clause */
/* How a frame of one size is shown: mode, place, connectors. */
#include "drm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* No glass behind it: any timing will do. */
static bool takes_any_mode(const struct drm_device *d)
{
	return d->connector_type == DRM_MODE_CONNECTOR_VIRTUAL ||
	       d->connector_type == DRM_MODE_CONNECTOR_WRITEBACK;
}

static void make_mode(uint32_t width, uint32_t height, drmModeModeInfo *made)
{
	*made = (drmModeModeInfo){
		.hdisplay = (uint16_t)width,
		.hsync_start = (uint16_t)(width + 48),
		.hsync_end = (uint16_t)(width + 80),
		.htotal = (uint16_t)(width + 160),
		.vdisplay = (uint16_t)height,
		.vsync_start = (uint16_t)(height + 3),
		.vsync_end = (uint16_t)(height + 8),
		.vtotal = (uint16_t)(height + 20),
		.clock = (width + 160) * (height + 20) / 50 * 3, /* kHz, for 60 Hz: * 60 / 1000 */
		.vrefresh = 60,
		.flags = DRM_MODE_FLAG_PHSYNC | DRM_MODE_FLAG_NVSYNC,
		.type = DRM_MODE_TYPE_USERDEF,
	};
	snprintf(made->name, sizeof(made->name), "%ux%u", width, height);
}

const drmModeModeInfo *shm__drm_mode_of(const struct drm_device *d, uint32_t width, uint32_t height,
					drmModeModeInfo *made)
{
	for (unsigned int i = 0; i < d->mode_count; i++) {
		if (d->modes[i].hdisplay == width && d->modes[i].vdisplay == height)
			return &d->modes[i];
	}
	if (d->mode_fixed || !takes_any_mode(d) || width > d->max_width || height > d->max_height ||
	    width > UINT16_MAX - 160 || height > UINT16_MAX - 20)
		return NULL;
	make_mode(width, height, made);
	return made;
}

/* Asks the driver without touching the screen. */
static int test(struct drm_device *d, const struct drm_picture *picture, uint32_t fb)
{
	struct drm_request r = { .objects = 0 };
	int ret = shm__drm_request_picture(&r, d, picture, fb);

	if (ret < 0)
		return ret;
	return shm__drm_request_commit(
		&r, d, DRM_MODE_ATOMIC_TEST_ONLY | DRM_MODE_ATOMIC_ALLOW_MODESET, 0);
}

static int test_connectors(struct drm_device *d, struct drm_picture *picture, uint32_t fb)
{
	int ret;

	picture->display = true;
	picture->writeback = d->writeback;
	if (!d->writeback)
		return test(d, picture, fb);
	if (!d->alone) {
		ret = test(d, picture, fb);
		if (!ret)
			return 0;
	}
	picture->display = false;
	ret = test(d, picture, fb);
	if (!ret)
		d->alone = true;
	return ret;
}

static int try_mode(struct drm_device *d, const struct drm_fb *fb, const drmModeModeInfo *mode,
		    struct drm_picture *picture)
{
	int ret;

	*picture = (struct drm_picture){
		.active = true,
		.width = fb->width,
		.height = fb->height,
		.x = (int32_t)(mode->hdisplay - fb->width) / 2,
		.y = (int32_t)(mode->vdisplay - fb->height) / 2,
		.mode = *mode,
	};
	if (drmModeCreatePropertyBlob(d->fd, mode, sizeof(*mode), &picture->blob) < 0)
		return -errno;
	ret = test_connectors(d, picture, fb->id);
	if (ret < 0)
		shm__drm_picture_drop(d, picture);
	return ret;
}

static bool impossible(int error)
{
	return error == -EINVAL || error == -ERANGE || error == -ENOSPC;
}

static int find(struct drm_device *d, const struct drm_fb *fb, struct drm_picture *ret)
{
	const drmModeModeInfo *preferred = &d->modes[0], *mode;
	bool inside = fb->width <= preferred->hdisplay && fb->height <= preferred->vdisplay;
	int error = -EINVAL;
	drmModeModeInfo made;

	mode = shm__drm_mode_of(d, fb->width, fb->height, &made);
	if (mode)
		error = try_mode(d, fb, mode, ret);
	if (impossible(error) && inside && mode != preferred)
		error = try_mode(d, fb, preferred, ret);
	if (!error)
		return 0;
	if (!impossible(error))
		return shm__drm_commit_error(d, error, fb);
	return metal_shm_set_error(
		ENOTSUP, "%s (%s) doesn't show %ux%u: %s of that size%s", d->name, d->driver,
		fb->width, fb->height, mode ? "it refuses the mode" : "there is no mode",
		inside ? ", and its plane can't be smaller than the preferred one" : "");
}

bool shm__drm_picture_fits(const struct drm_picture *picture, const struct drm_fb *fb)
{
	return picture->active && picture->width == fb->width && picture->height == fb->height;
}

/* Find the picture for a frame that the present one doesn't fit; the state before is saved. */
int shm__drm_take_over(struct drm_device *d, const struct drm_fb *fb, struct drm_picture *ret)
{
	int error = 0;

	if (!d->saved.count)
		error = shm__drm_state_read(d, &d->saved);
	if (!error)
		error = find(d, fb, ret);
	if (error < 0 && !d->touched)
		d->saved.count = 0;
	return error;
}

void shm__drm_taken_over(struct drm_device *d, struct drm_picture *picture, int error)
{
	if (error < 0) {
		shm__drm_picture_drop(d, picture);
		if (!d->touched)
			d->saved.count = 0;
		return;
	}
	d->touched = true;
	shm__drm_picture_drop(d, &d->picture);
	d->picture = *picture;
}

void shm__drm_picture_drop(struct drm_device *d, struct drm_picture *picture)
{
	if (picture->blob)
		drmModeDestroyPropertyBlob(d->fd, picture->blob);
	*picture = (struct drm_picture){ .active = false };
}
