/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of the process, of each memory and of each device, and the story of a buffer. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core.h"

struct shm__counters shm__process;

/* A leaf of the order of locks. */
static shm__mutex sum_lock = SHM__MUTEX_INITIALISER;
static struct shm__root *summed;

_Static_assert(sizeof(struct metal_shm_stats) == 8 + SHM__COUNTERS * sizeof(uint64_t),
	       "enum shm__counter follows struct metal_shm_stats");

void shm__count_back(enum shm__counter counter, uint64_t n)
{
	atomic_fetch_sub_explicit(&shm__process.value[counter], n, memory_order_relaxed);
}

static uint64_t read_one(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void move(_Atomic uint64_t *from, _Atomic uint64_t *to)
{
	atomic_fetch_add_explicit(to, read_one(from), memory_order_relaxed);
	atomic_store_explicit(from, 0, memory_order_relaxed);
}

void shm__sum_root(struct shm__root *root)
{
	shm__mutex_lock(&sum_lock);
	root->summed_next = summed;
	root->summed_at = &summed;
	if (summed)
		summed->summed_at = &root->summed_next;
	summed = root;
	shm__mutex_unlock(&sum_lock);
}

/* With its last user, so that it counts no more of these. */
void shm__retire_root(struct shm__root *root)
{
	uint64_t elided = read_one(&root->counters.value[SHM__ELIDED]);

	shm__mutex_lock(&sum_lock);
	*root->summed_at = root->summed_next;
	if (root->summed_next)
		root->summed_next->summed_at = root->summed_at;
	shm__count(NULL, root->src, SHM__ELIDED, elided);
	move(&root->counters.value[SHM__HANDOVERS], &shm__process.value[SHM__HANDOVERS]);
	shm__mutex_unlock(&sum_lock);
}

/* Under the memory's lock. */
void shm__sum_slot(struct shm__slot *slot, struct metal_device *dev)
{
	shm__mutex_lock(&sum_lock);
	slot->dev = dev;
	slot->start = SIZE_MAX;
	slot->end = 0;
	shm__mutex_unlock(&sum_lock);
}

/* Likewise. */
void shm__retire_slot(struct shm__slot *slot)
{
	shm__mutex_lock(&sum_lock);
	move(&slot->handovers, &slot->dev->counters.value[SHM__HANDOVERS]);
	slot->dev = NULL;
	shm__mutex_unlock(&sum_lock);
}

/* What ended is in the device's counters. */
static void sum_device(const struct metal_device *dev, uint64_t values[static SHM__COUNTERS])
{
	for (const struct shm__root *root = summed; root; root = root->summed_next) {
		if (root->src == dev)
			values[SHM__ELIDED] += read_one(&root->counters.value[SHM__ELIDED]);
		for (unsigned i = 0; i < SHM__MAX_DEVICES; i++)
			if (root->slots[i].dev == dev)
				values[SHM__HANDOVERS] += read_one(&root->slots[i].handovers);
	}
}

static void sum_process(uint64_t values[static SHM__COUNTERS])
{
	for (const struct shm__root *root = summed; root; root = root->summed_next) {
		values[SHM__ELIDED] += read_one(&root->counters.value[SHM__ELIDED]);
		values[SHM__HANDOVERS] += read_one(&root->counters.value[SHM__HANDOVERS]);
	}
}

/* One total: nothing ends while it is summed up, so it is never less than one before. */
static int fill(const struct shm__counters *counters, const struct metal_device *dev,
		struct metal_shm_stats *ret)
{
	struct metal_shm_stats stats = { 0 };
	uint64_t values[SHM__COUNTERS];
	uint32_t size = ret->struct_size;

	if (size < offsetof(struct metal_shm_stats, buffers_live))
		return shm__error(EINVAL, "metal_shm_stats: struct_size is not set");
	shm__mutex_lock(&sum_lock);
	for (int i = 0; i < SHM__COUNTERS; i++)
		values[i] = read_one(&counters->value[i]);
	if (dev)
		sum_device(dev, values);
	else if (counters == &shm__process)
		sum_process(values);
	shm__mutex_unlock(&sum_lock);
	memcpy(&stats.buffers_live, values, sizeof(values));
	stats.struct_size = size;
	memcpy(ret, &stats, size < sizeof(stats) ? size : sizeof(stats));
	return 0;
}

int metal_shm_stats(struct metal_shm_stats *ret)
{
	int error = shm__enter();

	if (error)
		return error;
	if (!ret)
		return shm__error(EINVAL, "metal_shm_stats: ret is NULL");
	return fill(&shm__process, NULL, ret);
}

int metal_shm_buffer_stats(const struct metal_generic_shm *shm, struct metal_shm_stats *ret)
{
	int error = shm__handle_check(shm);

	if (error)
		return error;
	if (!ret)
		return shm__error(EINVAL, "metal_shm_buffer_stats: ret is NULL");
	return fill(&shm->root->counters, NULL, ret);
}

int metal_shm_device_stats(const struct metal_device *dev, struct metal_shm_stats *ret)
{
	int error = shm__device_check(dev);

	if (error)
		return error;
	if (!ret)
		return shm__error(EINVAL, "metal_shm_device_stats: ret is NULL");
	return fill(&dev->counters, dev, ret);
}

void metal_shm_count_copied(struct metal_generic_shm *shm, struct metal_device *dev, uint64_t bytes)
{
	if (shm__handle_alive(shm) || shm__device_check(dev)) {
		shm__misuse("metal_shm_count_copied", "not a handle or not a device");
		return;
	}
	shm__count(shm->root, dev, SHM__BYTES_COPIED, bytes);
	shm__trace(shm->root, dev, SHM__TRACE_COPIED, shm->offset, bytes, 0);
}

/* Append like snprintf: the length grows past the end, the text doesn't. */
static void __attribute__((format(printf, 4, 5)))
append(char *text, size_t size, int *length, const char *format, ...)
{
	size_t at = (size_t)*length < size ? (size_t)*length : size;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(size ? text + at : NULL, size - at, format, arguments);
	va_end(arguments);
	if (n > 0)
		*length += n;
}

static const char *dir_name(enum metal_shm_dir dir)
{
	static const char *const names[] = { "nothing", "reads", "writes", "reads and writes" };

	return names[dir & 3];
}

/* Under the memory's lock. */
static const char *state_of(const struct metal_generic_shm *view)
{
	SHM__EACH_RANGE(range, &view->root->ranges, view->offset, view->offset + view->size) {
		const struct shm__holder *holder = shm__range_holder(range, view->slot);

		if (holder)
			return holder->pending ? dir_name((enum metal_shm_dir)holder->dir)
					       : "has it, idle";
	}
	return "not its turn";
}

static const char *mode_of(const struct metal_generic_shm *view)
{
	if (view->window)
		return ", by a window: it ";
	return view->shadow ? ", by a copy: it " : "";
}

int metal_shm_explain(const struct metal_generic_shm *shm, char *text, size_t size)
{
	int error = shm__handle_check(shm), length = 0;
	struct metal_generic_shm *view;
	struct shm__root *root;

	if (error)
		return error;
	if (size && !text)
		return shm__error(EINVAL, "metal_shm_explain: text is NULL");
	root = shm->root;
	if (size)
		text[0] = '\0';
	shm__mutex_lock(&root->lock);
	append(text, size, &length, "memory: %s\n", root->src->name);
	if (root->origin)
		append(text, size, &length, "%s", root->origin);
	RB_FOREACH(view, shm__view_tree, &root->views)
		append(text, size, &length, "attached: %s, %s%s%s\n", view->dev->name,
		       state_of(view), mode_of(view), mode_of(view)[0] ? view->why : "");
	shm__mutex_unlock(&root->lock);
	return length;
}
