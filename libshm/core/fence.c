/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fences that the program brought. The kernel waits for them with its own, but tells nobody how they
 * ended, so they are kept until then. All under the memory's lock.
 */
#include <stdio.h>

#include "core.h"

#define MOST_KEPT 16u

struct shm__fence {
	struct shm__fence *next;
	int os_handle;
	size_t start, end; /* the bytes that its work is on */
	enum metal_shm_dir dir;
	char by[32];
};

static int check_memory(const struct shm__root *root, enum metal_shm_dir dir)
{
	if (!SHM__IS_DIR(dir))
		return shm__error(EINVAL, "%d is not an enum metal_shm_dir", (int)dir);
	if (root->properties.dmabuf != METAL_SHM_YES || root->memory.os_handle < 0)
		return shm__error(ENOTSUP, "%s memory is not a DMA-BUF, so it has no fences",
				  root->src->name);
	return 0;
}

/* A device may have written what nobody shall read, and its other bytes are as good as they were. */
static void note_failure(struct shm__root *root, const struct shm__fence *fence, int status)
{
	size_t start = fence->start, end = fence->end;

	/* without room for the record its neighbours count as undefined too */
	shm__ranges_cut(&root->ranges, start, end);
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		range->failed = status == -ENODEV ? -ENODEV : -EIO;
	root->unusual |= SHM__FAILED;
	shm__ranges_join(&root->ranges, start, end);
	snprintf(root->failed_by, sizeof(root->failed_by), "a fence of %s (%d)", fence->by, status);
}

void shm__fences_look(struct shm__root *root)
{
	struct shm__fence **at = &root->kept, *fence;

	while ((fence = *at) != NULL) {
		int status = shm__os_fence_status(fence->os_handle);

		if (!status) {
			at = &fence->next;
			continue;
		}
		if (status < 0 && (fence->dir & METAL_SHM_DIR_DEV_W))
			note_failure(root, fence, status);
		*at = fence->next;
		shm__os_fence_close(fence->os_handle);
		shm__os_free(fence);
	}
}

void shm__fences_drop(struct shm__root *root)
{
	struct shm__fence *fence;

	while ((fence = root->kept) != NULL) {
		root->kept = fence->next;
		shm__os_fence_close(fence->os_handle);
		shm__os_free(fence);
	}
}

/* Caches were cared for when the bytes were handed over, and not for work that nobody told of. */
static int check_has(struct shm__root *root, const struct metal_generic_shm *view,
		     enum metal_shm_dir dir)
{
	if (view->shadow)
		return shm__error(ENOTSUP, "%s has a copy of the part, and fences are the memory's",
				  view->dev->name);
	SHM__EACH_RANGE(range, &root->ranges, view->offset, view->offset + view->size) {
		const struct shm__holder *holder = shm__range_holder(range, view->slot);

		if (!holder || ((unsigned)dir & ~holder->dir))
			return shm__error(EINVAL,
					  "%s doesn't have the bytes for that: hand them over, "
					  "then bring its fence",
					  view->dev->name);
	}
	return 0;
}

static int check_room(struct shm__root *root)
{
	unsigned n = 0;

	shm__fences_look(root);
	for (const struct shm__fence *fence = root->kept; fence; fence = fence->next)
		n++;
	if (n < MOST_KEPT)
		return 0;
	return shm__error(EBUSY, "%u fences of the buffer are not signalled yet", n);
}

static int import(struct metal_generic_shm *shm, const struct metal_device *dev,
		  struct shm__fence *fence)
{
	struct shm__root *root = shm->root;
	const struct metal_generic_shm *view = shm__view_find(root, shm->offset, shm->size, dev);
	int error;

	if (!view)
		return shm__error(ENOTCONN, "the buffer is not attached to %s", dev->name);
	error = check_has(root, view, fence->dir);
	if (!error)
		error = check_room(root);
	if (!error)
		error = shm__os_fence_put(root->memory.os_handle, fence->os_handle,
					  fence->dir & METAL_SHM_DIR_DEV_W);
	if (error)
		return error;
	fence->start = view->offset;
	fence->end = view->offset + view->size;
	snprintf(fence->by, sizeof(fence->by), "%.31s", dev->name);
	fence->next = root->kept;
	root->kept = fence;
	root->unusual |= SHM__FENCES;
	return 0;
}

/* The handle becomes the memory's if that succeeds. */
int shm__fence_import(struct metal_generic_shm *shm, const struct metal_device *dev,
		      enum metal_shm_dir dir, int os_handle)
{
	struct shm__fence *fence;
	int error = check_memory(shm->root, dir);

