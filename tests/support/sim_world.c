/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm_test.h"

void sim_world_wrong(struct sim_world *world, const char *format, ...)
{
	va_list args;

	if (world->outcome.why[0])
		return;
	va_start(args, format);
	vsnprintf(world->outcome.why, sizeof(world->outcome.why), format, args);
	va_end(args);
}

unsigned sim_world_view(const struct sim_world *world, const struct sim_handle *handle,
			unsigned device)
{
	unsigned i;

	for (i = 0; i < SIM_VIEWS; i++)
		if (world->views[i].shm && world->views[i].root == handle->root &&
		    world->views[i].device == device && world->views[i].offset == handle->offset &&
		    world->views[i].size == handle->size)
			break;
	return i;
}

static void compare(struct sim_world *world, const char *who, const struct sim_model *model,
		    size_t i, unsigned char is)
{
	if (is != model->value[i] && !(model->fate[i] & SIM_UNKNOWN))
		sim_world_wrong(world, "byte %zu of %zu: %s reads %02x, not %02x", i, model->size,
				who, is, model->value[i]);
}

/* Mostly all is equal, also what may not be read: that is seen at once. */
static void read_as_program(struct sim_world *world, const struct sim_root *root)
{
	if (!memcmp(root->address, root->model->value, root->model->size))
		return;
	for (size_t i = 0; i < root->model->size; i++)
		if (root->model->cpu[i] & METAL_SHM_READ)
			compare(world, "the program", root->model, i, root->address[i]);
}

static void read_as_device(struct sim_world *world, unsigned index)
{
	const struct sim_view *view = &world->views[index];
	const struct sim_model *model = view->root->model;
	unsigned char bytes[SIM_MOST_BYTES];

	if (view->done)
		return;
	sim_device_read(view->attached, 0, bytes, view->size);
	if (!memcmp(bytes, model->value + view->offset, view->size))
		return;
	for (size_t i = view->offset; i < view->offset + view->size; i++)
		if (model->reads[i] & UINT32_C(1) << index)
			compare(world, metal_shm_device_name(world->devices[view->device]->dev),
				model, i, bytes[i - view->offset]);
}

static void read_all(struct sim_world *world)
{
	struct sim_root *last = NULL;

	for (unsigned i = 0; i < SIM_HANDLES; i++) {
		struct sim_root *root = world->handles[i].root;

		if (world->handles[i].shm && root->mapped && root != last)
			read_as_program(world, root);
		last = root;
	}
	for (unsigned i = 0; i < SIM_VIEWS; i++)
		if (world->views[i].shm)
			read_as_device(world, i);
}

bool sim_world_do(struct sim_world *world, const struct sim_op *op)
{
	struct sim_rng rng = { op->value };

	for (unsigned i = 0; i < op->steps; i++)
		sim_step(world->machine, &rng);
	if (sim_world_operate(world, op))
		world->outcome.tally.done[op->kind]++;
	else
		world->outcome.tally.left_out++;
	read_all(world);
	return !world->outcome.why[0];
}

struct sim_world *sim_world_new(unsigned mistakes)
{
	static const struct {
		enum metal_shm_access access;
		bool needs_whole;
		const char *name;
	} devices[] = {
		{ METAL_SHM_ACCESS_DMA, false, "dma" },
		{ METAL_SHM_ACCESS_DMA, false, "dma2" },
		{ METAL_SHM_ACCESS_CPU_KERNEL, false, "kernel" },
		{ METAL_SHM_ACCESS_CPU_USER, false, "user" },
		{ METAL_SHM_ACCESS_UNKNOWN, false, "unknown" },
		{ METAL_SHM_ACCESS_DMA, true, "camera" },
		{ METAL_SHM_ACCESS_CPU_KERNEL, true, "vivid" },
	};
	struct sim_world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->machine = sim_machine_new();
	world->machine->mistakes = mistakes;
	for (unsigned i = 0; i < SIM_KINDS; i++)
		world->sources[i] =
			sim_source_new(world->machine, (enum sim_kind)i, sim_kind_names[i]);
	for (unsigned i = 0; i < SIM_DEVICES; i++)
		world->devices[i] = sim_device_new(devices[i].access, devices[i].name);
	for (unsigned i = 0; i < SIM_DEVICES; i++)
		world->devices[i]->needs_whole = devices[i].needs_whole;
	return world;
}

/* Where memory is left its source can't be ended either. */
static void end_devices(struct sim_world *world)
{
	if (world->machine->memories) {
		sim_world_wrong(world, "%u memories are left", world->machine->memories);
		return;
	}
	for (unsigned i = 0; i < SIM_DEVICES; i++)
		sim_device_end(world->devices[i]);
	for (unsigned i = 0; i < SIM_KINDS; i++)
		sim_source_end(world->sources[i]);
	sim_machine_end(world->machine);
}

/* Until there is nothing left to do it to. */
static void do_all(struct sim_world *world, const struct sim_op *op)
{
	while (sim_world_operate(world, op))
		;
}

struct sim_outcome sim_world_end(struct sim_world *world)
{
	struct sim_outcome outcome;

	for (unsigned i = 0; i < SIM_VIEWS; i++)
		do_all(world, &(struct sim_op){ .kind = SIM_COMPLETE, .view = i });
	for (unsigned i = 0; i < SIM_HANDLES && !world->outcome.why[0]; i++) {
		do_all(world,
		       &(struct sim_op){ .kind = SIM_MAP, .handle = i, .dir = METAL_SHM_READ });
		sim_world_operate(world, &(struct sim_op){ .kind = SIM_TO_CPU,
							   .handle = i,
							   .dir = METAL_SHM_DIR_DEV_RW });
	}
	if (!world->outcome.why[0])
		read_all(world);
	for (unsigned i = 0; i < SIM_VIEWS; i++)
		do_all(world, &(struct sim_op){ .kind = SIM_DETACH, .view = i });
	for (unsigned i = 0; i < SIM_HANDLES; i++)
		do_all(world, &(struct sim_op){ .kind = SIM_FREE, .handle = i });
	end_devices(world);
	outcome = world->outcome;
	free(world);
	return outcome;
}
