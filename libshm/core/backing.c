/* SPDX-License-Identifier: BSD-3-Clause */
/* What a view stands for: the memory as it is, some of its pages, or a copy; and the device's use of it. */
#include "core.h"

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

/* What METAL_SHM_SUB_NO_COPY forbids. */
int shm__refuse_copy(const struct metal_generic_shm *shm, const struct metal_generic_shm *view)
{
	if (!(shm->flags & METAL_SHM_SUB_NO_COPY) || view->view.mode != METAL_SHM_VIEW_SHADOW)
		return 0;
	return shm__error(ENOTSUP, "%s would copy the part, which METAL_SHM_SUB_NO_COPY forbids",
			  view->dev->name);
}

static int refuse_beside(const struct metal_generic_shm *other, const struct metal_device *dev,
			 uint32_t flags)
{
	if (other->shadow || !shm__uses_dma(other->view.access) ||
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

	if (!shm__uses_dma(access))
		return 0;
	shm__mutex_lock(&root->lock);
	/* whom to name is looked for only where there is somebody */
	if (!(flags & METAL_SHM_VIEW_BOUNCES ? root->dma_views : root->bouncing)) {
		shm__mutex_unlock(&root->lock);
		return 0;
	}
	RB_FOREACH(other, shm__view_tree, &root->views)
		if (!error)
			error = refuse_beside(other, dev, flags);
	for (other = root->ended; other && !error; other = other->next)
		error = refuse_beside(other, dev, flags);
	shm__mutex_unlock(&root->lock);
	return error;
}

/* What its attachment is a sync of: mapping is a hidden END of all that is mapped, unmapping a START. */
int shm__attachment_settle(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	size_t start, end;
	int error;

	if (view->shadow)
		return 0;
	if (!view->window)
		return shm__settle_locked(root);
	start = view->window->from;
	end = view->window->to < root->size ? view->window->to : root->size;
	error = shm__ranges_cut(&root->ranges, start, end);
	if (error)
		return shm__error(-error, "no memory for the record of a range");
	error = shm__settle_range(root, start, end);
	shm__join(root, start, end);
	return error;
}

/* Make it usable by its device. */
static int attach_view(struct metal_generic_shm *view, const struct metal_shm_constraints *want)
{
	enum metal_shm_access expected = want->access;
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
	if (!error)
		error = shm__attachment_settle(view);
	shm__mutex_unlock(&root->lock);
	if (!error)
		error = dev->ops->attach(dev, &view->at, &view->view);
	if (!error) {
		error = shm__check_reach(view, want);
		if (!error)
			error = shm__refuse_copy(view, view);
		if (!error && !view->shadow)
			error = refuse_bounced(root, dev, view->view.access, view->view.flags);
		if (error)
			dev->ops->detach(dev, &view->at, &view->view);
	}
	return error;
}

static int take_window(struct metal_generic_shm *view, const struct metal_shm_constraints *want)
{
	struct metal_shm_properties is = { .struct_size = sizeof(is) };
	struct shm__root *root = view->root;
	int error = shm__window_take(view);

	if (error)
		return error;
	error = root->src->ops->properties(root->src, &view->window->memory, &is);
	return error ? error : shm__require(&is, want->required, root->src->name, view->dev->name);
}

static struct metal_shm_attachment attachment_of(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	struct metal_shm_attachment at = {
		.shm = view,
		.memory = &root->memory,
		.range = { view->offset, view->size },
		.frame = root->has_frame ? &root->frame : NULL,
	};

	if (view->shadow) {
		at.memory = &view->shadow->root->memory;
		at.range.offset = 0;
	} else if (view->window) {
		at.memory = &view->window->memory;
		at.range.offset -= view->window->from;
	}
	return at;
}

/* One way for the device to have the bytes. If it fails nothing is left of it. */
static int try_mode(struct metal_generic_shm *view, const struct metal_shm_constraints *want,
		    enum metal_shm_view_mode mode)
{
	struct shm__root *root = view->root;
	int error = 0;

	view->view = (struct metal_shm_view){ .mode = mode };
	if (mode == METAL_SHM_VIEW_IN_PLACE)
		error = shm__require(&root->properties, want->required, root->src->name,
				     view->dev->name);
	else if (mode == METAL_SHM_VIEW_WINDOW)
		error = take_window(view, want);
	else
		error = shm__shadow_make(view, view->dev, want);
	view->at = attachment_of(view);
	if (!error)
		error = attach_view(view, want);
	if (!error)
		return 0;
	if (view->window) {
		shm__mutex_lock(&root->lock);
		shm__window_leave(view);
		shm__mutex_unlock(&root->lock);
		shm__window_drop(view);
	}
	if (view->shadow)
		metal_shm_free(view->shadow, NULL);
	view->shadow = NULL;
	return error;
}

/* As it is, or else by a window, or else by a copy: the first that the device can use. */
int shm__view_back(struct metal_generic_shm *view, const struct metal_shm_constraints *want)
{
	enum metal_shm_view_mode mode;
	int error = 0;

	shm__choose_mode(view, want, &mode, &view->why);
	if (mode == METAL_SHM_VIEW_SHADOW)
		error = shm__check_copy(view, view->dev, view->why);
	if (!error)
		error = try_mode(view, want, mode);
	if (!error || mode != METAL_SHM_VIEW_WINDOW || (view->flags & METAL_SHM_SUB_NO_COPY))
		return error;
	shm__log(METAL_SHM_LOG_INFO, "%s gets a copy of a part and no window: %s", view->dev->name,
		 metal_shm_last_error());
	error = shm__check_copy(view, view->dev, view->why);
	return error ? error : try_mode(view, want, METAL_SHM_VIEW_SHADOW);
}
