/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What caches may hold of each range, and the operations that a change of hands issues. All under the
 * memory's lock.
 */
#include "core.h"

atomic_bool shm__paranoid;

void metal_shm_set_paranoid(bool paranoid)
{
	atomic_store(&shm__paranoid, paranoid);
}

bool shm__is_coherent(const struct shm__root *root)
{
	return root->properties.coherent == METAL_SHM_YES || !root->src->ops->sync_for_cpu;
}

/* A device may be writing these bytes now. */
static bool writes_now(const struct shm__range *range)
{
	for (unsigned i = 0; i < range->holders; i++)
		if ((range->holder[i].dir & METAL_SHM_DIR_DEV_W) &&
		    (range->holder[i].pending || (range->holder[i].dir & SHM__BUSY)))
			return !range->newest;
	return false;
}

/* And past the CPU's cache. */
bool shm__busy_writer(const struct shm__range *range)
{
	return (range->flags & SHM__DEV_DIRTY) && writes_now(range);
}

static void look(struct shm__root *root, size_t start, size_t end, struct shm__dirt *ret)
{
	if (start >= end)
		return;
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		ret->cpu |= shm__cpu_dirty(root, range);
		ret->device |= (range->flags & SHM__DEV_DIRTY) != 0;
		ret->busy |= shm__busy_writer(range);
	}
}

/*
 * With no device's bytes anywhere nothing that is needed destroys any, and all the rest needn't be looked
 * at; what isn't needed can.
 */
static void look_around(struct shm__root *root, size_t start, size_t end, struct shm__question *q)
{
	look(root, 0, start, &q->out);
	look(root, end, root->size, &q->out);
	root->device_dirty = q->in.device || q->out.device;
}

/* Bytes, and the granules of the memory that they lie in. */
struct shm__span {
	size_t start, end, from, to;
};

static struct shm__span span_of(const struct shm__root *root, size_t start, size_t end)
{
	struct shm__span span = { start, end, start, end };
	size_t granule = root->granule, after;

	if (!granule)
		return span;
	span.from -= start % granule;
	after = end % granule ? granule - end % granule : 0;
	span.to = root->size - end > after ? end + after : root->size;
	return span;
}

/* Put down what the program may have written as a CPU's writes, before who owned the bytes changes. */
void shm__note_writes(struct shm__root *root, size_t start, size_t end)
{
	bool counted = false;

	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		if (!shm__may_be_written(root, range))
			continue;
		if (root->shadows && !counted)
			root->changes++;
		counted = true;
		if (root->guard)
			shm__guard_remember(root, range->start, range->end);
		shm__cpu_writes(root, range, SHM__CPU_DIRTY);
		shm__note_change(root, range);
	}
}

/* Whether an operation would overwrite what others wrote: an END a device's bytes, a START the CPU's. */
bool shm__sync_destroys(struct shm__root *root, size_t from, size_t to, bool back)
{
	if (back && !root->device_dirty)
		return false;
	SHM__EACH_RANGE(range, &root->ranges, from, to)
		if (back ? (range->flags & SHM__DEV_DIRTY) != 0 : shm__cpu_dirty(root, range))
			return true;
	return false;
}

/* What the operation acted on may be more than was asked for, and end inside a range. */
static bool is_within(const struct shm__range *range, size_t start, size_t end)
{
	return range->start >= start && range->end <= end;
}

static void read_in(struct shm__root *root, size_t start, size_t end, size_t from, size_t to)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (is_within(range, start, end) &&
		    (is_within(range, from, to) || !shm__busy_writer(range)))
			range->flags &= ~SHM__DEV_DIRTY;
}

/*
 * What the program reported is written back too; what it writes from now on it reports anew. A device
 * that is writing by the CPU goes on, but for those whose bytes are just being taken.
 */
static void written_back(struct shm__root *root, size_t start, size_t end, size_t from, size_t to)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		if (!is_within(range, start, end))
			continue;
		range->flags &= ~(SHM__WRITTEN | SHM__REPORTED);
		if (is_within(range, from, to) || !writes_now(range))
			range->flags &= ~SHM__CPU_DIRTY;
		if ((range->flags & SHM__OWNED) && range->mapped)
			shm__cpu_writes(root, range, SHM__WRITTEN);
	}
}

static int start_one(struct shm__root *root, size_t start, size_t end, unsigned dir)
{
	const struct metal_shm_range range = { start, end - start };
	int error = root->src->ops->sync_for_cpu(root->src, &root->memory, &range,
						 (enum metal_shm_dir)dir);

	if (error)
		return error;
	root->started = true;
	shm__count(root, root->src, SHM__STARTS, 1);
	shm__trace(root, root->src, SHM__TRACE_START, start, end - start, (int)dir);
	return 0;
}

