/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program does, each call with what the model says that it answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm_test.h"
#include "sim_world.h"

/* What a call answers is what the model says. */
static bool answers(struct sim_world *world, const char *call, int is, int must_be)
{
	if (is != must_be)
		sim_world_wrong(world, "%s answers %d, not %d: %s", call, is, must_be,
				is ? metal_shm_last_error() : "");
	return !is && !must_be;
}

/*
 * The same for a change of hands, which may be refused too, or tell whoever would read that bytes are lost.
 * After it these are known or nobody's.
 */
static bool passes(struct sim_world *world, const char *call, int is, int must_be,
		   const struct sim_handle *handle, bool reader)
{
	struct sim_model *model = handle->root->model;

	if (is == -EBUSY && !must_be &&
	    sim_world_stands_in_the_way(world, handle->root, handle->offset, handle->size)) {
		world->outcome.tally.refused[handle->root->kind]++;
		return false;
	}
	if (!must_be && reader && sim_model_are(model, handle->offset, handle->size, SIM_FAILED))
		must_be = -EIO;
	answers(world, call, is, must_be);
	if (!is || is == -EIO)
		sim_model_settle(model, handle->offset, handle->size, is, reader);
	world->outcome.tally.lost += is == -EIO;
	return !world->outcome.why[0] && (!is || is == -EIO);
}

static unsigned char byte_of(unsigned value, size_t i)
{
	return (unsigned char)((value * 2654435761u >> 24) + i * 41 + 1);
}

static void root_put(struct sim_root *root)
{
	if (--root->users)
		return;
	sim_model_end(root->model);
	free(root);
}

static bool do_allocate(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];
	struct sim_root *root;

	if (handle->shm || !op->size || op->size > SIM_MOST_BYTES)
		return false;
	handle->shm = metal_shm_allocate(op->size, world->sources[op->source]->dev, 0);
	if (!answers(world, "metal_shm_allocate", handle->shm ? 0 : -errno, 0))
		return true;
	root = calloc(1, sizeof(*root));
	assert_non_null(root);
	root->kind = world->sources[op->source]->kind;
	root->address = sim_memory_address(world->sources[op->source]->newest);
	root->model = sim_model_new(root->address, op->size);
	root->reports = op->value % 2;
	root->users = 1;
	handle->root = root;
	handle->offset = 0;
	handle->size = op->size;
	return true;
}

static bool do_sub(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *part = &world->handles[op->handle];
	const struct sim_handle *of = &world->handles[op->of];

	if (part->shm || !of->shm || !op->size || op->offset > of->size ||
	    op->size > of->size - op->offset)
		return false;
	part->no_copy = !(op->value % 8);
	part->shm = metal_shm_sub(of->shm, op->offset, op->size,
				  part->no_copy ? METAL_SHM_SUB_NO_COPY : 0);
	if (!answers(world, "metal_shm_sub", part->shm ? 0 : -errno, 0))
		return true;
	part->root = of->root;
	part->root->users++;
	part->offset = of->offset + op->offset;
	part->size = op->size;
	return true;
}

static bool do_free(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];

	if (!handle->shm)
		return false;
	metal_shm_free(handle->shm, NULL);
	if (handle->prot)
		handle->root->mapped--;
	root_put(handle->root);
	*handle = (struct sim_handle){ 0 };
	return true;
}

static bool do_map(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];
	const void *address;

	if (!handle->shm || handle->prot)
		return false;
	address = metal_shm_map(handle->shm, (int)op->dir);
	if (!answers(world, "metal_shm_map", address ? 0 : -errno, 0))
		return true;
	if (address != handle->root->address + handle->offset)
		sim_world_wrong(world, "the mapping is elsewhere");
	handle->prot = (int)op->dir;
	handle->root->mapped++;
	return true;
}

static bool do_unmap(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];

	if (!handle->prot)
		return false;
	answers(world, "metal_shm_unmap", metal_shm_unmap(handle->shm, handle->prot), 0);
	handle->prot = 0;
	handle->root->mapped--;
	return true;
}

/* What is wanted of a range that has so many bytes. */
static size_t cut(const struct sim_op *op, size_t size)
{
	if (op->offset >= size)
		return op->offset;
	return op->size < size - op->offset ? op->offset + op->size : size;
}

