/* SPDX-License-Identifier: BSD-3-Clause */
/* What a call may and must answer, for reasons that a model of one buffer's bytes doesn't see. */
#include "sim_world.h"

static bool is_whole(const struct sim_root *root, size_t offset, size_t size)
{
	return !offset && size == root->model->size;
}

/* In whose multiples the bytes can be synced by themselves; 0: only all of them. */
static size_t granule_of(const struct sim_root *root)
{
	if (root->kind == SIM_WINDOWED)
		return SIM_PAGE;
	return root->kind == SIM_RANGED ? SIM_LINE : 0;
}

bool sim_world_stands_in_the_way(const struct sim_world *world, const struct sim_root *root,
				 size_t offset, size_t size)
{
	const size_t granule = granule_of(root);
	size_t from = 0, to = root->model->size;

	if (granule) {
		from = offset / granule * granule;
		to = (offset + size + granule - 1) / granule * granule;
		to = to < root->model->size ? to : root->model->size;
	}
	for (size_t i = from; i < to; i++) {
		uint32_t writers = root->model->writes[i] & ~root->model->shadows;

		if (i >= offset && i < offset + size)
			continue;
		for (unsigned view = 0; view < SIM_VIEWS && writers; view++)
			if (writers & UINT32_C(1) << view && !world->views[view].done &&
			    !world->devices[world->views[view].device]->by_cpu)
				return true;
	}
	return false;
}

bool sim_world_bounces(const struct sim_world *world, const struct sim_handle *handle,
		       unsigned device)
{
	const struct sim_root *root = handle->root;

	if (root->kind != SIM_BOUNCING || world->devices[device]->by_cpu ||
	    !is_whole(root, handle->offset, handle->size))
		return false;
	for (unsigned i = 0; i < SIM_VIEWS; i++) {
		const struct sim_view *view = &world->views[i];

		if (view->root == root && !world->devices[view->device]->by_cpu &&
		    is_whole(root, view->offset, view->size))
			return true;
	}
	return false;
}

enum metal_shm_view_mode sim_world_mode(const struct sim_world *world,
					const struct sim_handle *handle, unsigned device)
{
	const struct sim_root *root = handle->root;
	const bool by_cpu = world->devices[device]->by_cpu;
	const bool needs_whole = world->devices[device]->needs_whole;
	const size_t granule = granule_of(root), end = handle->offset + handle->size;
	bool alone, begins;

	if (is_whole(root, handle->offset, handle->size) || (by_cpu && !needs_whole))
		return METAL_SHM_VIEW_IN_PLACE;
	begins = granule && handle->offset % granule == 0;
	alone = begins && (end % granule == 0 || end == root->model->size);
	if (root->kind == SIM_RANGED && alone && !needs_whole)
		return METAL_SHM_VIEW_IN_PLACE;
	if (root->kind == SIM_WINDOWED && (by_cpu ? begins : alone))
		return METAL_SHM_VIEW_WINDOW;
	return METAL_SHM_VIEW_SHADOW;
}

uint32_t sim_world_pending(const struct sim_world *world, const struct sim_root *root, unsigned but)
{
	uint32_t views = 0;

	for (unsigned i = 0; i < SIM_VIEWS; i++)
		if (world->views[i].root == root && world->views[i].pending &&
		    world->views[i].device != but)
			views |= UINT32_C(1) << i;
	return views;
}

bool sim_world_disagrees(const struct sim_world *world, const struct sim_handle *handle,
			 unsigned device, unsigned view)
{
	for (unsigned i = 0; i < SIM_VIEWS; i++) {
		const struct sim_view *other = &world->views[i];

		if (i != view && other->root == handle->root && other->device == device &&
		    other->pending && other->offset < handle->offset + handle->size &&
		    handle->offset < other->offset + other->size)
			return true;
	}
	return false;
}
