/* SPDX-License-Identifier: BSD-3-Clause */
/* A display on the driver in the program, with a pool of frames of its own memory. */
#ifndef DRM_FIXTURE_H
#define DRM_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shm/shm.h>

#include "fake_drm.h"
#include "shm_test.h"

#define XR24   METAL_SHM_FOURCC('X', 'R', '2', '4')
#define SECOND INT64_C(1000000000)

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

#define assert_ok(call)                                                              \
	do {                                                                         \
		int ret_ = (call);                                                   \
		if (ret_)                                                            \
			fail_msg("%s: %d, %s", #call, ret_, metal_shm_last_error()); \
	} while (0)

struct screen {
	struct fake_drm *driver;
	struct metal_device *dev;
	struct metal_shm_pool *pool;
	struct metal_shm_frame frame;
	struct metal_generic_shm *shm[3];
};

/* Without a driver of its own: whoever calls has made one and said what it is like. */
static inline void screen_open(struct screen *s)
{
	assert_ok(fake_drm_open(&s->dev));
}

static inline int screen_fill(struct screen *s, uint32_t width, uint32_t height, unsigned int count)
{
	struct metal_device *devs[] = { s->dev };
	int ret;

	s->frame = (struct metal_shm_frame){ .fourcc = XR24, .width = width, .height = height };
	ret = metal_shm_frame_negotiate(&s->frame, devs, 1);
	if (!ret)
		ret = metal_shm_pool_create_frames(&s->frame, devs, 1, count, &s->pool);
	for (unsigned int i = 0; i < count && !ret; i++) {
		s->shm[i] = metal_shm_pool_get(s->pool, 0);
		if (!s->shm[i])
			ret = -errno;
	}
	return ret;
}

static inline void screen_close(struct screen *s)
{
	metal_shm_device_close(s->dev);
	for (unsigned int i = 0; i < 3; i++)
		metal_shm_free(s->shm[i], NULL);
	metal_shm_pool_destroy(s->pool);
}

static inline uint64_t primary(const struct screen *s, enum fake_drm_property property)
{
	return s->driver->value[FAKE_DRM_PRIMARY][property];
}

#endif
