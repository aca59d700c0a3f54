/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shadows: a part whose device can't work on the memory itself works on another one, to which the part
 * is copied before and from which it is copied back after. All under the lock of the memory that the
 * part is of, but for what makes and ends a shadow.
 */
#include <stdio.h>
#include <string.h>

#include "core.h"

static bool starts_and_ends_at(const struct metal_generic_shm *shm, uint64_t granule)
{
	if (!granule || shm->offset % granule)
		return false;
	return shm->size % granule == 0 || shm->offset + shm->size == shm->root->size;
}

static bool goes_past_the_cache(const struct shm__root *root,
				const struct metal_shm_constraints *want)
{
	return !shm__is_coherent(root) && !shm__is_cpu(want->access);
}

/* In place, unless the device can't reach the part, or its syncs would reach beyond it. */
static bool in_place(const struct metal_generic_shm *shm, const struct metal_shm_constraints *want,
		     const char **ret_why)
{
	const struct shm__root *root = shm->root;

	if (!shm->offset && shm->size == root->size)
		return true;
	*ret_why = "takes no part of a buffer";
	if (want->flags & METAL_SHM_NEEDS_WHOLE)
		return false;
	*ret_why = "needs an offset of another alignment";
	if (want->address_alignment && shm->offset % want->address_alignment)
		return false;
	if (!goes_past_the_cache(root, want))
		return true;
	*ret_why = "works past the CPU's cache, and the memory's source can't sync just this part";
	return !root->src->ops->window && starts_and_ends_at(shm, root->granule);
}

/*
 * Through the part's pages alone. A device that goes past the cache may have no byte of others in them,
 * and one that takes no offset nothing before the part.
 */
static bool in_window(const struct metal_generic_shm *shm, const struct metal_shm_constraints *want,
		      const char **ret_why)
{
	const struct shm__root *root = shm->root;
	size_t before;

	if (!root->src->ops->window || !root->granule)
		return false;
	before = shm->offset % root->granule;
	if (goes_past_the_cache(root, want) && !starts_and_ends_at(shm, root->granule)) {
		*ret_why = "works past the CPU's cache, and others have bytes in the part's pages";
		return false;
	}
	if (!before)
		return true;
	return !(want->flags & METAL_SHM_NEEDS_WHOLE) &&
	       !(want->address_alignment && before % want->address_alignment);
}

void shm__choose_mode(const struct metal_generic_shm *shm, const struct metal_shm_constraints *want,
		      enum metal_shm_view_mode *ret_mode, const char **ret_why)
{
	*ret_mode = METAL_SHM_VIEW_SHADOW;
	if (in_place(shm, want, ret_why))
		*ret_mode = METAL_SHM_VIEW_IN_PLACE;
	else if (in_window(shm, want, ret_why))
		*ret_mode = METAL_SHM_VIEW_WINDOW;
}

/* Whether a part may be copied that its device can't use otherwise. */
int shm__check_copy(const struct metal_generic_shm *shm, const struct metal_device *dev,
		    const char *why)
{
	if (shm->flags & METAL_SHM_SUB_NO_COPY)
		return shm__error(ENOTSUP, "METAL_SHM_SUB_NO_COPY forbids a copy, and %s %s",
				  dev->name, why);
	if (!shm->root->src->ops->map)
		return shm__error(ENOTSUP,
				  "%s %s, and %s memory can't be mapped by the CPU to copy it",
				  dev->name, why, shm->root->src->name);
	return 0;
}

/* What the device takes of the memory it takes of another one of the same source, if that is like it. */
static int allocate_alike(struct shm__root *root, size_t size, metal_shm_type type,
			  struct metal_generic_shm **ret_shm)
{
	struct metal_generic_shm *shm = shm__allocate_more(size, root->src, 0);
	int error;

	if (!shm)
		return -errno;
	error = shm__require(&shm->root->properties, type, root->src->name, NULL);
	if (error)
		metal_shm_free(shm, NULL);
	else
		*ret_shm = shm;
	return error;
}

/* If only the memory's own source would do and has none left, that is why. */
static int allocate(struct shm__root *root, size_t size, struct metal_device *dev,
		    metal_shm_type type, struct metal_generic_shm **ret_shm)
{
	int error = allocate_alike(root, size, type, ret_shm);
	struct metal_device *src;
	char *why = NULL, own[160];
	bool would_do;

	if (!error)
		return 0;
	snprintf(own, sizeof(own), "%s", metal_shm_last_error());
	would_do = !shm__require(&root->properties, type, root->src->name, NULL);
	if (shm__choose(size, NULL, &dev, 1, type, &src, &why))
		return would_do && shm__is_shortage(error) ? shm__error(-error, "%s", own) : -errno;
	shm__os_free(why);
	*ret_shm = shm__allocate(size, src, type);
	error = *ret_shm ? 0 : -errno;
	shm__device_unref(src);
	return error;
}

