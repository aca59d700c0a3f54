/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may touch a memory's bytes, range by range. A device holds a range with work queued (pending),
 * or idle: its work is done and the bytes stay its until the next hand-over. What nobody holds is the
 * program's.
 */
#include "core.h"

/* What the last holder left behind goes to one next owner, who then knows. */
int shm__report_failure(struct shm__root *root, size_t start, size_t end)
{
	int failed = 0;

	if (!(root->unusual & SHM__FAILED))
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (range->failed)
			failed = range->failed;
	if (!failed)
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		range->failed = 0;
	if (end - start == root->size)
		root->unusual &= ~SHM__FAILED;
	return shm__error(-failed, "%s failed; the bytes are undefined", root->failed_by);
}

/*
 * CPU and a DMA writer in one line of the cache: the CPU's later write-back of the line would land on
 * the device's bytes. Looked for only in the lines that the range's ends share with others. Where syncs
 * act on more than a line, on a window's pages, it is the same with these.
 */
static int check_line(struct shm__root *root, size_t start, size_t end, bool dma)
{
	if (start >= end)
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		if (dma && (range->flags & (SHM__OWNED | SHM__CPU_DIRTY)))
			return shm__error(EBUSY, "bytes %zu to %zu share a %s with the device's",
					  start, end,
					  root->src->ops->window ? "page" : "line of the cache");
		if (!dma && shm__busy_writer(range))
			return shm__error_held(root, range, EBUSY,
					       root->src->ops->window
						       ? "in one page "
						       : "in one line of the cache ");
	}
	return 0;
}

int shm__check_granule(struct shm__root *root, size_t start, size_t end, unsigned taker,
		       enum metal_shm_dir dir)
{
	size_t line = shm__os_cache_line(), last = root->size;
	bool dma = taker == METAL_SHM_ACCESS_DMA || taker == METAL_SHM_ACCESS_UNKNOWN;
	int error;

	if (line < root->granule)
		line = root->granule;
	if (root->ranges.count == 1 || shm__is_coherent(root) ||
	    (dma && !(dir & METAL_SHM_DIR_DEV_W)))
		return 0;
	if (end % line && root->size - end > line - end % line)
		last = end + (line - end % line);
	error = check_line(root, start - start % line, start, dma);
	if (!error && end % line)
		error = check_line(root, end, last, dma);
	return error;
}

/* Make one of equal neighbours, in the granules beside the range too. */
void shm__join(struct shm__root *root, size_t start, size_t end)
{
	size_t granule = root->granule;

	if (root->ranges.count == 1)
		return;
	shm__ranges_join(&root->ranges, start > granule ? start - granule : 0,
			 root->size - end > granule ? end + granule : root->size);
}

/* Bring back what is newest in shadows but one, by the CPU. */
int shm__fetch(struct shm__root *root, size_t start, size_t end,
	       const struct metal_generic_shm *but)
{
	int error;

	if (!shm__in_shadows(root, start, end, but))
		return 0;
	error = shm__check_granule(root, start, end, METAL_SHM_ACCESS_CPU_USER,
				   METAL_SHM_DIR_DEV_RW);
	if (!error)
		error = shm__prepare(root, start, end, METAL_SHM_ACCESS_CPU_USER,
				     METAL_SHM_DIR_DEV_RW);
	return error ? error : shm__shadows_home(root, start, end, but);
}

static struct metal_generic_shm *find_holder(struct shm__root *root, size_t offset, size_t size,
					     const struct metal_device *dev)
{
	struct metal_generic_shm *view = shm__view_find(root, offset, size, dev);

	if (view && view->pending)
		return view;
	if (!root->pending)
		return NULL;
	RB_FOREACH(view, shm__view_tree, &root->views)
		if (view->dev == dev && view->pending)
			return view;
	return NULL;
}

static inline struct shm__holder *holder_of(struct shm__range *range, unsigned slot)
{
	struct shm__holder *holder = &range->holder[0];

	while (holder->slot != slot)
		holder++;
	return holder;
}

static inline void end_one_work(struct shm__range *range, unsigned slot, int error)
{
	struct shm__holder *holder = holder_of(range, slot);

	if (error)
		range->failed = error;
	if (!--holder->pending)
		holder->dir &= ~SHM__BUSY;
}

