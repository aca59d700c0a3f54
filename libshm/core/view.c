/* SPDX-License-Identifier: BSD-3-Clause */
/* Views: what one device sees of a range, made once and counted. */
#include <limits.h>

#include "core.h"

static int compare(const struct metal_generic_shm *a, const struct metal_generic_shm *b)
{
	return shm__view_order(a, b->offset, b->size, b->dev);
}

RB_GENERATE(shm__view_tree, metal_generic_shm, node, compare)

/* Under the memory's lock, as are those below it. */
static void enter_slot(struct metal_generic_shm *view)
{
	struct shm__slot *slot = &view->root->slots[view->slot];

	if (!slot->views++)
		shm__sum_slot(slot, view->dev);
	if (view->offset < slot->start)
		slot->start = view->offset;
	if (view->offset + view->size > slot->end)
		slot->end = view->offset + view->size;
}

/*
 * The device's name means nothing any more where it held bytes by the view; what
 * it has by another one it keeps.
 */
static void leave_slot(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	struct shm__slot *slot = &root->slots[view->slot];
	size_t start = view->offset, end = start + view->size;
	bool last = !--slot->views;

	if (last) {
		shm__retire_slot(slot);
		start = slot->start;
		end = slot->end;
	}
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		struct shm__holder *holder = shm__range_holder(range, view->slot);

		if (holder && !holder->pending && (last || holder->by == view))
			shm__range_drop_holder(range, holder);
	}
	shm__ranges_join(&root->ranges, start, end);
	if (root->guard)
		shm__guard_update(root, start, end);
}

/* One view more or less that a bouncing device's attach has to know of: see backing.c. */
static void count_dma(const struct metal_generic_shm *view, unsigned more)
{
	if (view->shadow || !shm__uses_dma(view->view.access))
		return;
	view->root->dma_views += more;
	if (view->view.flags & METAL_SHM_VIEW_BOUNCES)
		view->root->bouncing += more;
}

static int find_again(struct metal_generic_shm *shm, struct metal_device *dev,
		      struct metal_generic_shm **ret_view)
{
	struct shm__root *root = shm->root;
	struct metal_generic_shm *view;
	int error = 0;

	shm__mutex_lock(&root->lock);
	view = shm__view_find(root, shm->offset, shm->size, dev);
	if (view)
		error = shm__refuse_copy(shm, view);
	if (view && !error) {
		atomic_fetch_add(&view->refs, 1);
		shm__count(root, dev, SHM__ATTACH_HITS, 1);
		*ret_view = view;
	}
	shm__mutex_unlock(&root->lock);
	return error;
}

/* It counts as one that writes by DMA: no order of syncs keeps what either kind wrote. */
static void tell_unknown(const struct metal_generic_shm *view)
{
	const struct shm__root *root = view->shadow ? view->shadow->root : view->root;

	if (view->view.access == METAL_SHM_ACCESS_UNKNOWN && !shm__is_coherent(root))
		shm__log(METAL_SHM_LOG_INFO,
			 "%s doesn't say how it moves bytes, and %s memory isn't known to be "
			 "coherent: what it writes by the CPU may be lost",
			 view->dev->name, root->src->name);
}

/* Alone with the memory's attachments. */
static int make_view(struct metal_generic_shm *shm, struct metal_device *dev,
		     struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *view, *source = shm->kind == SHM__VIEW ? shm->source : shm;
	struct metal_shm_constraints want = { .struct_size = sizeof(want) };
	struct shm__root *root = shm->root;
	int error = dev->ops->constraints(dev, root->has_frame ? &root->frame : NULL, &want);

	if (error)
		return error;
	view = shm__handle_new(SHM__VIEW, root, shm->offset, shm->size);
	if (!view)
		return shm__error(ENOMEM, "no memory for a view");
	view->dev = dev;
	view->flags = shm->flags;
	view->source = source;
	error = shm__view_back(view, &want);
	if (error) {
		atomic_store(&view->tag, SHM__DEAD_TAG);
		shm__quarantine(view);
		return error;
	}
	shm__device_ref(dev);
	shm__mutex_lock(&shm__registry);
	root->users++;
	shm__mutex_unlock(&shm__registry);
	shm__mutex_lock(&root->lock);
	source->uses++;
	enter_slot(view);
	RB_INSERT(shm__view_tree, &root->views, view);
	if (view->shadow) {
		root->shadows++;
		root->unusual |= SHM__SHADOWS;
	} else if (view->view.flags & METAL_SHM_VIEW_FENCES) {
		root->unusual |= SHM__FENCES;
		if (view->window)
			view->window->fences = true;
	}
	count_dma(view, 1);
	shm__mutex_unlock(&root->lock);
	shm__count(root, dev, SHM__ATTACHES, 1);
	if (view->window)
		shm__trace(root, dev, SHM__TRACE_WINDOW, view->window->from,
			   view->window->to - view->window->from, 0);
	shm__trace(root, dev, SHM__TRACE_ATTACHED, view->offset, view->size, 0);
	tell_unknown(view);
	*ret_view = view;
	return 0;
}

