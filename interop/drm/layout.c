/* SPDX-License-Identifier: BSD-3-Clause */
/* What the display asks of memory and of a frame's layout. */
#include "drm_internal.h"

#include <errno.h>

uint64_t shm__drm_pitch(const struct drm_device *d, uint32_t width, uint32_t bytes)
{
	uint64_t pitch = (uint64_t)width * bytes;
	uint64_t alignment = d->pitch_alignment;

	return (pitch + alignment - 1) / alignment * alignment;
}

int shm__drm_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			 struct metal_shm_constraints *ret)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	const drmModeModeInfo *mode;

	if (!d)
		return -EINVAL;
	ret->required = METAL_SHM_DMABUF;
	ret->access = d->access;
	if (frame && frame->size) {
		ret->trial_size = frame->size;
		return 0;
	}
	mode = &d->modes[0];
	ret->trial_size = shm__drm_pitch(d, mode->hdisplay, 4) * mode->vdisplay;
	return 0;
}

static int refuse_format(struct drm_device *d, uint32_t fourcc)
{
	char name[5], shown[256], written[256];

	shm__drm_fourcc(fourcc, name);
	shm__drm_list(&d->shown, shown, sizeof(shown));
	if (!d->writeback)
		return metal_shm_set_error(ENOTSUP, "%s shows %s, not %s", d->name, shown, name);
	return metal_shm_set_error(ENOTSUP, "%s shows %s and writes back %s, not %s", d->name,
				   shown, shm__drm_list(&d->written, written, sizeof(written)),
				   name);
}

int shm__drm_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
		    struct metal_shm_layout *ret)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	const drmModeModeInfo *preferred;
	const struct drm_format *format;
	drmModeModeInfo made;

	if (!d)
		return -EINVAL;
	format = shm__drm_format(&d->shown, frame->fourcc);
	if (!format && d->writeback)
		format = shm__drm_format(&d->written, frame->fourcc);
	if (!format)
		return refuse_format(d, frame->fourcc);
	if (frame->width < d->min_width || frame->height < d->min_height ||
	    frame->width > d->max_width || frame->height > d->max_height)
		return metal_shm_set_error(ENOTSUP, "%s takes frames of %ux%u to %ux%u, not %ux%u",
					   d->name, d->min_width, d->min_height, d->max_width,
					   d->max_height, frame->width, frame->height);
	preferred = &d->modes[0];
	if (!shm__drm_mode_of(d, frame->width, frame->height, &made) &&
	    (frame->width > preferred->hdisplay || frame->height > preferred->vdisplay))
		return metal_shm_set_error(ENOTSUP,
					   "%s has no mode of %ux%u, and that doesn't fit its "
					   "preferred %ux%u",
					   d->name, frame->width, frame->height,
					   preferred->hdisplay, preferred->vdisplay);
	ret->stride_alignment = d->pitch_alignment;
	ret->modifiers = format->modifiers;
	ret->modifier_count = format->modifier_count;
	return 0;
}