/* One work less; the last one leaves the bytes with the device, idle. */
static inline void end_work(struct shm__root *root, struct metal_generic_shm *view, int error)
{
	size_t start = view->offset, end = start + view->size;

	if (root->ranges.count == 1) {
		end_one_work(RB_ROOT(&root->ranges.tree), view->slot, error);
	} else {
		SHM__EACH_RANGE(range, &root->ranges, start, end)
			end_one_work(range, view->slot, error);
		shm__ranges_join(&root->ranges, start, end);
	}
	if (error) {
		root->unusual |= SHM__FAILED;
		shm__set_name(root->failed_by, sizeof(root->failed_by), view->dev->name);
	}
}

/* The records say so already. Ends with the memory's lock. */
static inline void work_ended(struct shm__root *root, struct metal_generic_shm *view, int error)
{
	bool idle = false, end = false;

	atomic_fetch_sub(&view->dev->pending, 1);
	root->pending--;
	view->pending--;
	shm__trace(root, view->dev, view->pending ? SHM__TRACE_PART_DONE : SHM__TRACE_DONE,
		   view->offset, view->size, error);
	if (!view->pending) {
		if (root->waiters)
			shm__wake_all(root->waiters);
		end = !atomic_load(&view->refs) && shm__view_end_locked(view);
		idle = shm__becomes_idle(root);
	}
	shm__mutex_unlock(&root->lock);
	if (end)
		shm__attach_unlock(root);
	if (idle)
		shm__pool_return(root);
}

int metal_shm_unhold(struct metal_generic_shm *shm, struct metal_device *dev, int error)
{
	struct metal_generic_shm *view;
	struct shm__root *root;

	if (!shm__alive(shm, dev))
		return shm__not_alive(shm, dev);
	root = shm->root;
	shm__mutex_lock(&root->lock);
	view = find_holder(root, shm->offset, shm->size, dev);
	if (!view) {
		shm__mutex_unlock(&root->lock);
		return shm__error(EINVAL, "%s doesn't hold the buffer", dev->name);
	}
	end_work(root, view, error);
	work_ended(root, view, error);
	return 0;
}

static inline void become_the_programs(struct shm__root *root, struct shm__range *range)
{
	if (range->flags & SHM__OWNED)
		return;
	/* coherent memory was never read in, and what comes now is the program's */
	range->flags &= ~(SHM__DEV_DIRTY | SHM__AS_IT_WAS);
	range->flags |= SHM__OWNED;
	if (range->mapped)
		shm__cpu_writes(root, range, SHM__WRITTEN);
	if (root->guard)
		shm__guard_remember(root, range->start, range->end);
}

/*
 * A device refused what it was just handed, and did nothing with it. The program has what it had before; what
 * others had idle is nobody's. What the hand-over added to the device's queued work can't be told from what
 * others add at the same time: then it stays.
 */
void shm__not_taken(struct metal_generic_shm *view, uint64_t handovers)
{
	struct shm__root *root = view->root;
	size_t start = view->offset, end = start + view->size;
	bool last;

	shm__mutex_lock(&root->lock);
	last = handovers == shm__handovers(root);
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		struct shm__holder *holder = holder_of(range, view->slot);

		holder->dir &= last ? ~SHM__ADDED_OF(range) : ~0u;
		if (--holder->pending)
			continue;
		shm__range_drop_holder(range, holder);
		if (range->flags & SHM__LENT) {
			range->newest = NULL;
			become_the_programs(root, range);
		}
	}
	shm__join(root, start, end);
	if (root->guard)
		shm__guard_update(root, start, end);
	work_ended(root, view, 0);
}

/* The program takes over: the accesses named end, a holder with none left holds no more. */
static void end_accesses(struct shm__root *root, size_t start, size_t end, enum metal_shm_dir dir)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		for (unsigned i = range->holders; i-- > 0;) {
			struct shm__holder *holder = &range->holder[i];

			if (holder->pending)
				continue;
			holder->dir &= ~(unsigned)dir;
			if (!(holder->dir & METAL_SHM_DIR_DEV_RW))
				shm__range_drop_holder(range, holder);
		}
		if (range->holders)
			continue;
		become_the_programs(root, range);
	}
}

