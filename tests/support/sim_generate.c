/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences at random. The world is looked at, so that most of what is chosen makes sense in it. */
#include "sim_generate.h"

/* Few, so that much is done to each. */
#define MOST_ROOTS 2u

/* How often each is chosen, in a thousand or so. */
static const unsigned weights[SIM_OP_KINDS] = {
	[SIM_ALLOCATE] = 25,      [SIM_SUB] = SIM_PARTS ? 40 : 0,
	[SIM_FREE] = 15,          [SIM_MAP] = 40,
	[SIM_UNMAP] = 12,         [SIM_CPU_WRITE] = 300,
	[SIM_ATTACH] = 70,        [SIM_DETACH] = 30,
	[SIM_TO_DEVICE] = 120,    [SIM_QUEUE] = 30,
	[SIM_COMPLETE] = 50,      [SIM_FAIL] = 10,
	[SIM_DEVICE_WRITE] = 260, [SIM_TO_CPU] = 90,
	[SIM_SETTLE] = 10,        [SIM_FORK] = 1,
};

static enum sim_op_kind choose_kind(struct sim_rng *rng)
{
	unsigned kind, sum = 0, at;

	for (kind = 0; kind < SIM_OP_KINDS; kind++)
		sum += weights[kind];
	at = sim_random(rng, sum);
	for (kind = 0; at >= weights[kind]; kind++)
		at -= weights[kind];
	return (enum sim_op_kind)kind;
}

/* Few large ones, since whatever is done to a buffer is compared byte by byte. */
static size_t choose_size(struct sim_rng *rng, unsigned source)
{
	/* of which a part can have pages for itself */
	if (source == SIM_WINDOWED && sim_random(rng, 4))
		return SIM_PAGE + 1 + sim_random(rng, 3 * SIM_PAGE);
	switch (sim_random(rng, 16)) {
	case 0:
		return 1 + sim_random(rng, 4);
	case 1:
		return (1 + sim_random(rng, 3)) * (size_t)SIM_PAGE;
	case 2:
		return 1 + sim_random(rng, 3 * SIM_PAGE);
	default:
		return 1 + sim_random(rng, 700);
	}
}

/* A range of so many bytes: mostly odd, now and then of lines, or all; where there are pages, of these. */
static void choose_range(struct sim_rng *rng, size_t size, struct sim_op *op)
{
	const unsigned units[] = { 1, 1, 1, 1, SIM_LINE, SIM_LINE, SIM_PAGE, (unsigned)size };
	size_t unit = size > SIM_PAGE && sim_random(rng, 4) ? SIM_PAGE : units[sim_random(rng, 8)];

	if (unit > size || !size)
		unit = 1;
	op->offset = sim_random(rng, (unsigned)((size + unit - 1) / unit)) * unit;
	op->size = size > op->offset ? size - op->offset : 1;
	if (sim_random(rng, 4))
		op->size = (1 + sim_random(rng, (unsigned)((op->size + unit - 1) / unit))) * unit;
	if (op->size > size - op->offset)
		op->size = size - op->offset;
}

/* A handle of a view's range, to hand over to its device. */
static void choose_attached(const struct sim_world *world, struct sim_rng *rng, struct sim_op *op)
{
	const struct sim_view *view = &world->views[op->view];
	const unsigned first = sim_random(rng, SIM_HANDLES);

	for (unsigned i = 0; i < SIM_HANDLES && view->count; i++) {
		const struct sim_handle *handle = &world->handles[(first + i) % SIM_HANDLES];

		if (handle->shm && handle->root == view->root && handle->offset == view->offset &&
		    handle->size == view->size) {
			op->handle = (first + i) % SIM_HANDLES;
			op->device = view->device;
			return;
		}
	}
}

static struct sim_op choose(const struct sim_world *world, struct sim_rng *rng)
{
	struct sim_op op = { .kind = choose_kind(rng) };

	op.handle = sim_random(rng, SIM_HANDLES);
	op.of = sim_random(rng, SIM_HANDLES);
	/* parts of a part soon are small */
	if (world->handles[op.of].size <= SIM_PAGE)
		op.of = sim_random(rng, SIM_HANDLES);
	op.view = sim_random(rng, SIM_VIEWS);
	op.device = sim_random(rng, SIM_DEVICES);
	op.source = sim_random(rng, SIM_KINDS + 1);
	if (op.source == SIM_KINDS)
		op.source = SIM_WINDOWED;
	op.dir = 1 + sim_random(rng, 3);
	if (op.kind == SIM_TO_DEVICE || op.kind == SIM_QUEUE)
		choose_attached(world, rng, &op);
	if (op.kind == SIM_ALLOCATE)
		op.size = choose_size(rng, op.source);
	else if (op.kind == SIM_SUB)
		choose_range(rng, world->handles[op.of].size, &op);
	else if (op.kind == SIM_DEVICE_WRITE)
		choose_range(rng, world->views[op.view].size, &op);
	else
		choose_range(rng, world->handles[op.handle].size, &op);
	if (op.kind == SIM_MAP && sim_random(rng, 4))
		op.dir |= METAL_SHM_WRITE;
	if (op.kind == SIM_TO_CPU && sim_random(rng, 2))
		op.dir = METAL_SHM_DIR_DEV_RW;
	return op;
}

static unsigned count_roots(const struct sim_world *world)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SIM_HANDLES; i++)
		n += world->handles[i].shm && !world->handles[i].offset;
	return n;
}

static bool can_write(const struct sim_root *root, unsigned view, size_t offset, size_t size)
{
	return sim_model_writable(root->model, view, &offset, offset + size) != 0;
}

/* Whether it does something in this world, as far as that is easily seen. */
static bool does_something(const struct sim_world *world, const struct sim_op *op)
{
	const struct sim_handle *handle = &world->handles[op->handle];
	const struct sim_view *view = &world->views[op->view];

	switch (op->kind) {
	case SIM_ALLOCATE:
		return !handle->shm && count_roots(world) < MOST_ROOTS;
	case SIM_SUB:
		return !handle->shm && world->handles[op->of].shm;
	case SIM_DETACH:
		return view->count;
	case SIM_COMPLETE:
	case SIM_FAIL:
		return view->pending;
	case SIM_MAP:
		return handle->shm && !handle->prot;
	case SIM_UNMAP:
		return handle->prot;
	case SIM_CPU_WRITE:
		return handle->prot & METAL_SHM_WRITE &&
		       can_write(handle->root, SIM_VIEWS, handle->offset + op->offset, op->size);
	case SIM_DEVICE_WRITE:
		return view->shm && !view->done &&
		       can_write(view->root, op->view, view->offset + op->offset, op->size);
	case SIM_TO_DEVICE:
	case SIM_QUEUE:
		return handle->shm && sim_world_view(world, handle, op->device) != SIM_VIEWS;
	default:
		return handle->shm;
	}
}

struct sim_op sim_generate(const struct sim_world *world, struct sim_rng *rng)
{
	struct sim_op op = choose(world, rng);

	/* now and then it stays nonsense, which must be refused or do nothing */
	while (!does_something(world, &op) && sim_random(rng, 400))
		op = choose(world, rng);
	op.steps = sim_random(rng, 2) ? sim_random(rng, 8) : 0;
	op.value = sim_random(rng, 1u << 31);
	return op;
}
