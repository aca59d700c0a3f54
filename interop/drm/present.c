/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of programs. */
#include "drm_internal.h"

#include <errno.h>
#include <linux/sync_file.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static int check_shown(const struct drm_device *d, const struct drm_view *view)
{
	char name[5], list[256];

	if (!view->fb.id)
		return metal_shm_set_error(
			EINVAL,
			"%s: the buffer has no frame; say what its bytes are with "
			"metal_shm_frame_set() before attaching it",
			d->name);
	if (shm__drm_format(&d->shown, view->fb.fourcc))
		return 0;
	shm__drm_fourcc(view->fb.fourcc, name);
	return metal_shm_set_error(ENOTSUP, "%s shows %s, not %s", d->name,
				   shm__drm_list(&d->shown, list, sizeof(list)), name);
}

/* Neither side of libshm knows a fence's descriptor from another's before the commit. */
static int explain_fence(const struct drm_device *d, int error, int in_fence)
{
	struct sync_file_info info = { .status = 0 };

	if (error != -EINVAL || in_fence < 0 || !drmIoctl(in_fence, SYNC_IOC_FILE_INFO, &info))
		return error;
	return metal_shm_set_error(EINVAL, "%s: descriptor %d is not a sync_file", d->name,
				   in_fence);
}

static int show(struct drm_device *d, const struct drm_shot *shot)
{
	struct drm_done done = { .count = 0 };
	int ret;

	pthread_mutex_lock(&d->verb);
	if (d->closed)
		ret = metal_shm_set_error(ENODEV, "%s is closed", d->name);
	else
		ret = shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, &done);
	if (!ret)
		ret = shm__drm_show(d, shot);
	if (ret == -EACCES || ret == -ENODEV)
		shm__drm_picture_lost(d, ret, &done);
	pthread_mutex_unlock(&d->verb);
	shm__drm_done_give_back(d, &done);
	return explain_fence(d, ret, shot->in_fence);
}

static int hold_and_show(struct drm_device *d, struct metal_generic_shm *shm,
			 struct metal_generic_shm *into, const struct drm_shot *shot)
{
	int ret;

	ret = metal_shm_hold(shm, d->dev, METAL_SHM_DIR_DEV_R, DRM_PATIENCE_NS);
	if (ret < 0)
		return ret;
	if (into)
		ret = metal_shm_hold(into, d->dev, METAL_SHM_DIR_DEV_W, DRM_PATIENCE_NS);
	if (ret < 0)
		goto unhold_shm;
	ret = show(d, shot);
	if (ret < 0)
		goto unhold_into;
	return 0;

unhold_into:
	if (into)
		metal_shm_unhold(into, d->dev, 0);
unhold_shm:
	metal_shm_unhold(shm, d->dev, 0);
	return ret;
}

int metal_shm_drm_present(struct metal_device *dev, struct metal_generic_shm *shm)
{
	return metal_shm_drm_present_fenced(dev, shm, -1, NULL);
}

int metal_shm_drm_present_fenced(struct metal_device *dev, struct metal_generic_shm *shm,
				 int borrow_in_fence, int *ret_out_fence)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_shot shot = { .in_fence = borrow_in_fence, .ret_out_fence = ret_out_fence };
	int ret;

	if (!d)
		return -errno;
	shot.view = metal_shm_view_data(shm, dev);
	if (!shot.view)
		return -errno;
	ret = check_shown(d, shot.view);
	if (ret < 0)
		return ret;
	if ((borrow_in_fence >= 0 && !d->property[PROP_IN_FENCE_FD]) ||
	    (ret_out_fence && !d->property[PROP_OUT_FENCE_PTR]))
		return metal_shm_set_error(ENOTSUP, "%s (%s) has no fences", d->name, d->driver);
	return hold_and_show(d, shm, NULL, &shot);
}

int metal_shm_drm_present_writeback(struct metal_device *dev, struct metal_generic_shm *shm,
				    struct metal_generic_shm *into)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_shot shot = { .in_fence = -1 };
	int ret;

	if (!d)
		return -errno;
	shot.view = metal_shm_view_data(shm, dev);
	if (!shot.view)
		return -errno;
	shot.into = metal_shm_view_data(into, dev);
	if (!shot.into)
		return -errno;
	if (shot.into->handle == shot.view->handle)
		return metal_shm_set_error(EINVAL, "%s: a picture can't be written into itself",
					   d->name);
	ret = check_shown(d, shot.view);
	if (!ret)
		ret = shm__drm_writeback_check(d, shot.into);
	if (ret < 0)
		return ret;
	return hold_and_show(d, shm, into, &shot);
}

int metal_shm_drm_wait(struct metal_device *dev, int64_t timeout_ns)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_done done = { .count = 0 };
	int ret;

	if (!d)
		return -errno;
	ret = shm__drm_wait_shown(d, false, timeout_ns, &done);
	shm__drm_done_give_back(d, &done);
	return ret;
}

int metal_shm_drm_off(struct metal_device *dev)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_done done = { .count = 0 };
	int ret = 0;

	if (!d)
		return -errno;
	pthread_mutex_lock(&d->verb);
	if (d->touched) {
		ret = shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, &done);
		if (!ret)
			ret = shm__drm_off(d);
		if (!ret)
			shm__drm_release_all(d, &done);
	}
	pthread_mutex_unlock(&d->verb);
	shm__drm_done_give_back(d, &done);
	return ret;
}

int metal_shm_drm_framebuffer(struct metal_device *dev, struct metal_generic_shm *shm,
			      uint32_t *ret_fb)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_view *view;

	if (!d)
		return -errno;
	if (!ret_fb)
		return metal_shm_set_error(EINVAL, "no place for the framebuffer");
	view = metal_shm_view_data(shm, dev);
	if (!view)
		return -errno;
	if (!view->fb.id)
		return metal_shm_set_error(EINVAL, "%s: the buffer has no frame", d->name);
	*ret_fb = view->fb.id;
	return 0;
}

int metal_shm_drm_mode(struct metal_device *dev, uint32_t *ret_width, uint32_t *ret_height,
		       uint32_t *ret_refresh)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	drmModeModeInfo mode;
	uint64_t total;

	if (!d)
		return -errno;
	pthread_mutex_lock(&d->verb);
	mode = d->picture.active ? d->picture.mode : d->modes[0];
	pthread_mutex_unlock(&d->verb);
	total = (uint64_t)mode.htotal * mode.vtotal;
	if (ret_width)
		*ret_width = mode.hdisplay;
	if (ret_height)
		*ret_height = mode.vdisplay;
	if (ret_refresh)
		*ret_refresh = total ? (uint32_t)(mode.clock * UINT64_C(1000000) / total) : 0;
	return 0;
}

int metal_shm_drm_last_flip(struct metal_device *dev, struct metal_shm_drm_flip *ret)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct metal_shm_drm_flip flip;
	uint32_t size;

	if (!d)
		return -errno;
	if (!ret || ret->struct_size < offsetof(struct metal_shm_drm_flip, sequence))
		return metal_shm_set_error(EINVAL, "struct_size is not set");
	size = ret->struct_size;
	pthread_mutex_lock(&d->lock);
	flip = d->flip;
	pthread_mutex_unlock(&d->lock);
	flip.struct_size = size;
	memcpy(ret, &flip, size < sizeof(flip) ? size : sizeof(flip));
	return 0;
}
