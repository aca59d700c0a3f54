/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes go to a device: what they need for it, and the record of it. */
#include "core.h"

/* Room for the taker everywhere, so that nothing fails half-way. */
static int check_room(struct shm__root *root, size_t start, size_t end, unsigned slot)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		unsigned working = 0;

		if (range->holders < SHM__HOLDERS || shm__range_holder(range, slot))
			continue;

		for (unsigned i = 0; i < range->holders; i++)
			working += range->holder[i].pending || (range->holder[i].dir & SHM__BUSY);
		if (working == SHM__HOLDERS)
			return shm__error_held(root, range, EBUSY, "as many devices as can: ");
	}
	return 0;
}

/* Whoever held a range idle and can't share it with the taker holds it no more. */
static void drop_idle(struct shm__range *range, unsigned slot, enum metal_shm_dir dir)
{
	for (unsigned i = range->holders; i-- > 0;) {
		struct shm__holder *holder = &range->holder[i];

		if (holder->slot != slot && !holder->pending &&
		    ((holder->dir | (unsigned)dir) & METAL_SHM_DIR_DEV_W))
			shm__range_drop_holder(range, holder);
	}
}

/* What shm__not_taken() needs, should the device refuse. */
static inline unsigned how_it_is(const struct shm__range *range,
				 const struct metal_generic_shm *view, unsigned added)
{
	if (!view->dev->ops->give)
		return 0;
	return SHM__ADDED(added) | (range->flags & SHM__OWNED ? SHM__LENT : 0);
}

/* The bytes of one range become the view's. */
static void take_range(struct shm__root *root, struct shm__range *range,
		       struct metal_generic_shm *view, enum metal_shm_dir dir, unsigned added)
{
	unsigned how = how_it_is(range, view, added);

	range->flags &= ~(SHM__OWNED | SHM__WRITTEN | SHM__REPORTED | SHM__AS_IT_WAS);
	range->flags |= how;
	range->failed = 0;
	if (!(dir & METAL_SHM_DIR_DEV_W))
		return;
	range->newest = view->shadow ? view : NULL;
	if (view->shadow)
		return;
	shm__soil(root, range, view->view.access);
	shm__note_change(root, range);
}

static void take_over(struct shm__root *root, struct metal_generic_shm *view,
		      enum metal_shm_dir dir, bool queued)
{
	size_t start = view->offset, end = start + view->size;
	uint32_t now = shm__os_now_ms();

	if ((dir & METAL_SHM_DIR_DEV_W) && root->shadows && !view->shadow)
		root->changes++;
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		struct shm__holder *holder;
		unsigned added = 0;

		drop_idle(range, view->slot, dir);
		holder = shm__range_add_holder(range, view->slot);
		if (holder->pending) {
			added = dir & ~holder->dir;
		} else {
			holder->dir = 0;
			holder->since_ms = now;
		}
		holder->dir |= dir | (queued ? 0 : SHM__BUSY);
		holder->pending += queued;
		holder->by = view;
		take_range(root, range, view, dir, added);
	}
	if (view->size == root->size)
		root->unusual &= ~SHM__FAILED;
	shm__join(root, start, end);
}

static int prepare_in_place(struct shm__root *root, struct metal_generic_shm *view,
			    enum metal_shm_dir dir)
{
	size_t start = view->offset, end = start + view->size;
	int error = shm__check_granule(root, start, end, view->view.access, dir);

	if (!error)
		error = shm__fetch(root, start, end, NULL);
	return error ? error : shm__prepare(root, start, end, view->view.access, dir);
}

static int prepare_shadow(struct shm__root *root, struct metal_generic_shm *view,
			  enum metal_shm_dir dir)
{
	size_t start = view->offset, end = start + view->size;
	int error = shm__fetch(root, start, end, view);

	return error ? error : shm__shadow_give(view, dir);
}

