/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "pixels.h"

int pixels_read(struct metal_generic_shm *shm, int64_t timeout_ns, struct demo_pixels *ret_pixels)
{
	const struct metal_shm_frame *frame;
	const uint8_t *bytes;
	int error = metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_W, timeout_ns);

	if (error)
		return error;
	frame = metal_shm_frame_of(shm);
	if (!frame)
		return -errno;
	bytes = metal_shm_map(shm, METAL_SHM_READ);
	if (!bytes)
		return -errno;
	*ret_pixels = (struct demo_pixels){
		.bytes = bytes + frame->plane[0].offset,
		.stride = frame->plane[0].stride,
		.width = frame->width,
		.height = frame->height,
		.fourcc = frame->fourcc,
	};
	return 0;
}

int pixels_keep(struct metal_generic_shm *shm, int64_t timeout_ns, struct demo_pixels *ret_pixels)
{
	struct demo_pixels pixels = { .bytes = NULL };
	int error = pixels_read(shm, timeout_ns, &pixels);
	size_t size = (size_t)pixels.stride * pixels.height;
	uint8_t *copy = !error && size ? calloc(1, size) : NULL;

	if (error)
		return error;
	if (!copy)
		return metal_shm_set_error(ENOMEM, "no memory for a picture");
	for (size_t at = 0; at < size; at += pixels.stride)
		memcpy(copy + at, pixels.bytes + at,
		       (size_t)pixels.width * pixels_size(pixels.fourcc));
	pixels.bytes = copy;
	*ret_pixels = pixels;
	return 0;
}

void pixels_drop(struct demo_pixels *pixels)
{
	free((void *)(uintptr_t)pixels->bytes);
	pixels->bytes = NULL;
}

uint32_t pixels_size(uint32_t fourcc)
{
	return fourcc == DEMO_YUYV ? 2 : 4;
}

uint32_t pixels_colour(const struct demo_pixels *xr24, uint32_t x, uint32_t y)
{
	const uint8_t *pixel = xr24->bytes + (size_t)y * xr24->stride + (size_t)x * 4;

	return (uint32_t)pixel[2] << 16 | (uint32_t)pixel[1] << 8 | pixel[0];
}
