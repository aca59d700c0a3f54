/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The job of handwritten.c through libshm.
 *
 * usage: through-libshm CAMERA CARD WIDTH HEIGHT FRAMES
 */
#include <stdio.h>
#include <stdlib.h>

#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/v4l2.h>

#define BUFFERS  4
#define PATIENCE INT64_C(10000000000) /* ns */

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "through-libshm: %s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static void show_next(struct metal_device *camera, struct metal_device *display)
{
	struct metal_generic_shm *frame;

	must(!metal_shm_v4l2_wait(camera, PATIENCE, NULL, &frame), "wait");
	must(!metal_shm_drm_present(display, frame), "present");
	metal_shm_free(frame, NULL);
}

int main(int argc, char **argv)
{
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4') };
	struct metal_device *camera, *display, *heap;
	struct metal_shm_pool *pool;
	long frames;

	if (argc != 6) {
		fprintf(stderr, "usage: through-libshm CAMERA CARD WIDTH HEIGHT FRAMES\n");
		return 2;
	}
	must(!metal_shm_v4l2_open(argv[1], &camera), argv[1]);
	must(!metal_shm_drm_open(argv[2], &display), argv[2]);
	must(!metal_shm_device_open("heap:system", &heap), "heap:system");
	frame.width = (uint32_t)strtoul(argv[3], NULL, 10);
	frame.height = (uint32_t)strtoul(argv[4], NULL, 10);
	frames = strtol(argv[5], NULL, 10);

	struct metal_device *const devs[] = { camera, display, heap };

	must(!metal_shm_frame_negotiate(&frame, devs, 3), "negotiate");
	must(!metal_shm_pool_create_frames(&frame, devs, 3, BUFFERS, &pool), "pool");
	must(!metal_shm_v4l2_start(camera, pool), "start");
	while (frames-- > 0)
		show_next(camera, display);
	must(!metal_shm_v4l2_stop(camera), "stop");
	must(!metal_shm_drm_off(display), "off");
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(heap);
	metal_shm_device_close(display);
	metal_shm_device_close(camera);
	return 0;
}