/* What the device does from now on: what it has queued already goes on. */
static enum metal_shm_dir with_queued(struct shm__root *root, const struct metal_generic_shm *view,
				      enum metal_shm_dir dir)
{
	const struct shm__holder *holder;

	if (!view->pending)
		return dir;
	holder = shm__range_holder(shm__range_at(&root->ranges, view->offset), view->slot);
	return (enum metal_shm_dir)((holder->dir & METAL_SHM_DIR_DEV_RW) | (unsigned)dir);
}

static __attribute__((noinline)) int give_range(struct shm__root *root,
						struct metal_generic_shm *view,
						enum metal_shm_dir dir, bool queued)
{
	size_t start = view->offset, end = start + view->size;
	int error = shm__ranges_cut(&root->ranges, start, end);

	if (error)
		return shm__error(-error, "no memory for the record of a range");
	shm__note_writes(root, start, end);
	error = check_room(root, start, end, view->slot);
	if (!error && (dir & METAL_SHM_DIR_DEV_R))
		error = shm__report_failure(root, start, end);
	dir = with_queued(root, view, dir);
	if (!error)
		error = view->shadow ? prepare_shadow(root, view, dir)
				     : prepare_in_place(root, view, dir);
	if (error) {
		shm__join(root, start, end);
		return error;
	}
	take_over(root, view, dir, queued);
	return 0;
}

/* A frame's way: from one holder at most, who gives way. */
static inline bool gives_way(const struct shm__root *root, const struct metal_generic_shm *view,
			     enum metal_shm_dir dir)
{
	const struct shm__range *all = RB_ROOT(&root->ranges.tree);
	const struct shm__holder *holder = &all->holder[0];

	if (!shm__is_simple(root, view))
		return false;
	return !all->holders || !(holder->dir & SHM__BUSY) || holder->slot == view->slot ||
	       ((holder->dir | dir) & METAL_SHM_DIR_DEV_W);
}

SHM__FLAT int give_all(struct shm__root *root, struct metal_generic_shm *view,
		       enum metal_shm_dir dir, bool queued)
{
	struct shm__range *all = RB_ROOT(&root->ranges.tree);
	unsigned how = how_it_is(all, view, 0);
	int error;

	if (all->flags & SHM__OWNED)
		shm__note_writes(root, 0, root->size);
	error = shm__prepare(root, 0, root->size, view->view.access, dir);
	if (error)
		return error;
	all->holders = 1;
	all->holder[0] = (struct shm__holder){
		.slot = view->slot,
		.dir = dir | (queued ? 0 : SHM__BUSY),
		.pending = queued,
		.since_ms = shm__os_now_ms(),
		.by = view,
	};
	all->flags &= ~(SHM__OWNED | SHM__WRITTEN | SHM__REPORTED | SHM__AS_IT_WAS);
	all->flags |= how;
	if (dir & METAL_SHM_DIR_DEV_W)
		shm__soil(root, all, view->view.access);
	return 0;
}

SHM__FLAT int give(struct shm__root *root, struct metal_generic_shm *view, enum metal_shm_dir dir,
		   bool queued)
{
	int error = gives_way(root, view, dir) ? give_all(root, view, dir, queued)
					       : give_range(root, view, dir, queued);

	if (error)
		return error;
	if (((dir & METAL_SHM_DIR_DEV_W) || view->pending) && !view->shadow &&
	    !shm__is_cpu(view->view.access))
		root->device_dirty = true;
	if (queued) {
		view->pending++;
		root->pending++;
		atomic_fetch_add(&view->dev->pending, 1);
	}
	shm__count_one(&root->counters.value[SHM__HANDOVERS]);
	shm__count_one(&root->slots[view->slot].handovers);
	shm__trace(root, view->dev, queued ? SHM__TRACE_QUEUED : SHM__TRACE_GIVEN, view->offset,
		   view->size, dir);
	return 0;
}

