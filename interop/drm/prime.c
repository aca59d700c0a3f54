/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers on the card: GEM handles by PRIME import, and framebuffers over them. */
#include "drm_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The kernel answers the same handle for the same buffer and closes it at the first close, however
 * often it was imported: so one count for each handle of the descriptor.
 */
static struct drm_gem **find(struct drm_device *d, uint32_t handle)
{
	struct drm_gem **gem = &d->gems;

	while (*gem && (*gem)->handle != handle)
		gem = &(*gem)->next;
	return gem;
}

static void close_handle(struct drm_device *d, uint32_t handle)
{
	struct drm_gem_close arg = { .handle = handle };

	drmIoctl(d->fd, DRM_IOCTL_GEM_CLOSE, &arg);
}

/* With gem_lock held; ends the handle where there is no memory to count it. */
static int count_up(struct drm_device *d, uint32_t handle)
{
	struct drm_gem **gem = find(d, handle);

	if (!*gem) {
		*gem = calloc(1, sizeof(**gem));
		if (!*gem) {
			close_handle(d, handle);
			return metal_shm_set_error(ENOMEM, "%s: no memory", d->name);
		}
		(*gem)->handle = handle;
	}
	(*gem)->uses++;
	return 0;
}

int shm__drm_gem_adopt(struct drm_device *d, uint32_t handle)
{
	int ret;

	pthread_mutex_lock(&d->gem_lock);
	ret = count_up(d, handle);
	pthread_mutex_unlock(&d->gem_lock);
	return ret;
}

int shm__drm_gem_use(struct drm_device *d, int dmabuf, uint32_t *ret_handle)
{
	uint32_t handle;
	int ret;

	/* Locked over the import: else another thread closes the handle before it is counted. */
	pthread_mutex_lock(&d->gem_lock);
	if (drmPrimeFDToHandle(d->fd, dmabuf, &handle) < 0)
		ret = metal_shm_set_error(errno == ENOTTY ? EINVAL : errno,
					  "%s (%s) doesn't import the memory: %s", d->name,
					  d->driver, strerror(errno));
	else
		ret = count_up(d, handle);
	pthread_mutex_unlock(&d->gem_lock);
	if (!ret)
		*ret_handle = handle;
	return ret;
}

void shm__drm_gem_drop(struct drm_device *d, uint32_t handle)
{
	struct drm_gem **link, *gem;

	pthread_mutex_lock(&d->gem_lock);
	link = find(d, handle);
	gem = *link;
	if (gem && !--gem->uses) {
		*link = gem->next;
		close_handle(d, handle);
		free(gem);
	}
	pthread_mutex_unlock(&d->gem_lock);
}

int shm__drm_fb_make(struct drm_device *d, uint32_t handle, const struct metal_shm_frame *frame,
		     struct drm_fb *ret_fb)
{
	struct drm_mode_fb_cmd2 arg = {
		.width = frame->width,
		.height = frame->height,
		.pixel_format = frame->fourcc,
	};

	for (uint32_t i = 0; i < frame->plane_count; i++) {
		if (frame->plane[i].offset > UINT32_MAX)
			return metal_shm_set_error(EOVERFLOW, "%s: plane %u lies above 4 GiB",
						   d->name, i);
		arg.handles[i] = handle;
		arg.pitches[i] = frame->plane[i].stride;
		arg.offsets[i] = (uint32_t)frame->plane[i].offset;
		arg.modifier[i] = frame->modifier;
	}
	if (d->modifiers)
		arg.flags = DRM_MODE_FB_MODIFIERS;
	else
		memset(arg.modifier, 0, sizeof(arg.modifier));
	if (drmIoctl(d->fd, DRM_IOCTL_MODE_ADDFB2, &arg) < 0) {
		char name[5];

		shm__drm_fourcc(frame->fourcc, name);
		return metal_shm_set_error(
			errno, "%s makes no framebuffer of %ux%u %s, stride %u: %s", d->name,
			frame->width, frame->height, name, frame->plane[0].stride, strerror(errno));
	}
	*ret_fb = (struct drm_fb){
		.id = arg.fb_id,
		.fourcc = frame->fourcc,
		.width = frame->width,
		.height = frame->height,
	};
	return 0;
}

int shm__drm_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		    struct metal_shm_view *ret_view)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_view *view;
	int ret;

	if (!d)
		return -EINVAL;
	if (at->memory->os_handle < 0)
		return metal_shm_set_error(ENOTSUP, "%s wants a DMA-BUF", d->name);
	view = calloc(1, sizeof(*view));
	if (!view)
		return metal_shm_set_error(ENOMEM, "%s: no memory", d->name);
	view->shm = at->shm;

	ret = shm__drm_gem_use(d, at->memory->os_handle, &view->handle);
	if (ret < 0)
		goto free_view;
	/* A part of a picture is no picture: it can be attached, not shown. */
	if (at->frame && !at->range.offset && at->range.length >= at->frame->size) {
		ret = shm__drm_fb_make(d, view->handle, at->frame, &view->fb);
		if (ret < 0)
			goto drop_handle;
	}
	ret_view->data = view;
	ret_view->access = d->access;
	return 0;

drop_handle:
	shm__drm_gem_drop(d, view->handle);
free_view:
	free(view);
	return ret;
}

void shm__drm_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *view)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_view *v = view->data;

	(void)at;
	/* It isn't on the screen: what is there is held, and what is held isn't detached. */
	if (v->fb.id)
		drmModeRmFB(d->fd, v->fb.id);
	shm__drm_gem_drop(d, v->handle);
	free(v);
}