/* Another memory for a part, which is the view's also if that fails. With no lock but attach_lock. */
int shm__shadow_make(struct metal_generic_shm *view, struct metal_device *dev,
		     const struct metal_shm_constraints *want)
{
	metal_shm_type type = want->required;
	struct shm__root *root = view->root, *copy;
	int error = 0;

	if (root->properties.dmabuf == METAL_SHM_YES)
		type |= METAL_SHM_DMABUF;
	view->shadow = shm__spare_take(view, type);
	if (!view->shadow)
		error = allocate(root, view->size, dev, type, &view->shadow);
	if (!view->shadow)
		return shm__error(-error, "no memory to copy the part to: %s",
				  metal_shm_last_error());
	copy = view->shadow->root;
	shm__mutex_lock(&copy->lock);
	copy->ranges.store[0].flags &= ~SHM__OWNED; /* never the program's */
	copy->unguarded = true;                     /* nor is its mapping */
	shm__trace(copy, dev, SHM__TRACE_SHADOW, 0, copy->size, 0);
	error = shm__map_locked(copy, METAL_SHM_READ | METAL_SHM_WRITE);
	shm__mutex_unlock(&copy->lock);
	if (!error) {
		shm__mutex_lock(&root->lock);
		error = shm__map_locked(root, METAL_SHM_READ);
		shm__mutex_unlock(&root->lock);
	}
	view->copied = SHM__NEVER;
	return error;
}

static bool is_stale(const struct metal_generic_shm *view, const struct shm__range *range)
{
	return range->newest != view &&
	       (view->copied == SHM__NEVER || range->changed > view->copied);
}

static bool any_stale(const struct metal_generic_shm *view)
{
	SHM__EACH_RANGE(range, &view->root->ranges, view->offset, view->offset + view->size)
		if (is_stale(view, range))
			return true;
	return false;
}

static void copy_out(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root, *copy = view->shadow->root;
	char *to = shm__bytes(copy);
	uint64_t bytes = 0;

	SHM__EACH_RANGE(range, &root->ranges, view->offset, view->offset + view->size) {
		size_t start = range->start > view->offset ? range->start : view->offset;
		size_t end = view->offset + view->size;

		if (!is_stale(view, range))
			continue;
		end = range->end < end ? range->end : end;
		memcpy(to + (start - view->offset), shm__bytes(root) + start, end - start);
		bytes += end - start;
	}
	/* memory of a source that doesn't clear it shows its last user's bytes behind the part's end */
	if (view->copied == SHM__NEVER)
		memset(to + view->size, 0, copy->memory.size - view->size);
	shm__count(root, view->dev, SHM__BYTES_OUT, bytes);
	shm__count(root, view->dev, SHM__BYTES_COPIED, bytes);
	shm__trace(root, view->dev, SHM__TRACE_COPIED_OUT, view->offset, bytes, 0);
}

/* The device may write its shadow from now on. */
static void soil(struct metal_generic_shm *view)
{
	struct shm__root *copy = view->shadow->root;

	shm__soil(copy, shm__range_at(&copy->ranges, 0), view->view.access);
	copy->device_dirty |= !shm__is_cpu(view->view.access);
}

/* Bring the shadow up to date and make it right for the device. The ranges end where the part does. */
int shm__shadow_give(struct metal_generic_shm *view, enum metal_shm_dir dir)
{
	struct shm__root *root = view->root, *copy = view->shadow->root;
	struct shm__range *all;
	int error = 0;

	shm__mutex_lock(&copy->lock);
	all = shm__range_at(&copy->ranges, 0);
	if (any_stale(view)) {
		error = shm__prepare(root, view->offset, view->offset + view->size,
				     METAL_SHM_ACCESS_CPU_USER, METAL_SHM_DIR_DEV_R);
		if (!error)
			error = shm__prepare(copy, 0, copy->size, METAL_SHM_ACCESS_CPU_USER,
					     METAL_SHM_DIR_DEV_RW);
		if (!error) {
			copy_out(view);
			shm__cpu_writes(copy, all, SHM__CPU_DIRTY);
			view->copied = root->changes;
		}
	}
	if (!error)
		error = shm__prepare(copy, 0, copy->size, view->view.access, dir);
	if (!error && (dir & METAL_SHM_DIR_DEV_W))
		soil(view);
	shm__mutex_unlock(&copy->lock);
	return error;
}

