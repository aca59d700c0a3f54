/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may touch a memory's bytes. Each view holds nothing, or holds with work queued (pending), or
 * holds idle: its work is done and the bytes stay its until the next hand-over. With no view holding,
 * they are the program's. In this version a hold covers the whole memory; the records are the views',
 * which have ranges.
 */
#include <stdio.h>

#include "core.h"

#define IS_DIR(dir) ((dir) >= METAL_SHM_DIR_DEV_R && (dir) <= METAL_SHM_DIR_DEV_RW)

/* What caches may hold now, the program's own writes included. */
static struct shm__coherence coherence_now(const struct shm__root *root)
{
	struct shm__coherence now = root->coherence;

	if (root->owned && (root->written || root->shared) && !now.device_dirty)
		now.cpu_dirty = true;
	return now;
}

/* On failure the record says what had been done. */
static int issue(struct shm__root *root, const struct shm__plan *plan)
{
	const struct metal_shm_range all = { 0, root->memory.size };
	const struct metal_shm_device_ops *ops = root->src->ops;
	int error;

	if (plan->start) {
		error = ops->sync_for_cpu(root->src, &root->memory, &all,
					  (enum metal_shm_dir)plan->start);
		if (error)
			return error;
		root->coherence.started = true;
		if (plan->start & METAL_SHM_DIR_DEV_W)
			root->coherence.device_dirty = false;
		shm__count(root, root->src, SHM__STARTS, 1);
	}
	if (plan->end) {
		error = ops->sync_for_device(root->src, &root->memory, &all,
					     (enum metal_shm_dir)plan->end);
		if (error)
			return error;
		root->written = root->map_users[1] > 0;
		shm__count(root, root->src, SHM__ENDS, 1);
	}
	return 0;
}

/* Issue a plan's operations: mostly there are none. */
static inline int apply(struct shm__root *root, const struct shm__plan *plan)
{
	int error = 0;

	if ((!plan->start && !plan->end) || !root->src->ops->sync_for_cpu)
		shm__count(root, root->src, SHM__ELIDED, 1);
	else
		error = issue(root, plan);
	if (!error)
		root->coherence = plan->after;
	return error;
}

static bool writes_by_cpu(const struct shm__root *root)
{
	for (const struct metal_generic_shm *view = root->views; view; view = view->next)
		if ((view->hold.dir & METAL_SHM_DIR_DEV_W) && !view->hold.done &&
		    (view->view.access == METAL_SHM_ACCESS_CPU_KERNEL ||
		     view->view.access == METAL_SHM_ACCESS_CPU_USER))
			return true;
	return false;
}

/*
 * Write back what a CPU may have written, without handing anything over: a device that is writing by the
 * CPU goes on.
 */
