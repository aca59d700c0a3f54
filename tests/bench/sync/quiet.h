/* SPDX-License-Identifier: BSD-3-Clause */
/* A source whose syncs do nothing, so that what is measured is the library. */
#ifndef BENCH_QUIET_H
#define BENCH_QUIET_H

#include <string.h>

#include <shm/device.h>

#include "clock.h"

static inline int quiet_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
				 struct metal_shm_memory *ret_memory)
{
	(void)dev;
	(void)type;
	*ret_memory =
		(struct metal_shm_memory){ aligned_alloc(4096, (size + 4095) & ~4095UL), size, -1 };
	must(ret_memory->data != NULL, "memory");
	memset(ret_memory->data, 0, size);
	return 0;
}

static inline void quiet_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	free(memory->data);
}

static inline int quiet_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
				   struct metal_shm_properties *ret)
{
	(void)dev;
	*ret = (struct metal_shm_properties){
		.struct_size = sizeof(*ret),
		.cached = METAL_SHM_YES,
		.coherent = METAL_SHM_NO,
		.size = memory ? memory->size : 0,
		.alignment = 4096,
	};
	return 0;
}

static inline int quiet_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
			    void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address = memory->data;
	return 0;
}

static inline void quiet_unmap(struct metal_device *dev, struct metal_shm_memory *memory,
			       void *address, size_t length)
{
	(void)dev;
	(void)memory;
	(void)address;
	(void)length;
}

static inline int quiet_sync(struct metal_device *dev, struct metal_shm_memory *memory,
			     const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	(void)memory;
	(void)range;
	(void)dir;
	return 0;
}

static inline struct metal_device *quiet_source(void)
{
	static const struct metal_shm_device_ops ops = {
		.struct_size = sizeof(ops),
		.allocate = quiet_allocate,
		.release = quiet_release,
		.properties = quiet_properties,
		.map = quiet_map,
		.unmap = quiet_unmap,
		.sync_for_cpu = quiet_sync,
		.sync_for_device = quiet_sync,
	};
	struct metal_device *dev;

	must(!metal_shm_device_create(&ops, "memory", NULL, &dev), "source");
	return dev;
}

#endif
