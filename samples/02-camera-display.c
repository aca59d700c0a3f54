/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: a camera's frames on a display, in one format, without a copy.
 *
 *	02-camera-display [CAMERA [CARD [FRAMES]]]
 *
 * Both devices agree on a frame first, then get buffers that suit both. Each frame wanders in place:
 * the camera fills it, the display shows it, and when the display lets go the camera has it again.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/v4l2.h>

#define XR24   METAL_SHM_FOURCC('X', 'R', '2', '4')
#define SECOND INT64_C(1000000000)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static void show_frames(struct metal_device *camera, struct metal_device *display, int frames)
{
	while (frames > 0) {
		struct metal_shm_v4l2_info info = { .struct_size = sizeof(info) };
		struct metal_generic_shm *shm;
		int error = metal_shm_v4l2_wait(camera, 5 * SECOND, &info, &shm);

		if (error == -EIO && info.error != METAL_SHM_V4L2_BROKEN)
			continue; /* a damaged frame, which the camera has again */
		must(!error, "wait for a frame");
		must(!metal_shm_drm_present(display, shm), "present");
		metal_shm_free(shm, NULL); /* only the reference: the display has the bytes */
		frames--;
	}
}

int main(int argc, char **argv)
{
	const char *node = argc > 1 ? argv[1] : "/dev/video0";
	const char *card = argc > 2 ? argv[2] : "/dev/dri/card0";
	int frames = argc > 3 ? atoi(argv[3]) : 100;
	struct metal_shm_frame frame = { .fourcc = XR24, .width = 640, .height = 480 };
	struct metal_device *both[2];
	struct metal_shm_pool *pool;

	must(!metal_shm_v4l2_open(node, &both[0]), "camera");
	must(!metal_shm_drm_open(card, &both[1]), "display");
	must(!metal_shm_frame_negotiate(&frame, both, 2), "negotiate");
	/* the display has up to two, the camera wants some to fill meanwhile */
	must(!metal_shm_pool_create_frames(&frame, both, 2, 5, &pool), "pool");

	must(!metal_shm_v4l2_start(both[0], pool), "start");
	show_frames(both[0], both[1], frames);
	metal_shm_v4l2_stop(both[0]);
	metal_shm_drm_off(both[1]);
	printf("%d frames of %ux%u from %s to %s\n", frames, frame.width, frame.height, node, card);

	metal_shm_pool_destroy(pool);
	metal_shm_device_close(both[1]);
	metal_shm_device_close(both[0]);
	return 0;
}
