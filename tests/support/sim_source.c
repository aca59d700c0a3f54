/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim_device.h"

#include "shm_test.h"

static const struct metal_shm_device_ops source_ops, windowed_ops;

static struct sim_source *source_of(const struct metal_device *dev)
{
	struct sim_source *source = metal_shm_device_data(dev, &source_ops);

	return source ? source : metal_shm_device_data(dev, &windowed_ops);
}

static int source_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	struct sim_source *source = source_of(dev);
	struct sim_memory *memory;

	(void)type;
	if (source->fails_in && !--source->fails_in)
		return metal_shm_set_error(ENOMEM, "told to fail");
	if (source->kind == SIM_WINDOWED)
		size = (size + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE;
	memory = sim_memory_new(source->machine, source->kind, size);
	*ret_memory = (struct metal_shm_memory){ memory, memory->size, -1 };
	source->newest = memory;
	source->live++;
	return 0;
}

static void source_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	sim_memory_end(memory->data);
	source_of(dev)->live--;
}

static int source_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	const enum sim_kind kind = source_of(dev)->kind;

	*ret = (struct metal_shm_properties){
		.struct_size = sizeof(*ret),
		.cached = METAL_SHM_YES,
		.secure = METAL_SHM_NO,
		.coherent = METAL_SHM_NO,
		.zeroed = METAL_SHM_NO,
		.size = memory ? memory->size : 0,
		.granularity = kind == SIM_WINDOWED ? SIM_PAGE : SIM_LINE,
		.alignment = SIM_PAGE,
		.sync_granule = kind == SIM_RANGED ? SIM_LINE : 0,
	};
	return 0;
}

static int source_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address = sim_memory_address(memory->data);
	return 0;
}

static void source_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length)
{
	(void)dev;
	assert_ptr_equal(address, sim_memory_address(memory->data));
	assert_int_equal(length, memory->size);
}

static int source_start(struct metal_device *dev, struct metal_shm_memory *memory,
			const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	int error = sim_start(memory->data, range, dir);

	(void)dev;
	return error ? metal_shm_set_error(-error, "START outside the memory") : 0;
}

static int source_end(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	int error = sim_end(memory->data, range, dir);

	(void)dev;
	return error ? metal_shm_set_error(-error, "END outside the memory, or before any START")
		     : 0;
}

static int source_window(struct metal_device *dev, struct metal_shm_memory *memory,
			 const struct metal_shm_range *range, struct metal_shm_memory *ret_window)
{
	struct sim_source *source = source_of(dev);
	struct sim_memory *window;

	if (source->fails_in && !--source->fails_in)
		return metal_shm_set_error(ENOMEM, "told to fail");
	window = sim_memory_window(memory->data, range->offset, range->length);
	if (!window)
		return metal_shm_set_error(EINVAL, "not whole pages of the memory");
	*ret_window = (struct metal_shm_memory){ window, window->size, -1 };
	source->live++;
	return 0;
}

static void source_close(struct metal_device *dev)
{
	source_of(dev)->closed = true;
}

#define COMMON                                                                              \
	.struct_size = sizeof(struct metal_shm_device_ops), .allocate = source_allocate,    \
	.release = source_release, .properties = source_properties, .map = source_map,      \
	.unmap = source_unmap, .sync_for_cpu = source_start, .sync_for_device = source_end, \
	.close = source_close

static const struct metal_shm_device_ops source_ops = { COMMON };
static const struct metal_shm_device_ops windowed_ops = { COMMON, .window = source_window };

struct sim_source *sim_source_new(struct sim_machine *machine, enum sim_kind kind, const char *name)
{
	struct sim_source *source = calloc(1, sizeof(*source));

	assert_non_null(source);
	source->machine = machine;
	source->kind = kind;
	assert_int_equal(metal_shm_device_create(kind == SIM_WINDOWED ? &windowed_ops : &source_ops,
						 name, source, &source->dev),
			 0);
	return source;
}

void sim_source_end(struct sim_source *source)
{
	metal_shm_device_close(source->dev);
	assert_int_equal(source->live, 0);
	assert_true(source->closed);
	free(source);
}