int shm__settle_locked(struct shm__root *root)
{
	struct shm__coherence now = coherence_now(root);
	struct shm__plan plan;

	if (!now.cpu_dirty || !root->src->ops->sync_for_device)
		return 0;
	plan = shm__decide(now, METAL_SHM_ACCESS_DMA, METAL_SHM_DIR_DEV_R,
			   root->properties.coherent == METAL_SHM_YES);
	plan.after.cpu_dirty = writes_by_cpu(root);
	return apply(root, &plan);
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

/* Pending work of others that this access may not overlap, or for dir 0 none. */
static bool conflicts(const struct metal_generic_shm *view, const struct metal_device *taker,
		      enum metal_shm_dir dir)
{
	if (!view->hold.pending || view->dev == taker)
		return false;
	return ((unsigned)view->hold.dir | (unsigned)dir) & METAL_SHM_DIR_DEV_W;
}

/* For the program the accesses named end: whatever of these is pending is waited for. */
static bool must_end(const struct metal_generic_shm *view, enum metal_shm_dir dir)
{
	return view->hold.pending && ((unsigned)view->hold.dir & (unsigned)dir);
}

static void add_device(struct metal_device *devs[], size_t *n, struct metal_device *dev)
{
	for (size_t i = 0; i < *n; i++)
		if (devs[i] == dev)
			return;
	if (*n == SHM__MAX_DEVICES)
		return;
	shm__device_ref(dev);
	devs[(*n)++] = dev;
}

/* Whom to dispatch while waiting: the holders, and a pool's other devices, so that none starves. */
static size_t devices_to_wait_for(struct shm__root *root, const struct metal_device *taker,
				  enum metal_shm_dir dir, struct metal_device *devs[])
{
	struct metal_device *const *others;
	size_t n = 0, count;

	for (struct metal_generic_shm *view = root->views; view; view = view->next)
		if (taker ? conflicts(view, taker, dir) : must_end(view, dir))
			add_device(devs, &n, view->dev);
	if (root->pool) {
		count = shm__pool_devices(root->pool, &others);
		for (size_t i = 0; i < count; i++)
			add_device(devs, &n, others[i]);
	}
	return n;
}

/* Wait once, unlocked, until something may have changed. The views may be others afterwards. */
static int wait_for_holders(struct shm__root *root, const struct metal_device *taker,
			    enum metal_shm_dir dir, struct shm__deadline *deadline)
{
	struct metal_device *devs[SHM__MAX_DEVICES];
	struct shm__waiter waiter = { .wake = shm__os_thread_wake() };
	size_t n;
	int error;

	if (!waiter.wake)
		return shm__error(EMFILE, "no descriptor left to wait with");
	n = devices_to_wait_for(root, taker, dir, devs);
	waiter.next = root->waiters;
	root->waiters = &waiter;
	shm__count(root, NULL, SHM__WAITS, 1);
	shm__mutex_unlock(&root->lock);

	error = shm__wait_devices(devs, n, waiter.wake, deadline);

	shm__mutex_lock(&root->lock);
	shm__waiter_remove(&root->waiters, &waiter);
	/* the first is a holder, since there was one */
	if (error == -ETIMEDOUT)
		shm__error(ETIMEDOUT, "%s still has the buffer", devs[0]->name);
	shm__mutex_unlock(&root->lock);
	for (size_t i = 0; i < n; i++)
		shm__device_unref(devs[i]);
	shm__mutex_lock(&root->lock);
	return error;
}

static bool anyone(const struct shm__root *root, const struct metal_device *taker,
		   enum metal_shm_dir dir)
{
	for (const struct metal_generic_shm *view = root->views; view; view = view->next)
		if (taker ? conflicts(view, taker, dir) : must_end(view, dir))
			return true;
	return false;
}

/* What the last holder left behind goes to one next owner, who then knows. */
static int report_failure(struct shm__root *root)
{
	int failed = root->failed;

	root->failed = 0;
	return failed ? shm__error(-failed, "%s failed; the bytes are undefined", root->failed_by)
		      : 0;
}

static int wait_fences(struct shm__root *root, bool writes, struct shm__deadline *deadline)
{
	int error;

	if (!(root->fences || root->shared) || root->memory.os_handle < 0 ||
	    root->properties.dmabuf != METAL_SHM_YES)
		return 0;
	shm__mutex_unlock(&root->lock);
	error = shm__os_wait_fences(root->memory.os_handle, writes, shm__deadline_ns(deadline));
	shm__mutex_lock(&root->lock);
	if (error == -ETIMEDOUT)
		shm__error(ETIMEDOUT, "a fence of the buffer is not signalled");
	return error;
}

/*
 * Wait until no work stands against the access and no fence is pending, in that order, again as long
 * as the one needed unlocking for the other.
 */
static int wait_long(struct shm__root *root, const struct metal_device *taker,
		     enum metal_shm_dir dir, bool writes, struct shm__deadline *deadline)
{
	int error = 0;

	do {
		while (!error && anyone(root, taker, dir)) {
			error = wait_for_holders(root, taker, dir, deadline);
			if (error == -ETIMEDOUT && !anyone(root, taker, dir))
				error = 0;
		}
		if (!error)
			error = wait_fences(root, writes, deadline);
	} while (!error && anyone(root, taker, dir));
	return error;
}

/* There is nearly always nothing to wait for. */
static inline int wait_turn(struct shm__root *root, const struct metal_device *taker,
			    enum metal_shm_dir dir, bool writes, struct shm__deadline *deadline)
{
	if (!root->pending && !root->fences && !root->shared)
		return 0;
	return wait_long(root, taker, dir, writes, deadline);
}

/* The bytes become the view's: whoever held them idle and can't share them holds them no more. */
static void take_over(struct shm__root *root, struct metal_generic_shm *taker,
		      enum metal_shm_dir dir, bool queued)
{
	for (struct metal_generic_shm *view = root->views; view; view = view->next)
		if (view != taker && !view->hold.pending &&
		    (((unsigned)view->hold.dir | (unsigned)dir) & METAL_SHM_DIR_DEV_W))
			view->hold.dir = 0;
	if (taker->hold.pending)
		taker->hold.dir = (enum metal_shm_dir)((unsigned)taker->hold.dir | (unsigned)dir);
	else
		taker->hold.dir = dir;
	if (queued) {
		taker->hold.pending++;
		root->pending++;
		atomic_fetch_add(&taker->dev->pending, 1);
	}
	taker->hold.done = false;
	root->owned = false;
	shm__count(root, taker->dev, SHM__HANDOVERS, 1);
}

static int hand_over(struct metal_generic_shm *shm, struct metal_device *dev,
		     enum metal_shm_dir dir, int64_t timeout_ns, bool queued)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	struct metal_generic_shm *view;
	struct shm__root *root = shm->root;
	struct shm__plan plan;
	int error;

	if (!IS_DIR(dir))
		return shm__error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	if (root->read_only && (dir & METAL_SHM_DIR_DEV_W))
		return shm__error(EACCES, "the memory was imported read-only; %s may not write it",
				  dev->name);
	shm__mutex_lock(&root->lock);
	error = wait_turn(root, dev, dir, dir & METAL_SHM_DIR_DEV_W, &deadline);
	view = shm__view_find(root, shm->offset, shm->size, dev);
	if (!error && !view)
		error = shm__error(ENOTCONN, "the buffer is not attached to %s", dev->name);
	if (!error && (dir & METAL_SHM_DIR_DEV_R))
		error = report_failure(root);
	if (!error) {
		plan = shm__decide(coherence_now(root), view->view.access, dir,
				   root->properties.coherent == METAL_SHM_YES);
		error = apply(root, &plan);
	}
	if (!error) {
		root->failed = 0;
		take_over(root, view, dir, queued || dev->ops->give);
	}
	shm__mutex_unlock(&root->lock);
	if (error || queued || !dev->ops->give)
		return error;
	error = dev->ops->give(dev, &view->view, &view->at.range, dir);
	if (error)
		metal_shm_unhold(shm, dev, 0);
	return error;
}

