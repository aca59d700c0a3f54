/* SPDX-License-Identifier: BSD-3-Clause */
/* A camera of the fake driver with a pool, for the cases that stream. */
#ifndef V4L2_BENCH_H
#define V4L2_BENCH_H

#include <errno.h>
#include <string.h>

#include "fake_v4l2.h"
#include "shm_test.h"

#define W       METAL_SHM_DIR_DEV_W
#define RW      METAL_SHM_DIR_DEV_RW
#define FRAMES  4
#define PICTURE (100 * 50 * 2)

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

struct bench {
	struct fake_v4l2 *driver;
	struct metal_device *camera;
	struct metal_shm_pool *pool;
};

static inline void bench_open(struct bench *b)
{
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('Y', 'U', 'Y', 'V'),
					 .width = 100,
					 .height = 50 };
	struct metal_device *devs[2];

	if (fake_v4l2_open(&b->camera))
		fail_msg("open: %s", metal_shm_last_error());
	devs[0] = b->camera;
	devs[1] = fake_v4l2_memory();
	if (metal_shm_frame_negotiate(&frame, devs, 1) ||
	    metal_shm_pool_create_frames(&frame, devs, 2, FRAMES, &b->pool))
		fail_msg("pool: %s", metal_shm_last_error());
	metal_shm_device_close(devs[1]);
	b->driver->log[0] = '\0';
	b->driver->qbufs = b->driver->dqbufs = b->driver->moved = 0;
}

static inline void bench_start(struct bench *b)
{
	if (metal_shm_v4l2_start(b->camera, b->pool))
		fail_msg("start: %s", metal_shm_last_error());
	b->driver->log[0] = '\0';
	b->driver->qbufs = b->driver->dqbufs = 0;
}

static inline int set_up(void **state)
{
	static struct bench b;

	b.driver = fake_v4l2_new();
	bench_open(&b);
	bench_start(&b);
	*state = &b;
	return 0;
}

/* A pool that has all its frames again lost none. */
static inline void all_frames_are_in_the_pool(struct bench *b)
{
	struct metal_generic_shm *shm[FRAMES];

	for (unsigned i = 0; i < FRAMES; i++)
		assert_non_null(shm[i] = metal_shm_pool_get(b->pool, 0));
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
}

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	assert_int_equal(metal_shm_v4l2_stop(b->camera), 0);
	all_frames_are_in_the_pool(b);
	metal_shm_pool_destroy(b->pool);
	metal_shm_device_close(b->camera);
	return 0;
}

static inline struct metal_generic_shm *next_frame(struct bench *b)
{
	struct metal_generic_shm *shm = NULL;

	assert_true(fake_v4l2_done(PICTURE, 0) >= 0);
	if (metal_shm_v4l2_wait(b->camera, METAL_SHM_FOREVER, NULL, &shm))
		fail_msg("wait: %s", metal_shm_last_error());
	return shm;
}

#endif