static int end_one(struct shm__root *root, size_t start, size_t end, unsigned dir)
{
	const struct metal_shm_range range = { start, end - start };
	int error = root->src->ops->sync_for_device(root->src, &root->memory, &range,
						    (enum metal_shm_dir)dir);

	if (error)
		return error;
	shm__count(root, root->src, SHM__ENDS, 1);
	shm__trace(root, root->src, SHM__TRACE_END, start, end - start, (int)dir);
	return 0;
}

/* By the source itself, or by a window. What it acted on may be more. */
static int start_in(struct shm__root *root, struct shm__reach *reach, unsigned dir)
{
	int error;

	if (!root->src->ops->window) {
		shm__count(root, root->src, SHM__RANGED, 1);
		return start_one(root, reach->from, reach->to, dir);
	}
	error = shm__window_sync(root, reach->from, reach->to, false, dir, reach);
	if (error)
		return error;
	shm__count(root, root->src, SHM__STARTS, 1);
	shm__count(root, root->src, SHM__RANGED, reach->to - reach->from < root->size);
	shm__trace(root, root->src, SHM__TRACE_START, reach->from, reach->to - reach->from,
		   (int)dir);
	return 0;
}

static int end_in(struct shm__root *root, struct shm__reach *reach, unsigned dir)
{
	int error;

	if (!root->src->ops->window) {
		shm__count(root, root->src, SHM__RANGED, 1);
		return end_one(root, reach->from, reach->to, dir);
	}
	error = shm__window_sync(root, reach->from, reach->to, true, dir, reach);
	if (error)
		return error;
	shm__count(root, root->src, SHM__ENDS, 1);
	shm__count(root, root->src, SHM__RANGED, reach->to - reach->from < root->size);
	shm__trace(root, root->src, SHM__TRACE_END, reach->from, reach->to - reach->from, (int)dir);
	return 0;
}

static int issue_whole(struct shm__root *root, const struct shm__plan *plan, size_t start,
		       size_t end)
{
	int error = 0;

	if (plan->start)
		error = start_one(root, 0, root->memory.size, plan->start);
	if (!error && (plan->start & METAL_SHM_DIR_DEV_W))
		read_in(root, 0, root->size, start, end);
	if (error || !plan->end)
		return error;
	error = end_one(root, 0, root->memory.size, plan->end);
	if (error)
		return error;
	/* before the record of it goes: a shadow has to hear of what the program wrote */
	shm__note_writes(root, 0, root->size);
	written_back(root, 0, root->size, start, end);
	return 0;
}

/* Up to where ranges from here on are dirty in the way that the operation is for. */
static size_t run_of(struct shm__root *root, size_t start, size_t end, unsigned end_dir, bool all)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		bool dirty = end_dir ? shm__cpu_dirty(root, range)
				     : (range->flags & SHM__DEV_DIRTY) != 0;

		if (!dirty && !all)
			return range->start > start ? range->start : start;
	}
	return end;
}

/* Where to go on after an operation for the bytes up to done: a range that it only began is not done. */
static size_t behind(struct shm__root *root, const struct shm__reach *reach, size_t done,
		     size_t limit)
{
	size_t at = limit;

	if (reach->to < limit)
		at = shm__range_at(&root->ranges, reach->to)->start;
	return at > done ? at : done;
}

/*
 * Whole granules are read in, beside the span too: none that has a device's bytes has the CPU's. What isn't
 * needed is done only where no granule at all has them.
 */
static int read_in_ranges(struct shm__root *root, const struct shm__plan *plan,
			  const struct shm__span *span, bool all)
{
	int error = 0;

	for (size_t at = span->from; !error && at < span->to;) {
		size_t to = run_of(root, at, span->to, 0, all);
		struct shm__reach reach;

		if (to == at) {
			at = shm__range_at(&root->ranges, at)->end;
			continue;
		}
		reach = (struct shm__reach){ at, to };
		error = start_in(root, &reach, plan->start);
		if (!error)
			read_in(root, reach.from, reach.to, span->start, span->end);
		at = behind(root, &reach, to, span->to);
	}
	return error;
}

static int write_back_ranges(struct shm__root *root, const struct shm__plan *plan,
			     const struct shm__span *span, bool all)
{
	int error = 0;

	for (size_t at = span->start; !error && at < span->end;) {
		size_t to = run_of(root, at, span->end, plan->end, all);
		struct shm__reach reach;

		if (to == at) {
			at = shm__range_at(&root->ranges, at)->end;
			continue;
		}
		reach = (struct shm__reach){ at, to };
		error = end_in(root, &reach, plan->end);
		if (!error) {
			shm__note_writes(root, reach.from, reach.to);
			written_back(root, reach.from, reach.to, span->start, span->end);
		}
		at = behind(root, &reach, to, span->end);
	}
	return error;
}