int metal_shm_sync_for_device_timeout(struct metal_generic_shm *shm, struct metal_device *dev,
				      enum metal_shm_dir dir, int64_t timeout_ns)
{
	int error = shm__handle_check(shm);

	if (!error)
		error = shm__device_check(dev);
	return error ? error : hand_over(shm, dev, dir, timeout_ns, false);
}

int metal_shm_sync_for_device(struct metal_generic_shm *shm, struct metal_device *dev,
			      enum metal_shm_dir dir)
{
	return metal_shm_sync_for_device_timeout(shm, dev, dir, METAL_SHM_FOREVER);
}

int metal_shm_hold(struct metal_generic_shm *shm, struct metal_device *dev, enum metal_shm_dir dir,
		   int64_t timeout_ns)
{
	if (!shm__alive(shm, dev))
		return shm__not_alive(shm, dev);
	return hand_over(shm, dev, dir, timeout_ns, true);
}

static struct metal_generic_shm *find_holder(struct shm__root *root, size_t offset, size_t size,
					     const struct metal_device *dev)
{
	struct metal_generic_shm *view = shm__view_find(root, offset, size, dev);

	if (view && view->hold.pending)
		return view;
	for (view = root->views; view; view = view->next)
		if (view->dev == dev && view->hold.pending)
			return view;
	return NULL;
}

