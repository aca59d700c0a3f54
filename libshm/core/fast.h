/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every frame does several times, inline: checks, counters, look-ups. Included by core.h;
 * tests/bench/overhead counts the instructions.
 */
#ifndef SHM_FAST_H
#define SHM_FAST_H

static inline int shm__enter(void)
{
	return shm__os_forked() ? shm__refuse_fork() : 0;
}

static inline int shm__device_check(const struct metal_device *dev)
{
	int error = shm__enter();

	if (!error &&
	    (!dev || atomic_load_explicit(&dev->tag, memory_order_relaxed) != SHM__DEVICE_TAG))
		error = shm__not_a_device();
	return error;
}

static inline int shm__handle_alive(const struct metal_generic_shm *shm)
{
	int error = shm__enter();

	if (!error &&
	    (!shm || atomic_load_explicit(&shm->tag, memory_order_relaxed) != SHM__HANDLE_TAG))
		error = shm__not_a_handle();
	return error;
}

/* For the program: what it freed is gone for it, even if a device still needs the record. */
static inline int shm__handle_check(const struct metal_generic_shm *shm)
{
	int error = shm__handle_alive(shm);

	if (!error && !atomic_load_explicit(&shm->refs, memory_order_relaxed))
		error = shm__freed_handle();
	return error;
}

/* Both at once, with nothing to call where they are; else shm__not_alive() says what is wrong. */
static inline bool shm__alive(const struct metal_generic_shm *shm, const struct metal_device *dev)
{
	return !shm__os_forked() && shm && dev &&
	       atomic_load_explicit(&shm->tag, memory_order_relaxed) == SHM__HANDLE_TAG &&
	       atomic_load_explicit(&dev->tag, memory_order_relaxed) == SHM__DEVICE_TAG;
}

static inline void shm__count(struct shm__root *root, struct metal_device *dev,
			      enum shm__counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&shm__process.value[counter], n, memory_order_relaxed);
	if (root)
		atomic_fetch_add_explicit(&root->counters.value[counter], n, memory_order_relaxed);
	if (dev)
		atomic_fetch_add_explicit(&dev->counters.value[counter], n, memory_order_relaxed);
}

/*
 * What each hand-over counts, SHM__HANDOVERS and SHM__ELIDED: in the memory and in the device's slot, under
 * the memory's lock, so without a locked instruction. stats.c sums up what the process and devices have.
 */
static inline void shm__count_one(_Atomic uint64_t *value)
{
	uint64_t before = atomic_load_explicit(value, memory_order_relaxed);

	atomic_store_explicit(value, before + 1, memory_order_relaxed);
}

/* How often bytes of the memory changed hands. */
static inline uint64_t shm__handovers(const struct shm__root *root)
{
	return atomic_load_explicit(&root->counters.value[SHM__HANDOVERS], memory_order_relaxed);
}

static inline int shm__view_order(const struct metal_generic_shm *view, size_t offset, size_t size,
				  const struct metal_device *dev)
{
	/* first what differs among the views of a frame */
	if (view->dev != dev)
		return (uintptr_t)view->dev < (uintptr_t)dev ? -1 : 1;
	if (view->offset != offset)
		return view->offset < offset ? -1 : 1;
	return (view->size > size) - (view->size < size);
}

/* Under the memory's lock. A view that only waits for its last work is found, and can be attached again. */
static inline struct metal_generic_shm *shm__view_find(struct shm__root *root, size_t offset,
						       size_t size, const struct metal_device *dev)
{
	struct metal_generic_shm *view = root->recent;

	if (view && view->dev == dev && view->offset == offset && view->size == size)
		return view;
	view = RB_ROOT(&root->views);
	while (view) {
		int order = shm__view_order(view, offset, size, dev);

		if (!order)
			return root->recent = view;
		view = order > 0 ? RB_LEFT(view, node) : RB_RIGHT(view, node);
	}
	return NULL;
}

/* Under the memory's lock, mapped: the bytes for the library itself, whoever has them. */
static inline char *shm__bytes(const struct shm__root *root)
{
	return root->guard ? shm__guard_bytes(root) : root->address;
}

/* Who works by the CPU's caches: the CPU, and hardware that sees what is in them. */
static inline bool shm__is_cpu(unsigned taker)
{
	return taker == SHM__PROGRAM || taker == METAL_SHM_ACCESS_CPU_KERNEL ||
	       taker == METAL_SHM_ACCESS_CPU_USER || taker == METAL_SHM_ACCESS_DMA_COHERENT;
}

