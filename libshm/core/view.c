/* SPDX-License-Identifier: BSD-3-Clause */
/* Views: what one device sees of a range, made once and counted. */
#include "core.h"

static int compare(const struct metal_generic_shm *a, const struct metal_generic_shm *b)
{
	return shm__view_order(a, b->offset, b->size, b->dev);
}

RB_GENERATE(shm__view_tree, metal_generic_shm, node, compare)

/* A device's place in the memory's table; SHM__MAX_DEVICES: there is none left. */
static unsigned find_slot(const struct shm__root *root, const struct metal_device *dev)
{
	unsigned free = SHM__MAX_DEVICES;

	for (unsigned i = 0; i < SHM__MAX_DEVICES; i++) {
		if (root->slots[i].dev == dev)
			return i;
		if (!root->slots[i].dev && free == SHM__MAX_DEVICES)
			free = i;
	}
	return free;
}

/*
 * Under the memory's lock. The device's name means nothing any more where it held bytes by the view; what
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
		start = 0;
		end = root->size;
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

/* What METAL_SHM_SUB_NO_COPY forbids. */
static int refuse_copy(const struct metal_generic_shm *shm, const struct metal_generic_shm *view)
{
	if (!(shm->flags & METAL_SHM_SUB_NO_COPY) || view->view.mode != METAL_SHM_VIEW_SHADOW)
		return 0;
	return shm__error(ENOTSUP, "%s would copy the part, which METAL_SHM_SUB_NO_COPY forbids",
			  view->dev->name);
}

static bool uses_dma(enum metal_shm_access access)
{
	return shm__dirt_of(access) & SHM__DEV_DIRTY;
}

static int refuse_beside(const struct metal_generic_shm *other, const struct metal_device *dev,
			 uint32_t flags)
{
	if (other->shadow || !uses_dma(other->view.access) ||
	    !((other->view.flags | flags) & METAL_SHM_VIEW_BOUNCES))
		return 0;
	return shm__error(ENOTSUP,
			  "%s works on copies of its own, so the buffer can't be shared with %s",
			  flags & METAL_SHM_VIEW_BOUNCES ? dev->name : other->dev->name,
			  flags & METAL_SHM_VIEW_BOUNCES ? other->dev->name : dev->name);
}

/*
 * A START brings the copies of all devices home, one after another: of what two wrote the second one's
 * stale bytes replace the first one's (measured), and no sync is right. What ends only now counts still.
 */
static int refuse_bounced(struct shm__root *root, const struct metal_device *dev,
			  enum metal_shm_access access, uint32_t flags)
{
	struct metal_generic_shm *other;
	int error = 0;

	if (!uses_dma(access))
		return 0;
	shm__mutex_lock(&root->lock);
	RB_FOREACH(other, shm__view_tree, &root->views)
		if (!error)
			error = refuse_beside(other, dev, flags);
	for (other = root->ended; other && !error; other = other->next)
		error = refuse_beside(other, dev, flags);
	shm__mutex_unlock(&root->lock);
	return error;
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
		error = refuse_copy(shm, view);
	if (view && !error) {
		atomic_fetch_add(&view->refs, 1);
		shm__count(root, dev, SHM__ATTACH_HITS, 1);
		*ret_view = view;
	}
	shm__mutex_unlock(&root->lock);
	return error;
}

/* Make it usable by its device. */
static int attach_view(const struct metal_generic_shm *shm, struct metal_generic_shm *view,
		       enum metal_shm_access expected)
{
	struct shm__root *root = view->root;
	struct metal_device *dev = view->dev;
	int error = 0;

	/* before it is asked at all, if that is known: to attach and to detach are syncs */
	if (!view->shadow && expected != METAL_SHM_ACCESS_UNKNOWN)
		error = refuse_bounced(root, dev, expected, 0);
	if (error)
		return error;
	shm__mutex_lock(&root->lock);
	view->slot = find_slot(root, dev);
	if (view->slot == SHM__MAX_DEVICES)
		error = shm__error(ENOSPC, "%u devices are attached to the buffer already",
				   SHM__MAX_DEVICES);
	/* mapping an attachment is a hidden END of the whole memory */
	if (!error && !view->shadow)
		error = shm__settle_locked(root);
	shm__mutex_unlock(&root->lock);
	if (!error)
		error = dev->ops->attach(dev, &view->at, &view->view);
	if (!error) {
		error = refuse_copy(shm, view);
		if (!error && !view->shadow)
			error = refuse_bounced(root, dev, view->view.access, view->view.flags);
		if (error)
			dev->ops->detach(dev, &view->at, &view->view);
	}
	return error;
}

