/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <shm/device.h>

#include "picture.h"

#define PRESENT_NS INT64_C(10000000000)

struct picture {
	pthread_mutex_t lock;
	struct metal_generic_shm *shown; /* one reference, and held for reading */
};

/* The frame as this device sees it. */
struct slot {
	const uint8_t *bytes;
	struct metal_shm_frame frame;
};

static const struct metal_shm_device_ops picture_ops;

static struct picture *picture_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &picture_ops);
}

static int picture_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			       struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	(void)ret;
	return 0;
}

static int picture_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
			  struct metal_shm_layout *ret)
{
	if (frame->fourcc != DEMO_XR24)
		return metal_shm_set_error(ENOTSUP, "%s shows XR24 only",
					   metal_shm_device_name(dev));
	ret->stride_min = frame->width * 4;
	ret->stride_alignment = 4;
	return 0;
}

static int picture_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			  struct metal_shm_view *ret_view)
{
	struct slot *slot;
	void *bytes;
	int error;

	if (!at->frame)
		return metal_shm_set_error(ENOTSUP, "%s needs to know the frame's layout",
					   metal_shm_device_name(dev));
	slot = malloc(sizeof(*slot));
	if (!slot)
		return metal_shm_set_error(ENOMEM, "no memory for an attachment");
	error = metal_shm_importer_map(at, METAL_SHM_READ, &bytes);
	if (error) {
		free(slot);
		return error;
	}
	slot->bytes = bytes;
	slot->frame = *at->frame;
	ret_view->data = slot;
	ret_view->access = METAL_SHM_ACCESS_CPU_USER;
	return 0;
}

static void picture_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			   struct metal_shm_view *view)
{
	struct slot *slot = view->data;

	(void)dev;
	metal_shm_importer_unmap(at, (void *)(uintptr_t)slot->bytes);
	free(slot);
}

/* The frame takes the place of what was shown, which goes back to its pool. */
static void replace(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct picture *picture = picture_of(dev);
	struct metal_generic_shm *before;

	pthread_mutex_lock(&picture->lock);
	before = picture->shown;
	picture->shown = shm;
	pthread_mutex_unlock(&picture->lock);
	if (!before)
		return;
	metal_shm_unhold(before, dev, 0);
	metal_shm_free(before, NULL);
}

static void picture_shutdown(struct metal_device *dev)
{
	replace(dev, NULL);
}

static void picture_close(struct metal_device *dev)
{
	struct picture *picture = picture_of(dev);

	pthread_mutex_destroy(&picture->lock);
	free(picture);
}

static const struct metal_shm_device_ops picture_ops = {
	.struct_size = sizeof(picture_ops),
	.constraints = picture_constraints,
	.layout = picture_layout,
	.attach = picture_attach,
	.detach = picture_detach,
	.shutdown = picture_shutdown,
	.close = picture_close,
};

int picture_open(struct metal_device **ret_display)
{
	struct picture *picture = calloc(1, sizeof(*picture));
	int error;

	if (!picture)
		return metal_shm_set_error(ENOMEM, "no memory for a picture");
	pthread_mutex_init(&picture->lock, NULL);
	error = metal_shm_device_create(&picture_ops, "picture", picture, ret_display);
	if (error) {
		pthread_mutex_destroy(&picture->lock);
		free(picture);
	}
	return error;
}

int picture_present(struct metal_device *display, struct metal_generic_shm *shm)
{
	int error;

	if (!picture_of(display))
		return metal_shm_set_error(EINVAL, "not a picture");
	error = metal_shm_hold(shm, display, METAL_SHM_DIR_DEV_R, PRESENT_NS);
	if (!error)
		replace(display, metal_shm_ref(shm));
	return error;
}

int picture_shown(struct metal_device *display, struct demo_pixels *ret_pixels)
{
	struct picture *picture = picture_of(display);
	const struct slot *slot;

	if (!picture || !picture->shown)
		return metal_shm_set_error(ENODATA, "no picture is shown");
	slot = metal_shm_view_data(picture->shown, display);
	*ret_pixels = (struct demo_pixels){
		.bytes = slot->bytes + slot->frame.plane[0].offset,
		.stride = slot->frame.plane[0].stride,
		.width = slot->frame.width,
		.height = slot->frame.height,
		.fourcc = slot->frame.fourcc,
	};
	return 0;
}

int picture_off(struct metal_device *display)
{
	if (!picture_of(display))
		return metal_shm_set_error(EINVAL, "not a picture");
	replace(display, NULL);
	return 0;
}