/* The CPU wrote, or may: SHM__CPU_DIRTY, SHM__WRITTEN. */
static inline void shm__cpu_writes(struct shm__root *root, struct shm__range *range, unsigned how)
{
	range->flags |= how;
	root->cpu_dirty = true;
}

/* For shadows, which are stale then. */
static inline void shm__note_change(struct shm__root *root, struct shm__range *range)
{
	range->changed = root->shadows ? root->changes : 0;
	if (!root->shadows)
		return;
	if (root->changed_start >= root->changed_end) {
		root->changed_start = range->start;
		root->changed_end = range->end;
	} else {
		if (range->start < root->changed_start)
			root->changed_start = range->start;
		if (range->end > root->changed_end)
			root->changed_end = range->end;
	}
}

/* What a writer of this kind leaves behind. */
static inline unsigned shm__dirt_of(enum metal_shm_access access)
{
	return shm__is_cpu(access) ? SHM__CPU_DIRTY : SHM__DEV_DIRTY;
}

static inline bool shm__uses_dma(enum metal_shm_access access)
{
	return shm__dirt_of(access) & SHM__DEV_DIRTY;
}

static inline void shm__soil(struct shm__root *root, struct shm__range *range,
			     enum metal_shm_access access)
{
	if (shm__is_cpu(access))
		shm__cpu_writes(root, range, SHM__CPU_DIRTY);
	else
		range->flags |= SHM__DEV_DIRTY;
}

static inline int shm__elided(struct shm__root *root)
{
	shm__count_one(&root->counters.value[SHM__ELIDED]);
	return 0;
}

/* The program's own writes can't be seen: it could, where it owned the bytes and had them mapped. */
static inline bool shm__may_be_written(const struct shm__root *root, const struct shm__range *range)
{
	unsigned flags = range->flags;

	if (!(flags & SHM__OWNED) || (flags & SHM__DEV_DIRTY))
		return false;
	return (flags & SHM__WRITTEN) ||
	       ((root->unusual & SHM__SHARED) && !(flags & SHM__REPORTED));
}

static inline bool shm__cpu_dirty(const struct shm__root *root, const struct shm__range *range)
{
	return (range->flags & SHM__CPU_DIRTY) || shm__may_be_written(root, range);
}

/*
 * What shm__decide() answers to most, without it: a CPU needs nothing where no device wrote past the cache
 * anywhere in the memory, a DMA device nothing where no CPU wrote what it takes. Not where it is paranoid.
 */
static inline bool shm__needs_nothing(unsigned taker, bool cpu_wrote, bool device_wrote)
{
	return shm__is_cpu(taker) ? !device_wrote : taker == METAL_SHM_ACCESS_DMA && !cpu_wrote;
}

/*
 * The operations that make the bytes [start, end) right for who takes them: nothing, some ranges, or
 * all. The ranges begin and end there.
 */
static inline int shm__prepare(struct shm__root *root, size_t start, size_t end, unsigned taker,
			       enum metal_shm_dir dir)
{
	bool cpu_wrote = !shm__is_cpu(taker) && (root->ranges.count != 1 ||
						 shm__cpu_dirty(root, RB_ROOT(&root->ranges.tree)));

	if (!atomic_load_explicit(&shm__paranoid, memory_order_relaxed) &&
	    shm__needs_nothing(taker, cpu_wrote, root->device_dirty))
		return shm__elided(root);
	return shm__prepare_dirty(root, start, end, taker, dir);
}

/* All of a memory, in one state, without work, failures or shadows: what a frame's short ways are for. */
static inline bool shm__is_simple(const struct shm__root *root, const struct metal_generic_shm *shm)
{
	return SHM__SHORT_WAYS && !(root->pending | root->unusual) && root->ranges.count == 1 &&
	       shm->size == root->size && RB_ROOT(&root->ranges.tree)->holders <= 1;
}

/* There is nearly always nothing to wait for. */
static inline bool shm__may_wait(const struct shm__root *root)
{
	return root->pending | root->unusual;
}

/* Under the memory's lock. True once for each time that it becomes idle. */
static inline bool shm__becomes_idle(struct shm__root *root)
{
	if (!root->pool || root->idle || !root->buffer || atomic_load(&root->buffer->refs) ||
	    root->buffer->parts || root->pending)
		return false;
	root->idle = true;
	return true;
}

#endif
