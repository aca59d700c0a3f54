/* SPDX-License-Identifier: BSD-3-Clause */
/* One frame, one commit. */
#include "drm_internal.h"

#include <errno.h>
#include <string.h>

int shm__drm_commit_error(const struct drm_device *d, int error, const struct drm_fb *fb)
{
	char name[5];

	if (error == -EACCES)
		return metal_shm_set_error(EACCES, "%s: another program is the card's master now",
					   d->name);
	if (error == -ENODEV)
		return metal_shm_set_error(ENODEV, "%s is gone", d->name);
	if (!fb)
		return metal_shm_set_error(-error, "%s (%s) can't be turned off: %s", d->name,
					   d->driver, strerror(-error));
	shm__drm_fourcc(fb->fourcc, name);
	return metal_shm_set_error(
		-error,
		"%s (%s) made a framebuffer of %ux%u %s but its commit failed: "
		"%s%s",
		d->name, d->driver, fb->width, fb->height, name, strerror(-error),
		d->access == METAL_SHM_ACCESS_CPU_KERNEL ? " (the driver can't map this memory)"
							 : "");
}

static int build(struct drm_device *d, const struct drm_shot *shot,
		 const struct drm_picture *picture, int32_t *out_fence, int32_t *written,
		 struct drm_request *r)
{
	int ret;

	if (shot->into && (shot->into->fb.width != picture->mode.hdisplay ||
			   shot->into->fb.height != picture->mode.vdisplay))
		return metal_shm_set_error(EINVAL,
					   "%s: a picture of %ux%u can't be written into a frame "
					   "of %ux%u",
					   d->name, picture->mode.hdisplay, picture->mode.vdisplay,
					   shot->into->fb.width, shot->into->fb.height);
	if (picture == &d->picture) {
		shm__drm_request_object(r, d->plane);
		shm__drm_request_set(r, d, PROP_FB_ID, shot->view->fb.id);
	} else {
		ret = shm__drm_request_picture(r, d, picture, shot->view->fb.id);
		if (ret < 0)
			return ret;
	}
	if (shot->in_fence >= 0) {
		shm__drm_request_object(r, d->plane);
		shm__drm_request_set(r, d, PROP_IN_FENCE_FD, (uint64_t)shot->in_fence);
	}
	if (shot->ret_out_fence) {
		shm__drm_request_object(r, d->crtc);
		shm__drm_request_set(r, d, PROP_OUT_FENCE_PTR, (uintptr_t)out_fence);
	}
	if (shot->into) {
		shm__drm_request_object(r, d->writeback);
		shm__drm_request_set(r, d, PROP_WRITEBACK_FB_ID, shot->into->fb.id);
		shm__drm_request_set(r, d, PROP_WRITEBACK_OUT_FENCE_PTR, (uintptr_t)written);
	}
	return 0;
}

static uint64_t begin(struct drm_device *d)
{
	uint64_t cookie;

	pthread_mutex_lock(&d->lock);
	d->committing = true;
	cookie = ++d->cookie;
	pthread_mutex_unlock(&d->lock);
	return cookie;
}

static void end(struct drm_device *d, const struct drm_shot *shot, int error, int written)
{
	pthread_mutex_lock(&d->lock);
	d->committing = false;
	if (!error)
		d->pending = shot->view;
	if (!error && shot->into)
		shm__drm_writeback_begin(d, shot->into, written);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/*
 * With the verb lock held and no flip pending. Where the picture differs from the present one the
 * whole CRTC is set up for it.
 */
int shm__drm_commit(struct drm_device *d, const struct drm_shot *shot,
		    const struct drm_picture *picture)
{
	uint32_t flags = DRM_MODE_PAGE_FLIP_EVENT | DRM_MODE_ATOMIC_NONBLOCK;
	int32_t out_fence = -1, written = -1;
	struct drm_request r;
	uint64_t cookie;
	int ret;

	r.objects = 0;
	r.properties = 0;
	r.overflow = false;
	ret = build(d, shot, picture, &out_fence, &written, &r);
	if (ret < 0)
		return ret;
	if (picture != &d->picture) {
		flags |= DRM_MODE_ATOMIC_ALLOW_MODESET;
		shm__drm_before_modeset(d);
	}
	cookie = begin(d);
	ret = shm__drm_request_commit(&r, d, flags, cookie);
	/* To set a mode can meet another CRTC's flip: then wait for it. */
	if (ret == -EBUSY && picture != &d->picture)
		ret = shm__drm_request_commit(&r, d, flags & ~(uint32_t)DRM_MODE_ATOMIC_NONBLOCK,
					      cookie);
	end(d, shot, ret, written);
	if (ret < 0)
		return shm__drm_commit_error(d, ret, &shot->view->fb);
	if (shot->ret_out_fence)
		*shot->ret_out_fence = out_fence;
	return 0;
}

/* The same, with the picture that fits the frame. */
int shm__drm_show(struct drm_device *d, const struct drm_shot *shot)
{
	struct drm_picture picture;
	int ret;

	if (shot->into)
		shm__drm_before_writeback(d);
	if (shm__drm_picture_fits(&d->picture, &shot->view->fb))
		return shm__drm_commit(d, shot, &d->picture);
	ret = shm__drm_take_over(d, &shot->view->fb, &picture);
	if (ret < 0)
		return ret;
	ret = shm__drm_commit(d, shot, &picture);
	shm__drm_taken_over(d, &picture, ret);
	return ret;
}

/*
 * With the verb lock held. Another master sets the CRTC up as it likes, so the next frame does it anew;
 * a card that is gone shows nothing more.
 */
void shm__drm_picture_lost(struct drm_device *d, int error, struct drm_done *done)
{
	shm__drm_picture_drop(d, &d->picture);
	if (error != -ENODEV)
		return;
	d->touched = false;
	shm__drm_release_all(d, done);
}

/* With the verb lock held and nothing on the screen any more. */
void shm__drm_release_all(struct drm_device *d, struct drm_done *done)
{
	pthread_mutex_lock(&d->lock);
	shm__drm_done_add(done, d->front, 0);
	shm__drm_done_add(done, d->pending, 0);
	d->front = NULL;
	d->pending = NULL;
	shm__drm_writeback_end(d, done, -EIO);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}