int metal_shm_unhold(struct metal_generic_shm *shm, struct metal_device *dev, int error)
{
	struct metal_generic_shm *view;
	struct shm__root *root;
	bool idle = false, end = false;
	int ret = 0;

	if (!shm__alive(shm, dev))
		return shm__not_alive(shm, dev);
	root = shm->root;
	shm__mutex_lock(&root->lock);
	view = find_holder(root, shm->offset, shm->size, dev);
	if (!view) {
		ret = shm__error(EINVAL, "%s doesn't hold the buffer", dev->name);
	} else {
		if (error) {
			root->failed = error;
			snprintf(root->failed_by, sizeof(root->failed_by), "%.63s", dev->name);
		}
		atomic_fetch_sub(&view->dev->pending, 1);
		root->pending--;
		if (!--view->hold.pending) {
			view->hold.done = true;
			shm__wake_all(root->waiters);
			end = !atomic_load(&view->refs) && shm__view_end_locked(view);
			idle = shm__becomes_idle(root);
		}
	}
	shm__mutex_unlock(&root->lock);
	if (end)
		shm__attach_unlock(root);
	if (idle)
		shm__pool_return(root);
	return ret;
}

/* The program takes over: the accesses named end, a holder with none left holds no more. */
static void end_accesses(struct shm__root *root, enum metal_shm_dir dir)
{
	bool held = false;

	for (struct metal_generic_shm *view = root->views; view; view = view->next) {
		if (!view->hold.pending)
			view->hold.dir =
				(enum metal_shm_dir)((unsigned)view->hold.dir & ~(unsigned)dir);
		held |= view->hold.dir != 0;
	}
	root->owned = !held;
	if (root->owned)
		root->written = root->map_users[1] > 0;
}

static bool held(const struct shm__root *root)
{
	for (const struct metal_generic_shm *view = root->views; view; view = view->next)
		if (view->hold.dir)
			return true;
	return false;
}

static int take_back(struct shm__root *root, enum metal_shm_dir dir, struct shm__deadline *deadline)
{
	struct shm__coherence now;
	struct shm__plan plan;
	int error;

	for (struct metal_generic_shm *view = root->views; view; view = view->next)
		if (((unsigned)view->hold.dir & ~(unsigned)dir) & METAL_SHM_DIR_DEV_W)
			return shm__error(EINVAL, "%s keeps writing", view->dev->name);
	if (!held(root) && root->owned && !root->failed && !root->coherence.device_dirty)
		return 0;
	error = wait_turn(root, NULL, dir, dir & METAL_SHM_DIR_DEV_R, deadline);
	if (error)
		return error;
	now = coherence_now(root);
	plan = shm__decide(now, SHM__PROGRAM, dir, root->properties.coherent == METAL_SHM_YES);
	plan.after.cpu_dirty = now.cpu_dirty; /* what the program writes is counted by itself */
	error = apply(root, &plan);
	if (error)
		return error;
	end_accesses(root, dir);
	shm__count(root, NULL, SHM__HANDOVERS, 1);
	return report_failure(root);
}

int metal_shm_sync_for_cpu_timeout(struct metal_generic_shm *shm, enum metal_shm_dir dir,
				   int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	int error = shm__handle_check(shm);

	if (error)
		return error;
	if (!IS_DIR(dir))
		return shm__error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	shm__mutex_lock(&shm->root->lock);
	error = take_back(shm->root, dir, &deadline);
	shm__mutex_unlock(&shm->root->lock);
	return error;
}

int metal_shm_sync_for_cpu(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	return metal_shm_sync_for_cpu_timeout(shm, dir, METAL_SHM_FOREVER);
}
