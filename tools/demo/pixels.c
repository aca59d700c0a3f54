/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

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
	};
	return 0;
}
