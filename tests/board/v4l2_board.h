/* SPDX-License-Identifier: BSD-3-Clause */
/* What the V4L2 programs of the board share: nodes by name, controls by name, a camera with its pool. */
#ifndef V4L2_BOARD_H
#define V4L2_BOARD_H

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/shm.h>
#include <shm/v4l2.h>

#include "camera_path.h"
#include "shm_test.h"

#define XR24 METAL_SHM_FOURCC('X', 'R', '2', '4')
#define XB24 METAL_SHM_FOURCC('X', 'B', '2', '4')
#define AR24 METAL_SHM_FOURCC('A', 'R', '2', '4')
#define AB24 METAL_SHM_FOURCC('A', 'B', '2', '4')
#define RG16 METAL_SHM_FOURCC('R', 'G', '1', '6')
#define RG24 METAL_SHM_FOURCC('R', 'G', '2', '4')
#define BG24 METAL_SHM_FOURCC('B', 'G', '2', '4')
#define R8   METAL_SHM_FOURCC('R', '8', ' ', ' ')
#define YUYV METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define UYVY METAL_SHM_FOURCC('U', 'Y', 'V', 'Y')
#define NV12 METAL_SHM_FOURCC('N', 'V', '1', '2')
#define NV21 METAL_SHM_FOURCC('N', 'V', '2', '1')
#define NV16 METAL_SHM_FOURCC('N', 'V', '1', '6')
#define YU12 METAL_SHM_FOURCC('Y', 'U', '1', '2')

#define W      METAL_SHM_DIR_DEV_W
#define RW     METAL_SHM_DIR_DEV_RW
#define SECOND INT64_C(1000000000)
#define FRAMES 4

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

/* Fails with the library's reason unless the call answers 0. */
#define ok(call)                                                           \
	do {                                                               \
		if (call)                                                  \
			fail_msg("%s: %s", #call, metal_shm_last_error()); \
	} while (0)

struct camera {
	struct metal_device *dev, *src;
	struct metal_shm_pool *pool;
	struct metal_shm_frame frame;
};

/* Set a control of a V4L2 device; a menu's entry by its number. */
static inline void set_control(const struct metal_device *dev, const char *name, int value)
{
	struct v4l2_queryctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	int fd = metal_shm_v4l2_fd(dev);

	for (; !ioctl(fd, VIDIOC_QUERYCTRL, &query); query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
		struct v4l2_control control = { .id = query.id, .value = value };

		if (strcmp((const char *)query.name, name) != 0)
			continue;
		assert_int_equal(ioctl(fd, VIDIOC_S_CTRL, &control), 0);
		return;
	}
	fail_msg("there is no control '%s'", name);
}

static inline void camera_open(struct camera *c, const char *node)
{
	memset(c, 0, sizeof(*c));
	ok(metal_shm_v4l2_open(video_path(node), &c->dev));
	ok(metal_shm_v4l2_set_interval(c->dev, 1, 50));
}

/* Make a pool of frames; of memory of the source, or of what the library chooses. */
static inline void camera_pool(struct camera *c, uint32_t fourcc, const char *source)
{
	struct metal_device *devs[2] = { c->dev };
	size_t n = 1;

	c->frame = (struct metal_shm_frame){ .fourcc = fourcc, .width = 320, .height = 180 };
	ok(metal_shm_frame_negotiate(&c->frame, devs, 1));
	if (source) {
		ok(metal_shm_device_open(source, &c->src));
		devs[n++] = c->src;
	}
	ok(metal_shm_pool_create_frames(&c->frame, devs, n, FRAMES, &c->pool));
}

static inline void camera_drop_pool(struct camera *c)
{
	metal_shm_pool_destroy(c->pool);
	metal_shm_device_close(c->src);
	c->pool = NULL;
	c->src = NULL;
}

static inline void camera_close(struct camera *c)
{
	ok(metal_shm_v4l2_stop(c->dev));
	camera_drop_pool(c);
	metal_shm_device_close(c->dev);
}

static inline struct metal_generic_shm *camera_next(struct camera *c,
						    struct metal_shm_v4l2_info *info)
{
	struct metal_generic_shm *shm = NULL;

	memset(info, 0, sizeof(*info));
	info->struct_size = sizeof(*info);
	ok(metal_shm_v4l2_wait(c->dev, 5 * SECOND, info, &shm));
	return shm;
}

/* All frames can be had from the pool, and the program may touch them. */
static inline void all_frames_are_in_the_pool(struct camera *c)
{
	struct metal_generic_shm *shm[FRAMES];

	for (unsigned i = 0; i < FRAMES; i++) {
		shm[i] = metal_shm_pool_get(c->pool, 0);
		if (!shm[i])
			fail_msg("frame %u: %s", i, metal_shm_last_error());
		metal_shm_sync_for_cpu_timeout(shm[i], RW, 0);
		assert_int_equal(metal_shm_sync_for_cpu_timeout(shm[i], RW, 0), 0);
	}
	for (unsigned i = 0; i < FRAMES; i++)
		metal_shm_free(shm[i], NULL);
}

static inline const unsigned char *read_frame(struct metal_generic_shm *shm)
{
	const unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ);

	if (!bytes)
		fail_msg("map: %s", metal_shm_last_error());
	ok(metal_shm_sync_for_cpu(shm, W));
	return bytes;
}

/* What the library keeps for a thread that waits is no case's. */
static inline void warm_up(void)
{
	struct metal_device *memfd;
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;

	ok(metal_shm_device_open("memfd", &memfd));
	ok(metal_shm_pool_create(1, 1, &memfd, 1, 0, &pool));
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_pool_get(pool, 0);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(memfd);
}

#endif
