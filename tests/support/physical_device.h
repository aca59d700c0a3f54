/* SPDX-License-Identifier: BSD-3-Clause */
/* A device without a driver in the kernel: it asks where what is attached to it lies. */
#ifndef PHYSICAL_DEVICE_H
#define PHYSICAL_DEVICE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "shm_test.h"

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

/* The device's data is how it moves bytes. */
static inline enum metal_shm_access physical_access(const struct metal_device *dev);

static inline int physical_constraints(struct metal_device *dev,
				       const struct metal_shm_frame *frame,
				       struct metal_shm_constraints *ret)
{
	(void)frame;
	ret->access = physical_access(dev);
	return 0;
}

static inline int physical_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
				  struct metal_shm_view *ret)
{
	struct metal_shm_physical *found = calloc(1, sizeof(*found));
	int error;

	assert_non_null(found);
	error = metal_shm_physical_get(at, found);
	if (error) {
		free(found);
		return error;
	}
	ret->data = found;
	ret->segments = found->segments;
	ret->segment_count = found->segment_count;
	ret->access = physical_access(dev);
	return 0;
}

static inline void physical_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
				   struct metal_shm_view *view)
{
	(void)dev;
	(void)at;
	metal_shm_physical_put(view->data);
	/* ending it again changes nothing */
	metal_shm_physical_put(view->data);
	free(view->data);
}

static const struct metal_shm_device_ops physical_ops = {
	.struct_size = sizeof(physical_ops),
	.constraints = physical_constraints,
	.attach = physical_attach,
	.detach = physical_detach,
};

static inline enum metal_shm_access physical_access(const struct metal_device *dev)
{
	const enum metal_shm_access *access = metal_shm_device_data(dev, &physical_ops);

	assert_non_null(access);
	return *access;
}

/* It moves bytes as @access says; ended with metal_shm_device_close(). */
static inline struct metal_device *physical_device(enum metal_shm_access access)
{
	static enum metal_shm_access kinds[METAL_SHM_ACCESS_DMA_COHERENT + 1];
	struct metal_device *dev;

	kinds[access] = access;
	assert_int_equal(metal_shm_device_create(&physical_ops, "bare", &kinds[access], &dev), 0);
	return dev;
}

/* The attach fails, for this reason. */
static inline void physical_refuse(struct metal_generic_shm *shm, struct metal_device *dev,
				   int error, const char *word)
{
	errno = 0;
	assert_null(metal_shm_attach(shm, dev));
	assert_int_equal(errno, error);
	assert_reason(word);
}

#endif
