/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a memory works is known after a real commit only: vkms takes udmabuf memory at import, as
 * a framebuffer and in TEST_ONLY commits, and then fails.
 */
#include "drm_internal.h"

#include <errno.h>

/* A trial of memory that is no frame yet: the preferred mode's. */
static int make_frame(struct drm_device *d, struct metal_generic_shm *shm,
		      struct metal_shm_frame *frame)
{
	const drmModeModeInfo *mode = &d->modes[0];
	uint64_t stride = shm__drm_pitch(d, mode->hdisplay, 4);

	*frame = (struct metal_shm_frame){
		.fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
		.width = mode->hdisplay,
		.height = mode->vdisplay,
		.plane_count = 1,
		.size = stride * mode->vdisplay,
		.plane = { { .stride = (uint32_t)stride } },
	};
	if (metal_shm_size(shm) < frame->size)
		return metal_shm_set_error(ENOTSUP,
					   "%s tries memory of at least %llu bytes, a picture of "
					   "%ux%u",
					   d->name, (unsigned long long)frame->size, frame->width,
					   frame->height);
	return 0;
}

static int make_target(struct drm_device *d, const drmModeModeInfo *mode, struct drm_view *target)
{
	struct metal_shm_frame frame = {
		.fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
		.width = mode->hdisplay,
		.height = mode->vdisplay,
		.plane_count = 1,
	};
	struct drm_dumb dumb;
	int ret;

	ret = shm__drm_dumb_make(d, frame.width, frame.height, &dumb);
	if (ret < 0)
		return ret;
	frame.plane[0].stride = dumb.pitch;
	ret = shm__drm_fb_make(d, dumb.handle, &frame, &target->fb);
	if (ret < 0) {
		shm__drm_dumb_end(d, dumb.handle);
		return ret;
	}
	target->handle = dumb.handle;
	return 0;
}

static void end_target(struct drm_device *d, struct drm_view *target)
{
	if (!target->fb.id)
		return;
	drmModeRmFB(d->fd, target->fb.id);
	shm__drm_dumb_end(d, target->handle);
}

static struct drm_view *swap_front(struct drm_device *d, struct drm_view *view)
{
	struct drm_view *before;

	pthread_mutex_lock(&d->lock);
	before = d->front;
	d->front = view;
	pthread_mutex_unlock(&d->lock);
	return before;
}

static bool is_on_screen(struct drm_device *d)
{
	bool ret;

	pthread_mutex_lock(&d->lock);
	ret = d->front || d->pending;
	pthread_mutex_unlock(&d->lock);
	return ret;
}

static int commit_and_wait(struct drm_device *d, struct drm_view *view, struct drm_view *target)
{
	struct drm_done none = { .count = 0 };
	struct drm_shot shot = { .view = view, .in_fence = -1 };
	int ret;

	ret = shm__drm_show(d, &shot);
	if (!ret)
		ret = shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, &none);
	if (ret < 0 || !d->writeback)
		return ret;
	ret = make_target(d, &d->picture.mode, target);
	if (ret < 0)
		return ret;
	shot.into = target;
	ret = shm__drm_show(d, &shot);
	if (!ret)
		ret = shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, &none);
	return ret;
}

/* Back to what was on the screen: ours, or what was there before us. */
static void show_again(struct drm_device *d, struct drm_view *before, struct drm_done *done)
{
	struct drm_shot shot = { .view = before, .in_fence = -1 };
	struct drm_done none = { .count = 0 };

	if (before && !shm__drm_show(d, &shot) &&
	    !shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, &none))
		return;
	if (before)
		shm__drm_off(d);
	else
		shm__drm_restore(d);
	shm__drm_release_all(d, &none);
	shm__drm_done_add(done, before, 0);
}

static int try_frame(struct drm_device *d, struct drm_view *view, struct drm_done *done)
{
	struct drm_view target = { .fb = { .id = 0 } };
	struct drm_view *before;
	int ret;

	ret = shm__drm_wait_shown(d, true, DRM_PATIENCE_NS, done);
	if (ret < 0)
		return ret;
	before = swap_front(d, NULL);
	ret = commit_and_wait(d, view, &target);
	if (is_on_screen(d)) {
		/* The trial's frame is on the screen, and must not be once it is gone. */
		swap_front(d, NULL);
		show_again(d, before, done);
	} else {
		swap_front(d, before);
	}
	end_target(d, &target);
	return ret;
}

int shm__drm_trial(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_done done = { .count = 0 };
	struct drm_view *view, tried;
	struct metal_shm_frame frame;
	int ret;

	if (!d)
		return -EINVAL;
	view = metal_shm_view_data(shm, dev);
	if (!view)
		return -errno;
	tried = (struct drm_view){ .handle = view->handle, .fb = view->fb };
	if (!view->fb.id) {
		ret = make_frame(d, shm, &frame);
		if (!ret)
			ret = shm__drm_fb_make(d, view->handle, &frame, &tried.fb);
		if (ret < 0)
			return ret;
	}
	pthread_mutex_lock(&d->verb);
	if (d->closed)
		ret = metal_shm_set_error(ENODEV, "%s is closed", d->name);
	else
		ret = try_frame(d, &tried, &done);
	pthread_mutex_unlock(&d->verb);
	if (!view->fb.id)
		drmModeRmFB(d->fd, tried.fb.id);
	shm__drm_done_give_back(d, &done);
	return ret;
}
