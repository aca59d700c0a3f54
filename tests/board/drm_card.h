/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of displays share. */
#ifndef DRM_CARD_H
#define DRM_CARD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xf86drm.h>
#include <xf86drmMode.h>

#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/shm.h>

#include "card_path.h"
#include "shm_test.h"

#define XR24   METAL_SHM_FOURCC('X', 'R', '2', '4')
#define AR24   METAL_SHM_FOURCC('A', 'R', '2', '4')
#define RG16   METAL_SHM_FOURCC('R', 'G', '1', '6')
#define NV12   METAL_SHM_FOURCC('N', 'V', '1', '2')
#define YUYV   METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define WIDTH  320
#define HEIGHT 180
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

static inline struct metal_device *open_card(uint32_t flags)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.flags = flags,
	};
	struct metal_device *dev = NULL;

	assert_ok(metal_shm_drm_open_options(card_path("vkms"), &options, &dev));
	return dev;
}

static inline struct metal_device *open_memory(const char *name)
{
	struct metal_device *dev = NULL;

	assert_ok(metal_shm_device_open(name, &dev));
	return dev;
}

/* A pool of frames for a display, of one memory. */
static inline struct metal_shm_pool *make_pool(const char *memory, struct metal_device *display,
					       uint32_t fourcc, uint32_t width, uint32_t height,
					       unsigned int count)
{
	struct metal_device *devs[] = { open_memory(memory), display };
	struct metal_shm_frame frame = { .fourcc = fourcc, .width = width, .height = height };
	struct metal_shm_pool *pool = NULL;

	assert_ok(metal_shm_frame_negotiate(&frame, devs, 2));
	assert_ok(metal_shm_pool_create_frames(&frame, devs, 2, count, &pool));
	metal_shm_device_close(devs[0]);
	return pool;
}

static inline struct metal_generic_shm *get_frame(struct metal_shm_pool *pool)
{
	struct metal_generic_shm *shm = metal_shm_pool_get(pool, 2 * SECOND);

	if (!shm)
		fail_msg("no frame: %s", metal_shm_last_error());
	return shm;
}

/* Fill a buffer with bytes that a number makes. */
static inline void fill(struct metal_generic_shm *shm, uint32_t seed)
{
	size_t n = metal_shm_size(shm) / 4;
	uint32_t *words;

	assert_ok(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW));
	words = metal_shm_map(shm, METAL_SHM_WRITE);
	assert_non_null(words);
	for (size_t i = 0; i < n; i++)
		words[i] = ((uint32_t)i + seed) * 2654435761u;
	assert_ok(metal_shm_unmap(shm, METAL_SHM_WRITE));
}

static inline struct metal_generic_shm *get_filled(struct metal_shm_pool *pool, uint32_t seed)
{
	struct metal_generic_shm *shm = get_frame(pool);

	fill(shm, seed);
	return shm;
}

static inline uint32_t read_crc(struct metal_device *dev)
{
	struct metal_shm_drm_crc crc = { .struct_size = sizeof(crc) };

	assert_ok(metal_shm_drm_crc(dev, 5 * SECOND, &crc));
	assert_int_equal(crc.n, 1);
	return crc.value[0];
}

/*
 * The descriptor that a thread waits with is made at its first wait and lasts as long as the thread:
 * made before the first case, it is no case's leak.
 */
static inline void wait_once(void)
{
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *shm;

	if (metal_shm_pool_create(1, 1, NULL, 0, 0, &pool))
		return;
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_pool_get(pool, 0);
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static inline void show(struct metal_device *dev, struct metal_generic_shm *shm)
{
	assert_ok(metal_shm_drm_present(dev, shm));
	assert_ok(metal_shm_drm_wait(dev, 2 * SECOND));
}

/* Blank, so that no frame is held, and end all. */
static inline void end(struct metal_shm_pool *pool, struct metal_device *dev)
{
	assert_ok(metal_shm_drm_off(dev));
	metal_shm_pool_destroy(pool);
	metal_shm_device_close(dev);
}

static inline bool readable(int fd, int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, timeout_ms) == 1;
}

/* A property of an object, by a descriptor of the test's own. */
static inline uint64_t property(int fd, uint32_t object, uint32_t type, const char *name)
{
	drmModeObjectPropertiesPtr list = drmModeObjectGetProperties(fd, object, type);
	uint64_t value = UINT64_MAX;

	assert_non_null(list);
	for (uint32_t i = 0; i < list->count_props; i++) {
		drmModePropertyPtr p = drmModeGetProperty(fd, list->props[i]);

		if (p && !strcmp(p->name, name))
			value = list->prop_values[i];
		drmModeFreeProperty(p);
	}
	drmModeFreeObjectProperties(list);
	return value;
}

struct objects {
	uint32_t connector;
	uint32_t crtc;
	uint32_t plane;
};

static inline struct objects find_objects(int fd)
{
	drmModeResPtr resources;
	drmModePlaneResPtr planes;
	struct objects found;

	assert_int_equal(drmSetClientCap(fd, DRM_CLIENT_CAP_ATOMIC, 1), 0);
	resources = drmModeGetResources(fd);
	planes = drmModeGetPlaneResources(fd);
	assert_true(resources && resources->count_crtcs && resources->count_connectors);
	assert_true(planes && planes->count_planes);
	found = (struct objects){
		.connector = resources->connectors[0],
		.crtc = resources->crtcs[0],
		.plane = planes->planes[0],
	};
	drmModeFreePlaneResources(planes);
	drmModeFreeResources(resources);
	return found;
}

#endif
