/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of VFIO share: devices of fake_vfio.h, and buffers for them. */
#ifndef VFIO_BENCH_H
#define VFIO_BENCH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <shm/device.h>
#include <shm/linux.h>
#include <shm/vfio.h>

#include "fake_vfio.h"
#include "shm_test.h"

#define ONE  "vfio:" FAKE_ONE ",address_bits=28"
#define TWO  "vfio:" FAKE_TWO ",address_bits=32"
#define PAIR "vfio:" FAKE_PAIR ",address_bits=64"
#define SIZE 16384u

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static struct fake_vfio *fake;

static inline int begin(void **state)
{
	(void)state;
	fake = fake_vfio_new();
	return 0;
}

static inline int finish(void **state)
{
	(void)state;
	fake_vfio_end();
	return 0;
}

static inline struct metal_device *open_device(const char *name)
{
	struct metal_device *dev = NULL;

	if (metal_shm_device_open(name, &dev))
		fail_msg("%s: %s", name, metal_shm_last_error());
	return dev;
}

static inline void refuse_open(const char *name, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_device_open(name, &dev), -error);
	assert_null(dev);
	assert_reason(word);
}

static inline struct metal_generic_shm *buffer(const char *source, size_t size)
{
	struct metal_device *dev = open_device(source);
	struct metal_generic_shm *shm = metal_shm_allocate(size, dev, 0);

	assert_non_null(shm);
	metal_shm_device_close(dev);
	return shm;
}

static inline void refuse_attach(struct metal_generic_shm *shm, struct metal_device *dev, int error,
				 const char *word)
{
	errno = 0;
	assert_null(metal_shm_attach(shm, dev));
	assert_int_equal(errno, error);
	assert_reason(word);
}

static inline uint64_t address_of(struct metal_generic_shm *view)
{
	uint64_t address = 0;

	assert_int_equal(metal_shm_device_address(view, &address), 0);
	return address;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

#endif