	if (error)
		return error;
	fence = shm__os_alloc(sizeof(*fence));
	if (!fence)
		return shm__error(ENOMEM, "no memory for a fence's record");
	fence->os_handle = os_handle;
	fence->dir = dir;
	shm__mutex_lock(&shm->root->lock);
	error = import(shm, dev, fence);
	shm__mutex_unlock(&shm->root->lock);
	if (error)
		shm__os_free(fence);
	return error;
}

/* Work of this device on the range of which the kernel knows nothing. */
static bool hides_work(struct shm__root *root, const struct shm__range *range, unsigned slot)
{
	struct metal_generic_shm *view;

	RB_FOREACH(view, shm__view_tree, &root->views)
		if (view->slot == slot && view->pending && view->offset < range->end &&
		    view->offset + view->size > range->start &&
		    (view->shadow || view->window || !(view->view.flags & METAL_SHM_VIEW_FENCES)))
			return true;
	return false;
}

/* A fence that tells of less would be signalled too early. */
static int check_holders(struct shm__root *root, size_t start, size_t end, enum metal_shm_dir dir)
{
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		for (unsigned i = 0; i < range->holders; i++) {
			const struct shm__holder *holder = &range->holder[i];

			if (holder->pending &&
			    ((holder->dir | (unsigned)dir) & METAL_SHM_DIR_DEV_W) &&
			    hides_work(root, range, holder->slot))
				return shm__error(
					ENOTSUP,
					"%s works on the buffer without a fence: wait for it, "
					"by a sync or by its events",
					root->slots[holder->slot].dev->name);
		}
	}
	return 0;
}

int shm__fence_export(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	struct shm__root *root = shm->root;
	int ret = check_memory(root, dir);

	if (ret)
		return ret;
	shm__mutex_lock(&root->lock);
	ret = check_holders(root, shm->offset, shm->offset + shm->size, dir);
	if (!ret)
		ret = shm__os_fence_get(root->memory.os_handle, dir & METAL_SHM_DIR_DEV_W);
	shm__mutex_unlock(&root->lock);
	return ret;
}

static int wait_fences_on(struct shm__root *root, int os_handle, const struct shm__turn *turn,
			  struct shm__deadline *deadline)
{
	int error;

	shm__trace(root, turn->taker, SHM__TRACE_WAIT, turn->start, turn->end - turn->start, 1);
	shm__mutex_unlock(&root->lock);
	error = shm__os_wait_fences(os_handle, turn->writes, shm__deadline_ns(deadline));
	shm__trace(root, turn->taker, SHM__TRACE_WAITED, turn->start, turn->end - turn->start, 1);
	shm__mutex_lock(&root->lock);
	if (error == -ETIMEDOUT)
		shm__error(ETIMEDOUT, "a fence of the buffer is not signalled");
	return error;
}

static int wait_fences_of(struct shm__root *root, const struct shm__root *backing,
			  const struct shm__turn *turn, struct shm__deadline *deadline)
{
	if (backing->memory.os_handle < 0 || backing->properties.dmabuf != METAL_SHM_YES)
		return 0;
	return wait_fences_on(root, backing->memory.os_handle, turn, deadline);
}

/* A window's fences are its own DMA-BUF's. The windows may be others after each wait. */
static int wait_fences_of_windows(struct shm__root *root, const struct shm__turn *turn,
				  struct shm__deadline *deadline)
{
	struct shm__window *window = shm__window_fenced(root, NULL, turn->start, turn->end);
	int error = 0;

	while (window && !error) {
		const struct shm__window place = { .from = window->from, .to = window->to };

		error = wait_fences_on(root, window->memory.os_handle, turn, deadline);
		window = shm__window_fenced(root, &place, turn->start, turn->end);
	}
	return error;
}

/* Of the memory and its windows, and of each shadow in which the bytes are; a view stays while this call uses it. */
int shm__wait_fences(struct shm__root *root, const struct shm__turn *turn,
		     struct shm__deadline *deadline)
{
	int error = 0;
	size_t at = turn->start;

	if (root->unusual & (SHM__FENCES | SHM__SHARED))
		error = wait_fences_of(root, root, turn, deadline);
	if (!error && (root->unusual & SHM__FENCES))
		error = wait_fences_of_windows(root, turn, deadline);
	if (!error && root->kept)
		shm__fences_look(root);
	while (!error && root->shadows && at < turn->end) {
		const struct shm__range *range = shm__range_at(&root->ranges, at);
		struct metal_generic_shm *view = range->newest;

		at = range->end;
		if (view && (view->view.flags & METAL_SHM_VIEW_FENCES))
			error = wait_fences_of(root, view->shadow->root, turn, deadline);
	}
	return error;
}