/* Alone with the memory's attachments. */
static int make_view(struct metal_generic_shm *shm, struct metal_device *dev,
		     struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *view, *source = shm->kind == SHM__VIEW ? shm->source : shm;
	struct metal_shm_constraints want = { .struct_size = sizeof(want) };
	struct shm__root *root = shm->root;
	enum metal_shm_view_mode mode;
	int error = dev->ops->constraints(dev, root->has_frame ? &root->frame : NULL, &want);

	if (!error)
		error = shm__choose_mode(shm, dev, &want, &mode);
	if (!error && mode == METAL_SHM_VIEW_IN_PLACE)
		error = shm__require(&root->properties, want.required, root->src->name, dev->name);
	if (error)
		return error;
	view = shm__handle_new(SHM__VIEW, root, shm->offset, shm->size);
	if (!view)
		return shm__error(ENOMEM, "no memory for a view");
	view->dev = dev;
	view->flags = shm->flags;
	view->source = source;
	view->view.mode = mode;
	if (mode == METAL_SHM_VIEW_SHADOW)
		error = shm__shadow_make(view, dev, &want);
	view->at = (struct metal_shm_attachment){
		.shm = view,
		.memory = view->shadow ? &view->shadow->root->memory : &root->memory,
		.range = { view->shadow ? 0 : shm->offset, shm->size },
		.frame = root->has_frame ? &root->frame : NULL,
	};
	if (!error)
		error = attach_view(shm, view, want.access);
	if (error) {
		if (view->shadow)
			metal_shm_free(view->shadow, NULL);
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
	if (!root->slots[view->slot].views++)
		shm__sum_slot(&root->slots[view->slot], dev);
	RB_INSERT(shm__view_tree, &root->views, view);
	if (view->shadow) {
		root->shadows++;
		root->unusual |= SHM__SHADOWS;
	} else if (view->view.flags & METAL_SHM_VIEW_FENCES) {
		root->unusual |= SHM__FENCES;
	}
	shm__mutex_unlock(&root->lock);
	shm__count(root, dev, SHM__ATTACHES, 1);
	shm__trace(root, dev, SHM__TRACE_ATTACHED, view->offset, view->size, 0);
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

/*
 * Unmapping is a hidden START of the whole memory, so what the CPU wrote goes first; should that fail the
 * view ends all the same, since a void call has nobody to tell.
 */
static void end_view(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;

	if (view->shadow)
		shm__shadow_leave(view);
	else if (shm__settle_locked(root))
		shm__log(METAL_SHM_LOG_ERROR, "detach from %s: %s", view->dev->name,
			 metal_shm_last_error());
	leave_slot(view);
	shm__mutex_unlock(&root->lock);
	view->dev->ops->detach(view->dev, &view->at, &view->view);
	shm__trace(root, view->dev, SHM__TRACE_DETACHED, view->offset, view->size, 0);
	shm__mutex_lock(&root->lock);
}

/*
 * Let go of attach_lock, and end before what ended meanwhile. Under the memory's lock it is either held
 * or nothing is left to end. The records go last, since the memory may go with them.
 */
void shm__attach_unlock(struct shm__root *root)
{
	struct metal_generic_shm *view, *gone = NULL;

	shm__mutex_lock(&root->lock);
	while ((view = root->ended) != NULL) {
		root->ended = view->next;
		end_view(view);
		view->next = gone;
		gone = view;
	}
	shm__mutex_unlock(&root->attach_lock);
	shm__mutex_unlock(&root->lock);
	while ((view = gone) != NULL) {
		struct metal_device *dev = view->dev;

		gone = view->next;
		if (view->shadow)
			metal_shm_free(view->shadow, NULL);
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