/* Now and then straight through the mapping, as the library copies. */
static void cpu_write(struct sim_world *world, const struct sim_op *op, struct sim_handle *handle,
		      size_t at, size_t n)
{
	unsigned char *address = handle->root->address, bytes[SIM_MOST_BYTES];

	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_of(op->value, at + i);
	sim_model_write(handle->root->model, at, bytes, n);
	if (op->value % 4)
		sim_cpu_write(world->machine, address + at, bytes, n);
	else
		memcpy(address + at, bytes, n);
	if (handle->root->reports)
		answers(world, "metal_shm_wrote",
			metal_shm_wrote(handle->shm, at - handle->offset, n), 0);
}

static bool do_cpu_write(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];
	size_t n, at = handle->offset + op->offset, end = handle->offset + cut(op, handle->size);
	bool any = false;

	if (!(handle->prot & METAL_SHM_WRITE))
		return false;
	for (; (n = sim_model_writable(handle->root->model, SIM_VIEWS, &at, end)) != 0; at += n) {
		cpu_write(world, op, handle, at, n);
		any = true;
	}
	return any;
}

static bool do_attach(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];
	struct metal_generic_shm *shm;
	struct sim_view *view;
	enum metal_shm_view_mode mode;
	int must_be = 0;
	unsigned found;

	if (!handle->shm)
		return false;
	found = sim_world_view(world, handle, op->device);
	view = &world->views[found == SIM_VIEWS ? op->view : found];
	if (found == SIM_VIEWS && view->shm)
		return false;
	if (found == SIM_VIEWS && sim_world_bounces(world, handle, op->device))
		must_be = -ENOTSUP;
	mode = sim_world_mode(world, handle, op->device);
	if (handle->no_copy && mode == METAL_SHM_VIEW_SHADOW)
		must_be = -ENOTSUP;
	shm = metal_shm_attach(handle->shm, world->devices[op->device]->dev);
	if (!answers(world, "metal_shm_attach", shm ? 0 : -errno, must_be))
		return true;
	if (found != SIM_VIEWS) {
		if (shm != view->shm)
			sim_world_wrong(world, "attached again it is another view");
		view->count++;
		return true;
	}
	*view = (struct sim_view){ .shm = shm,
				   .root = handle->root,
				   .offset = handle->offset,
				   .size = handle->size,
				   .device = op->device,
				   .count = 1 };
	view->attached = sim_device_view(world->devices[op->device], handle->shm);
	if (mode == METAL_SHM_VIEW_SHADOW)
		handle->root->model->shadows |= UINT32_C(1) << (view - world->views);
	world->outcome.tally.windows += mode == METAL_SHM_VIEW_WINDOW;
	if (metal_shm_view_mode(shm) != (int)mode)
		sim_world_wrong(world, "the view's mode is %d, not %d", metal_shm_view_mode(shm),
				(int)mode);
	handle->root->users++;
	return true;
}

/* With neither attachments nor work it ends. */
static void view_put(struct sim_world *world, unsigned index)
{
	struct sim_view *view = &world->views[index];

	if (view->count || view->pending)
		return;
	sim_model_drop(view->root->model, index);
	root_put(view->root);
	*view = (struct sim_view){ 0 };
}

static bool do_detach(struct sim_world *world, const struct sim_op *op)
{
	struct sim_view *view = &world->views[op->view];

	if (!view->count)
		return false;
	metal_shm_detach(view->shm, world->devices[view->device]->dev);
	view->count--;
	view_put(world, op->view);
	return true;
}

static int hand_over(struct sim_world *world, const struct sim_op *op)
{
	struct metal_generic_shm *shm = world->handles[op->handle].shm;
	struct metal_device *dev = world->devices[op->device]->dev;

	if (op->kind == SIM_QUEUE)
		return metal_shm_hold(shm, dev, (enum metal_shm_dir)op->dir, 0);
	return metal_shm_sync_for_device_timeout(shm, dev, (enum metal_shm_dir)op->dir, 0);
}

static bool do_to_device(struct sim_world *world, const struct sim_op *op)
{
	const struct sim_handle *handle = &world->handles[op->handle];
	const enum metal_shm_dir dir = (enum metal_shm_dir)op->dir;
	const struct sim_root *root = handle->root;
	unsigned index;
	int error, must_be = 0;

	if (!handle->shm)
		return false;
	index = sim_world_view(world, handle, op->device);
	if (sim_world_disagrees(world, handle, op->device, index))
		return false;
	if (sim_model_waits(root->model, handle->offset, handle->size,
			    sim_world_pending(world, root, op->device), dir))
		must_be = -ETIMEDOUT;
	else if (index == SIM_VIEWS)
		must_be = -ENOTCONN;
	error = hand_over(world, op);
	if (passes(world, "the hand-over to a device", error, must_be, handle,
		   dir & METAL_SHM_DIR_DEV_R) &&
	    !error) {
		sim_model_give(root->model, handle->offset, handle->size, index, dir,
			       sim_world_pending(world, root, SIM_DEVICES));
		world->views[index].pending += op->kind == SIM_QUEUE;
		world->views[index].done = false;
	}
	return true;
}

