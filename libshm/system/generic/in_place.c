/* SPDX-License-Identifier: BSD-3-Clause */
/* In place or not at all: there is no memory to copy a part to, and there are no pages to show alone. */
#include "core.h"

static bool has_lines(const struct metal_generic_shm *shm, size_t line)
{
	return line && shm->offset % line == 0 &&
	       (shm->size % line == 0 || shm->offset + shm->size == shm->root->size);
}

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
	*ret_why = "works past the cache, and the part has no lines of its own";
	return shm__is_cpu(want->access) || shm__is_coherent(root) || has_lines(shm, root->granule);
}

void shm__choose_mode(const struct metal_generic_shm *shm, const struct metal_shm_constraints *want,
		      enum metal_shm_view_mode *ret_mode, const char **ret_why)
{
	*ret_mode = in_place(shm, want, ret_why) ? METAL_SHM_VIEW_IN_PLACE : METAL_SHM_VIEW_SHADOW;
}

/* Who uses memory in firmware is given a pointer to it. */
int shm__check_reach(const struct metal_generic_shm *view, const struct metal_shm_constraints *want)
{
	(void)view;
	(void)want;
	return 0;
}

int shm__check_copy(const struct metal_generic_shm *shm, const struct metal_device *dev,
		    const char *why)
{
	(void)shm;
	return shm__error(ENOTSUP, "%s %s", dev->name, why);
}

int shm__shadow_make(struct metal_generic_shm *view, struct metal_device *dev,
		     const struct metal_shm_constraints *want)
{
	(void)want;
	return shm__check_copy(view, dev, view->why);
}

void shm__shadow_end(struct metal_generic_shm *view)
{
	(void)view;
}

void shm__spares_end(struct shm__root *root)
{
	(void)root;
}

bool shm__spares_drop(const struct metal_device *src)
{
	(void)src;
	return false;
}

int shm__shadow_give(struct metal_generic_shm *view, enum metal_shm_dir dir)
{
	(void)view;
	(void)dir;
	return 0;
}

bool shm__in_shadows(struct shm__root *root, size_t start, size_t end,
		     const struct metal_generic_shm *but)
{
	(void)root;
	(void)start;
	(void)end;
	(void)but;
	return false;
}

int shm__shadows_home(struct shm__root *root, size_t start, size_t end,
		      const struct metal_generic_shm *but)
{
	(void)root;
	(void)start;
	(void)end;
	(void)but;
	return 0;
}

void shm__shadow_leave(struct metal_generic_shm *view)
{
	(void)view;
}

struct metal_generic_shm *shm__orphans_take(struct shm__root *root, bool all)
{
	(void)root;
	(void)all;
	return NULL;
}

void shm__orphans_free(struct metal_generic_shm *list)
{
	(void)list;
}

size_t shm__granule_of(const struct metal_device *src, const struct metal_shm_properties *is)
{
	(void)src;
	return (size_t)is->sync_granule;
}

int shm__window_take(struct metal_generic_shm *view)
{
	return shm__error(ENOTSUP, "%s: no pages here", view->dev->name);
}

void shm__window_leave(struct metal_generic_shm *view)
{
	(void)view;
}

void shm__window_drop(struct metal_generic_shm *view)
{
	(void)view;
}

int shm__window_sync(struct shm__root *root, size_t start, size_t end, bool back, unsigned dir,
		     struct shm__reach *ret_reach)
{
	(void)start;
	(void)end;
	(void)back;
	(void)dir;
	(void)ret_reach;
	return shm__error(ENOTSUP, "%s: no pages here", root->src->name);
}