struct metal_generic_shm *metal_shm_attach(struct metal_generic_shm *src_shm,
					   struct metal_device *dst_dev)
{
	struct metal_generic_shm *view = NULL;
	struct shm__root *root;
	int error = shm__handle_check(src_shm);

	if (!error)
		error = shm__device_check(dst_dev);
	if (!error && !shm__uses(dst_dev))
		error = shm__error(ENOTSUP, "%s uses no memory, it only gives it", dst_dev->name);
	if (!error && atomic_load(&dst_dev->closed))
		error = shm__error(ENODEV, "%s is closed", dst_dev->name);
	if (!error)
		error = find_again(src_shm, dst_dev, &view);
	if (error || view)
		return view;
	root = src_shm->root;
	shm__mutex_lock(&root->attach_lock);
	error = find_again(src_shm, dst_dev, &view);
	if (!error && !view)
		error = make_view(src_shm, dst_dev, &view);
	shm__attach_unlock(root);
	if (error)
		shm__os_set_errno(-error);
	return view;
}

/*
 * Under the memory's lock: the count is 0 and no work is pending, so nobody finds the view any more. Its
 * end waits for no attachment, which may take long, or even be this thread's own: an operation that
 * dispatches, and so ends the last work of another view. True: attach_lock is the caller's, who lets go
 * of it when it has no lock; false: its holder ends the view.
 */
bool shm__view_end_locked(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;

	RB_REMOVE(shm__view_tree, &root->views, view);
	root->recent = NULL;
	view->next = root->ended;
	root->ended = view;
	return shm__mutex_trylock(&root->attach_lock);
}

/* By the window while there is one: later it would take another for the moment, or all of the memory. */
static void read_in(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	size_t start = view->offset, end = start + view->size;
	bool dirty = false, busy = false;

	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		dirty |= (range->flags & SHM__DEV_DIRTY) != 0;
		busy |= shm__busy_writer(range);
	}
	if (!dirty || busy || shm__ranges_cut(&root->ranges, start, end))
		return;
	/* what fails here is tried again by whoever takes the bytes */
	shm__prepare(root, start, end, METAL_SHM_ACCESS_CPU_USER, METAL_SHM_DIR_DEV_R);
	shm__join(root, start, end);
}

/*
 * Unmapping is a hidden START of the whole memory, so what the CPU wrote goes first; should that fail the
 * view ends all the same, since a void call has nobody to tell.
 */
static void end_view(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;

	if (view->shadow)
		shm__shadow_leave(view);
	else if (shm__attachment_settle(view))
		shm__log(METAL_SHM_LOG_ERROR, "detach from %s: %s", view->dev->name,
			 metal_shm_last_error());
	leave_slot(view);
	count_dma(view, UINT_MAX);
	if (view->window) {
		read_in(view);
		shm__window_leave(view);
	}
	shm__mutex_unlock(&root->lock);
	view->dev->ops->detach(view->dev, &view->at, &view->view);
	shm__trace(root, view->dev, SHM__TRACE_DETACHED, view->offset, view->size, 0);
	if (view->window)
		shm__window_drop(view);
	shm__mutex_lock(&root->lock);
}

/*
 * Let go of attach_lock, and end before what ended meanwhile. Under the memory's lock it is either held
 * or nothing is left to end. The records go last, since the memory may go with them.
 */