static bool do_complete(struct sim_world *world, const struct sim_op *op)
{
	struct sim_view *view = &world->views[op->view];

	if (!view->pending)
		return false;
	answers(world, "metal_shm_unhold",
		metal_shm_unhold(view->shm, world->devices[view->device]->dev,
				 op->kind == SIM_FAIL ? -EIO : 0),
		0);
	if (op->kind == SIM_FAIL)
		sim_model_fail(view->root->model, view->offset, view->size);
	view->done = !--view->pending;
	view_put(world, op->view);
	return true;
}

static bool do_device_write(struct sim_world *world, const struct sim_op *op)
{
	const struct sim_view *view = &world->views[op->view];
	size_t n, at = view->offset + op->offset, end = view->offset + cut(op, view->size);
	bool any = false;

	if (!view->shm || view->done)
		return false;
	for (; (n = sim_model_writable(view->root->model, op->view, &at, end)) != 0; at += n) {
		unsigned char bytes[SIM_MOST_BYTES];

		for (size_t i = 0; i < n; i++)
			bytes[i] = byte_of(op->value, at + i);
		sim_model_write(view->root->model, at, bytes, n);
		sim_device_write(view->attached, at - view->offset, bytes, n);
		any = true;
	}
	return any;
}

static bool do_to_cpu(struct sim_world *world, const struct sim_op *op)
{
	const struct sim_handle *handle = &world->handles[op->handle];
	const enum metal_shm_dir dir = (enum metal_shm_dir)op->dir;
	const struct sim_root *root = handle->root;
	uint32_t at_work;
	int must_be;

	if (!handle->shm)
		return false;
	at_work = sim_world_pending(world, root, SIM_DEVICES);
	must_be = sim_model_may_take(root->model, handle->offset, handle->size, dir, at_work);
	if (passes(world, "metal_shm_sync_for_cpu",
		   metal_shm_sync_for_cpu_timeout(handle->shm, dir, 0), must_be, handle, true))
		sim_model_take(root->model, handle->offset, handle->size, dir);
	return true;
}

static bool do_settle(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];

	if (!handle->shm)
		return false;
	answers(world, "metal_shm_settle", metal_shm_settle(handle->shm), 0);
	return true;
}

/* The child may free and nothing else, and what it does changes nothing here. */
static bool do_fork(struct sim_world *world, const struct sim_op *op)
{
	struct sim_handle *handle = &world->handles[op->handle];
	int status = 0;
	pid_t child;

	if (!handle->shm)
		return false;
	child = fork();
	if (!child) {
		bool refused = metal_shm_sync_for_cpu(handle->shm, METAL_SHM_DIR_DEV_RW) == -EPERM;

		world->machine->forked = true;
		metal_shm_free(handle->shm, NULL);
		_exit(refused ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		sim_world_wrong(world, "the forked child ends with 0x%x", status);
	return true;
}

bool sim_world_operate(struct sim_world *world, const struct sim_op *op)
{
	static bool (*const operations[])(struct sim_world *, const struct sim_op *) = {
		[SIM_ALLOCATE] = do_allocate,
		[SIM_SUB] = do_sub,
		[SIM_FREE] = do_free,
		[SIM_MAP] = do_map,
		[SIM_UNMAP] = do_unmap,
		[SIM_CPU_WRITE] = do_cpu_write,
		[SIM_ATTACH] = do_attach,
		[SIM_DETACH] = do_detach,
		[SIM_TO_DEVICE] = do_to_device,
		[SIM_QUEUE] = do_to_device,
		[SIM_COMPLETE] = do_complete,
		[SIM_FAIL] = do_complete,
		[SIM_DEVICE_WRITE] = do_device_write,
		[SIM_TO_CPU] = do_to_cpu,
		[SIM_SETTLE] = do_settle,
		[SIM_FORK] = do_fork,
	};

	return operations[op->kind](world, op);
}