static int bring_home(struct shm__root *root, struct shm__range *range, size_t start, size_t end)
{
	struct metal_generic_shm *view = range->newest;
	struct shm__root *copy = view->shadow->root;
	bool current = !any_stale(view);
	int error;

	shm__mutex_lock(&copy->lock);
	error = shm__prepare(copy, 0, copy->size, METAL_SHM_ACCESS_CPU_USER, METAL_SHM_DIR_DEV_R);
	/* the device keeps the rest of the part, and may go on writing it */
	if (!error && (view->offset < start || view->offset + view->size > end))
		soil(view);
	if (!error)
		memcpy(shm__bytes(root) + range->start,
		       shm__bytes(copy) + (range->start - view->offset), range->end - range->start);
	shm__mutex_unlock(&copy->lock);
	if (error)
		return error;
	range->newest = NULL;
	shm__cpu_writes(root, range, SHM__CPU_DIRTY);
	root->changes++;
	shm__note_change(root, range);
	if (current)
		view->copied = root->changes;
	shm__count(root, view->dev, SHM__BYTES_BACK, range->end - range->start);
	shm__count(root, view->dev, SHM__BYTES_COPIED, range->end - range->start);
	shm__trace(root, view->dev, SHM__TRACE_COPIED_BACK, range->start, range->end - range->start,
		   0);
	return 0;
}

/*
 * Copy back what is newest in shadows, but for that of one view. The CPU may write the bytes of the
 * memory: see shm__prepare(). The ranges begin and end there.
 */
int shm__shadows_home(struct shm__root *root, size_t start, size_t end,
		      const struct metal_generic_shm *but)
{
	int error = 0;

	if (!root->shadows)
		return 0;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (!error && range->newest && range->newest != but)
			error = bring_home(root, range, start, end);
	return error;
}

bool shm__in_shadows(struct shm__root *root, size_t start, size_t end,
		     const struct metal_generic_shm *but)
{
	if (!root->shadows)
		return false;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		if (range->newest && range->newest != but)
			return true;
	return false;
}

/* Only the bytes that come home: of the part's others some may be of a device that goes on. */
static int bring_back(struct metal_generic_shm *view, struct shm__range *range)
{
	struct shm__root *root = view->root;
	int error = shm__check_granule(root, range->start, range->end, METAL_SHM_ACCESS_CPU_USER,
				       METAL_SHM_DIR_DEV_RW);

	if (!error)
		error = shm__prepare(root, range->start, range->end, METAL_SHM_ACCESS_CPU_USER,
				     METAL_SHM_DIR_DEV_RW);
	return error ? error : bring_home(root, range, view->offset, view->offset + view->size);
}

/* One shadow less: with the last one there is nobody to hear of changes. */
void shm__shadow_gone(struct shm__root *root)
{
	size_t start = root->changed_start, end = root->changed_end;

	if (--root->shadows)
		return;
	root->unusual &= ~SHM__SHADOWS;
	if (start == end)
		return;
	SHM__EACH_RANGE(range, &root->ranges, start, end)
		range->changed = 0;
	root->changed_start = root->changed_end = 0;
	shm__ranges_join(&root->ranges, start, end);
}

/*
 * The view ends: what only its shadow has comes back, at once or when a neighbour allows it, or its loss
 * is the next owner's to hear.
 */
void shm__shadow_leave(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	size_t start = view->offset, end = start + view->size;
	int error = 0;

	/* what is newest here begins and ends inside the part */
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		int lost = range->newest == view ? bring_back(view, range) : 0;

		if (!lost || !shm__orphan(view))
			continue;
		error = lost;
		range->newest = NULL;
		range->failed = -EIO;
		root->unusual |= SHM__FAILED;
	}
	if (error) {
		snprintf(root->failed_by, sizeof(root->failed_by), "the detach from %.40s",
			 view->dev->name);
		shm__log(METAL_SHM_LOG_ERROR, "detach from %s: a part's bytes are lost: %s",
			 view->dev->name, metal_shm_last_error());
	}
	shm__shadow_gone(root);
	shm__ranges_join(&root->ranges, start, end);
}