static int wait_to_take(struct metal_generic_shm *shm, const struct metal_device *dev,
			enum metal_shm_dir dir, int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	const struct shm__turn turn = {
		.start = shm->offset,
		.end = shm->offset + shm->size,
		.taker = dev,
		.dir = dir,
		.writes = dir & METAL_SHM_DIR_DEV_W,
	};

	return shm__wait_long(shm->root, &turn, &deadline);
}

/* Nobody but whose it is. Under the memory's lock. */
static int refuse_write(struct shm__root *root, const struct metal_generic_shm *shm,
			const struct metal_device *dev)
{
	const struct metal_generic_shm *view = shm__view_find(root, shm->offset, shm->size, dev);

	if (view && (view->view.flags & SHM__VIEW_OWNER))
		return 0;
	return shm__error(EACCES, "the memory was imported read-only; %s may not write it",
			  dev->name);
}

SHM__FLAT int hand_over(struct metal_generic_shm *shm, struct metal_device *dev,
			enum metal_shm_dir dir, int64_t timeout_ns, bool queued, const void *site)
{
	struct metal_generic_shm *view;
	struct shm__root *root = shm->root;
	uint64_t handovers;
	int error = 0;

	if (!SHM__IS_DIR(dir))
		return shm__error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	shm__cpu_release();
	shm__mutex_lock(&root->lock);
	if ((dir & METAL_SHM_DIR_DEV_W) && root->read_only)
		error = refuse_write(root, shm, dev);
	if (!error && shm__may_wait(root))
		error = wait_to_take(shm, dev, dir, timeout_ns);
	view = shm__view_find(root, shm->offset, shm->size, dev);
	if (!error && !view)
		error = shm__error(ENOTCONN, "the buffer is not attached to %s", dev->name);
	if (!error && root->guard)
		shm__guard_compare(view);
	if (!error)
		error = give(root, view, dir, queued || dev->ops->give);
	if (!error && root->guard)
		shm__guard_given(view, site);
	handovers = shm__handovers(root);
	shm__mutex_unlock(&root->lock);
	if (error || queued || !dev->ops->give)
		return error;
	error = dev->ops->give(dev, &view->view, &view->at.range, dir);
	if (error)
		shm__not_taken(view, handovers);
	return error;
}

static int sync_for_device(struct metal_generic_shm *shm, struct metal_device *dev,
			   enum metal_shm_dir dir, int64_t timeout_ns, const void *site)
{
	int error = shm__handle_check(shm);

	if (!error)
		error = shm__device_check(dev);
	return error ? error : hand_over(shm, dev, dir, timeout_ns, false, site);
}

int metal_shm_sync_for_device_timeout(struct metal_generic_shm *shm, struct metal_device *dev,
				      enum metal_shm_dir dir, int64_t timeout_ns)
{
	return sync_for_device(shm, dev, dir, timeout_ns, __builtin_return_address(0));
}

int metal_shm_sync_for_device(struct metal_generic_shm *shm, struct metal_device *dev,
			      enum metal_shm_dir dir)
{
	return sync_for_device(shm, dev, dir, METAL_SHM_FOREVER, __builtin_return_address(0));
}

/* What the view's device had before this process knew of it: nothing is waited for. */
int shm__hold_theirs(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	int error;

	shm__mutex_lock(&root->lock);
	error = give(root, view, METAL_SHM_DIR_DEV_RW, true);
	if (!error && root->guard)
		shm__guard_given(view, __builtin_return_address(0));
	shm__mutex_unlock(&root->lock);
	return error;
}

int metal_shm_hold(struct metal_generic_shm *shm, struct metal_device *dev, enum metal_shm_dir dir,
		   int64_t timeout_ns)
{
	if (!shm__alive(shm, dev))
		return shm__not_alive(shm, dev);
	return hand_over(shm, dev, dir, timeout_ns, true, __builtin_return_address(0));
}