void shm__attach_unlock(struct shm__root *root)
{
	struct metal_generic_shm *view, *gone = NULL, *orphans;

	shm__mutex_lock(&root->lock);
	while ((view = root->ended) != NULL) {
		root->ended = view->next;
		end_view(view);
		view->next = gone;
		gone = view;
	}
	orphans = shm__orphans_take(root, false);
	shm__mutex_unlock(&root->attach_lock);
	shm__mutex_unlock(&root->lock);
	shm__orphans_free(orphans);
	while ((view = gone) != NULL) {
		struct metal_device *dev = view->dev;

		gone = view->next;
		if (view->shadow)
			shm__shadow_end(view);
		shm__handle_bury(view);
		shm__device_unref(dev);
	}
}

void metal_shm_detach(struct metal_generic_shm *dst_shm, struct metal_device *dst_dev)
{
	struct shm__root *root;
	bool end;

	if (!dst_shm || shm__os_forked())
		return;
	if (shm__handle_alive(dst_shm) || dst_shm->kind != SHM__VIEW) {
		shm__misuse("metal_shm_detach", "not a view, or detached before");
		return;
	}
	if (dst_shm->dev != dst_dev) {
		shm__misuse("metal_shm_detach", "the view is another device's");
		return;
	}
	root = dst_shm->root;
	shm__mutex_lock(&root->lock);
	if (!atomic_load(&dst_shm->refs)) {
		shm__mutex_unlock(&root->lock);
		shm__misuse("metal_shm_detach", "detached before");
		return;
	}
	end = atomic_fetch_sub(&dst_shm->refs, 1) == 1 && !dst_shm->pending &&
	      shm__view_end_locked(dst_shm);
	shm__mutex_unlock(&root->lock);
	if (end)
		shm__attach_unlock(root);
}

static inline struct metal_generic_shm *view_of(struct metal_generic_shm *shm,
						const struct metal_device *dev)
{
	struct metal_generic_shm *view;

	if (!shm__alive(shm, dev)) {
		shm__not_alive(shm, dev);
		return NULL;
	}
	shm__mutex_lock(&shm->root->lock);
	view = shm__view_find(shm->root, shm->offset, shm->size, dev);
	shm__mutex_unlock(&shm->root->lock);
	if (!view)
		shm__error(ENOTCONN, "the buffer is not attached to %s", dev->name);
	return view;
}

struct metal_generic_shm *metal_shm_view(struct metal_generic_shm *shm,
					 const struct metal_device *dev)
{
	return view_of(shm, dev);
}

void *metal_shm_view_data(struct metal_generic_shm *shm, const struct metal_device *dev)
{
	struct metal_generic_shm *view = view_of(shm, dev);

	return view ? view->view.data : NULL;
}

static int check_view(const struct metal_generic_shm *shm)
{
	int error = shm__handle_check(shm);

	if (!error && shm->kind != SHM__VIEW)
		error = shm__error(EINVAL, "not a view: attach it first");
	return error;
}

int metal_shm_view_mode(const struct metal_generic_shm *dst_shm)
{
	int error = check_view(dst_shm);

	return error ? error : (int)dst_shm->view.mode;
}

int metal_shm_segments(struct metal_generic_shm *dst_shm,
		       const struct metal_shm_segment **ret_segments, size_t *ret_n)
{
	int error = check_view(dst_shm);

	if (error)
		return error;
	if (!ret_segments || !ret_n)
		return shm__error(EINVAL, "metal_shm_segments: NULL");
	if (!dst_shm->view.segment_count)
		return shm__error(ENOTSUP, "%s names no device addresses", dst_shm->dev->name);
	*ret_segments = dst_shm->view.segments;
	*ret_n = dst_shm->view.segment_count;
	return 0;
}

int metal_shm_device_address(struct metal_generic_shm *dst_shm, uint64_t *ret_address)
{
	const struct metal_shm_segment *segments;
	size_t n;
	int error = metal_shm_segments(dst_shm, &segments, &n);

	if (error)
		return error;
	if (!ret_address)
		return shm__error(EINVAL, "metal_shm_device_address: NULL");
	if (n > 1)
		return shm__error(ERANGE, "%s sees the buffer in %zu segments", dst_shm->dev->name,
				  n);
	*ret_address = segments[0].device_address;
	return 0;
}