/* Nothing to take back: no holder, no failure, nothing to read in or to copy. */
static bool is_the_programs(struct shm__root *root, size_t start, size_t end)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (!(range->flags & SHM__OWNED) || (range->flags & SHM__DEV_DIRTY) ||
		    range->holders || range->failed || range->newest)
			return false;
	return true;
}

static int check_writers(struct shm__root *root, size_t start, size_t end, enum metal_shm_dir dir)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		for (unsigned i = 0; i < range->holders; i++)
			if (range->holder[i].dir & ~(unsigned)dir & METAL_SHM_DIR_DEV_W)
				return shm__error(EINVAL, "%s keeps writing",
						  root->slots[range->holder[i].slot].dev->name);
	return 0;
}

/* A frame's way back: from one holder at most, who keeps no write; not what is the program's already. */
static inline bool gives_back(const struct shm__root *root, const struct metal_generic_shm *shm,
			      enum metal_shm_dir dir)
{
	const struct shm__range *all = RB_ROOT(&root->ranges.tree);

	if (!shm__is_simple(root, shm))
		return false;
	if (!all->holders)
		return !(all->flags & SHM__OWNED) || (all->flags & SHM__DEV_DIRTY);
	return !(all->holder[0].dir & ~(unsigned)dir & METAL_SHM_DIR_DEV_W);
}

static inline void note_taken(const struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	shm__count_one(&shm->root->counters.value[SHM__HANDOVERS]);
	shm__trace(shm->root, NULL, SHM__TRACE_TAKEN, shm->offset, shm->size, dir);
}

SHM__FLAT int take_all(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	struct shm__root *root = shm->root;
	struct shm__range *all = RB_ROOT(&root->ranges.tree);
	int error = shm__prepare(root, 0, root->size, SHM__PROGRAM, dir);

	if (error)
		return error;
	all->holder[0].dir &= ~(unsigned)dir;
	if (!(all->holder[0].dir & METAL_SHM_DIR_DEV_RW))
		all->holders = 0;
	if (!all->holders)
		become_the_programs(root, all);
	if (root->guard)
		shm__guard_update(root, 0, root->size);
	note_taken(shm, dir);
	return 0;
}

/* Any other way: waits, copies, cuts. */
static __attribute__((noinline)) int take_range(struct metal_generic_shm *shm,
						enum metal_shm_dir dir, int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	struct shm__root *root = shm->root;
	size_t start = shm->offset, end = start + shm->size;
	struct shm__turn turn = { start, end, NULL, dir, (dir & METAL_SHM_DIR_DEV_R) != 0 };
	int error = check_writers(root, start, end, dir);

	if (error || is_the_programs(root, start, end))
		return error;
	if (shm__may_wait(root))
		error = shm__wait_long(root, &turn, &deadline);
	if (error)
		return error;
	error = shm__ranges_cut(&root->ranges, start, end);
	if (error)
		return shm__error(-error, "no memory for the record of a range");
	error = shm__check_granule(root, start, end, SHM__PROGRAM, dir);
	if (!error)
		error = shm__prepare(root, start, end, SHM__PROGRAM, dir);
	if (!error)
		error = shm__shadows_home(root, start, end, NULL);
	if (error) {
		shm__join(root, start, end);
		return error;
	}
	end_accesses(root, start, end, dir);
	if (root->guard)
		shm__guard_update(root, start, end);
	error = shm__report_failure(root, start, end);
	shm__join(root, start, end);
	note_taken(shm, dir);
	return error;
}

SHM__FLAT int take_back(struct metal_generic_shm *shm, enum metal_shm_dir dir, int64_t timeout_ns)
{
	int error = shm__handle_check(shm);
	struct shm__root *root;

	if (error)
		return error;
	if (!SHM__IS_DIR(dir))
		return shm__error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	root = shm->root;
	shm__mutex_lock(&root->lock);
	error = gives_back(root, shm, dir) ? take_all(shm, dir) : take_range(shm, dir, timeout_ns);
	shm__mutex_unlock(&root->lock);
	shm__cpu_acquire(root->properties.cached == METAL_SHM_YES);
	return error;
}

int metal_shm_sync_for_cpu_timeout(struct metal_generic_shm *shm, enum metal_shm_dir dir,
				   int64_t timeout_ns)
{
	return take_back(shm, dir, timeout_ns);
}

int metal_shm_sync_for_cpu(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	return take_back(shm, dir, METAL_SHM_FOREVER);
}