static int issue_ranged(struct shm__root *root, const struct shm__plan *plan,
			const struct shm__span *span, const struct shm__question *q)
{
	bool all = q->paranoid || q->taker == METAL_SHM_ACCESS_UNKNOWN;
	int error = 0;

	/* of windows each has its own: see window.c */
	if (plan->start == METAL_SHM_DIR_DEV_R && !root->src->ops->window)
		error = start_one(root, span->start, span->end, plan->start);
	if (plan->start & METAL_SHM_DIR_DEV_W) {
		error = shm__ranges_cut(&root->ranges, span->from, span->to);
		if (error)
			return shm__error(-error, "no memory for the record of a range");
		error = read_in_ranges(root, plan, span, all && !q->in.cpu);
	}
	if (!error && plan->end)
		error = write_back_ranges(
			root, plan, span,
			all && (!q->in.device || (plan->start & METAL_SHM_DIR_DEV_W)));
	return error;
}

/* Bytes of a range and when, for a reason: whoever may write where an operation would reach. */
static int refuse(struct shm__root *root, enum shm__refusal refusal, size_t start, size_t end)
{
	SHM__EACH_RANGE(range, &root->ranges, 0, root->size) {
		bool outside = range->start < start || range->end > end;

		if (refusal == SHM__START_DESTROYS && shm__cpu_dirty(root, range))
			return shm__error(
				EBUSY,
				"%s syncs only all of its memory, and the CPU wrote bytes %zu to %zu",
				root->src->name, range->start, range->end);
		if (refusal == SHM__END_DESTROYS && (range->flags & SHM__DEV_DIRTY))
			return shm__error_held(root, range, EBUSY,
					       "the memory can only be synced as a whole: ");
		if (refusal == SHM__STILL_WRITES && outside && shm__busy_writer(range))
			return shm__error_held(root, range, EBUSY,
					       "the memory can only be synced as a whole: ");
	}
	return shm__error(EBUSY, "%s syncs only all of its memory", root->src->name);
}

int shm__prepare_dirty(struct shm__root *root, size_t start, size_t end, unsigned taker,
		       enum metal_shm_dir dir)
{
	struct shm__question q = {
		.taker = taker,
		.dir = dir,
		.started = root->started,
		.ranged = root->granule != 0,
		.coherent = shm__is_coherent(root),
		.paranoid = atomic_load_explicit(&shm__paranoid, memory_order_relaxed),
	};
	struct shm__span span = span_of(root, start, end);
	struct shm__plan plan = { 0 };

	if (!q.coherent) {
		look(root, span.from, span.to, &q.in);
		if (!q.ranged && (root->device_dirty || q.paranoid) && root->ranges.count > 1)
			look_around(root, start, end, &q);
		plan = shm__decide(&q);
	}
	if (plan.refusal)
		return refuse(root, plan.refusal, start, end);
	if (!plan.start && !plan.end)
		return shm__elided(root);
	return q.ranged ? issue_ranged(root, &plan, &span, &q)
			: issue_whole(root, &plan, start, end);
}

/* Write back what a CPU may have written, without handing anything over. The ranges begin and end there. */
int shm__settle_range(struct shm__root *root, size_t start, size_t end)
{
	bool dirty = false, may_be = false;
	int error;

	if (shm__is_coherent(root) || !(root->cpu_dirty || (root->unusual & SHM__SHARED)))
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		dirty |= shm__cpu_dirty(root, range);
		may_be |= (range->flags & (SHM__CPU_DIRTY | SHM__WRITTEN)) != 0;
	}
	if (end - start == root->size)
		root->cpu_dirty = may_be;
	if (!dirty)
		return 0;
	error = shm__prepare(root, start, end, METAL_SHM_ACCESS_DMA, METAL_SHM_DIR_DEV_R);
	/* nobody gave anything up: a device that is writing by the CPU goes on */
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (writes_now(range) && !(range->flags & SHM__DEV_DIRTY))
			shm__cpu_writes(root, range, SHM__CPU_DIRTY);
	return error;
}

int shm__settle_locked(struct shm__root *root)
{
	return shm__settle_range(root, 0, root->size);
}

int metal_shm_settle(struct metal_generic_shm *shm)
{
	int error = shm__handle_alive(shm);

	if (error)
		return error;
	shm__mutex_lock(&shm->root->lock);
	error = shm__settle_locked(shm->root);
	shm__mutex_unlock(&shm->root->lock);
	return error;
}
