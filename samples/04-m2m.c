/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: a memory-to-memory device (a scaler, a converter; here vim2m) between two buffers.
 *
 *	04-m2m [NODE]
 *
 * Such a node is two devices of libshm: one reads what the program writes, the other writes the
 * result. Every buffer is handed over by the verbs; the program asks for the bytes only where it
 * touches them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <shm/frame.h>
#include <shm/v4l2.h>

#define RG16   METAL_SHM_FOURCC('R', 'G', '1', '6')
#define SECOND INT64_C(1000000000)
#define WIDTH  640
#define HEIGHT 480

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static struct metal_shm_pool *make_pool(struct metal_device *dev)
{
	struct metal_shm_frame frame = { .fourcc = RG16, .width = WIDTH, .height = HEIGHT };
	struct metal_shm_pool *pool;

	must(!metal_shm_frame_negotiate(&frame, &dev, 1), "negotiate");
	must(!metal_shm_pool_create_frames(&frame, &dev, 1, 2, &pool), "pool");
	return pool;
}

static uint16_t pattern(unsigned x, unsigned y)
{
	return (uint16_t)(x * 31 / WIDTH << 11 | y * 63 / HEIGHT << 5 | (x ^ y) % 32);
}

/* A pixel of a frame that is mapped. */
static uint16_t *at(struct metal_generic_shm *shm, uint8_t *bytes, unsigned x, unsigned y)
{
	const struct metal_shm_plane *plane = &metal_shm_frame_of(shm)->plane[0];

	return (uint16_t *)(bytes + plane->offset + (size_t)y * plane->stride) + x;
}

static void draw(struct metal_generic_shm *shm)
{
	uint8_t *bytes;

	must(!metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), "sync_for_cpu");
	bytes = metal_shm_map(shm, METAL_SHM_WRITE);
	must(bytes, "map");
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			*at(shm, bytes, x, y) = pattern(x, y);
	metal_shm_unmap(shm, METAL_SHM_WRITE);
}

static unsigned count_equal(struct metal_generic_shm *shm)
{
	unsigned equal = 0;
	uint8_t *bytes;

	must(!metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), "sync_for_cpu");
	bytes = metal_shm_map(shm, METAL_SHM_READ);
	must(bytes, "map");
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			equal += *at(shm, bytes, x, y) == pattern(x, y);
	metal_shm_unmap(shm, METAL_SHM_READ);
	return equal;
}

int main(int argc, char **argv)
{
	struct metal_device *output, *capture;
	struct metal_shm_pool *sources, *results;
	struct metal_generic_shm *source, *result;
	unsigned equal;

	must(!metal_shm_v4l2_open_m2m(argc > 1 ? argv[1] : "/dev/video0", &output, &capture),
	     "open");
	sources = make_pool(output);
	results = make_pool(capture);
	must(!metal_shm_v4l2_start(output, sources), "start the output");
	must(!metal_shm_v4l2_start(capture, results), "start the capture");

	source = metal_shm_pool_get(sources, SECOND);
	must(source, "frame");
	draw(source);
	must(!metal_shm_v4l2_queue(output, source), "queue");
	metal_shm_free(source, NULL);

	/* the capture device has queued the frames of its pool by itself */
	must(!metal_shm_v4l2_wait(capture, 5 * SECOND, NULL, &result), "wait for the result");
	equal = count_equal(result);
	metal_shm_free(result, NULL);
	printf("%u of %u pixels came through\n", equal, WIDTH * HEIGHT);

	metal_shm_v4l2_stop(capture);
	metal_shm_v4l2_stop(output);
	metal_shm_pool_destroy(results);
	metal_shm_pool_destroy(sources);
	metal_shm_device_close(capture);
	metal_shm_device_close(output);
	return equal == WIDTH * HEIGHT ? 0 : 1;
}
