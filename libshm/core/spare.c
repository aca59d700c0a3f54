/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shadows whose view ended, kept by the memory for its next part that needs one of as many pages: no
 * allocation, no mapping, no pages that come one by one. Never more bytes than the memory has itself.
 */
#include <string.h>

#include "core.h"

#define MOST 8

/*
 * Like what the memory's source would give for it, with nobody who still works on it by himself: not where
 * a driver's fence may be pending, nor for a device that has bytes until it returns them.
 */
static bool may_be_kept(const struct metal_generic_shm *view)
{
	const struct shm__root *root = view->root, *copy = view->shadow->root;

	/* an orphan may have it still: see orphan.c */
	if (atomic_load(&view->shadow->refs) != 1)
		return false;
	return copy->src == root->src && !atomic_load(&root->src->closed) && !copy->guard &&
	       !copy->unusual && copy->address && copy->memory.size <= root->memory.size &&
	       !(view->view.flags & METAL_SHM_VIEW_FENCES) && !view->dev->ops->give;
}

/* Unlink the one at the place. Under the memory's lock. */
static struct metal_generic_shm *unlink_at(struct shm__root *root, struct metal_generic_shm **at)
{
	struct metal_generic_shm *shm = *at;

	*at = shm->next;
	root->spare_count--;
	root->spare_bytes -= shm->root->memory.size;
	shm__count_back(SHM__SPARES, 1);
	return shm;
}

static void free_all(struct metal_generic_shm *list)
{
	while (list) {
		struct metal_generic_shm *shm = list;

		list = shm->next;
		metal_shm_free(shm, NULL);
	}
}

/* The oldest go. */
static struct metal_generic_shm *make_room(struct shm__root *root, size_t size)
{
	struct metal_generic_shm *gone = NULL;

	while (root->spares &&
	       (root->spare_count == MOST || root->spare_bytes + size > root->memory.size)) {
		struct metal_generic_shm **at = &root->spares, *last;

		while ((*at)->next)
			at = &(*at)->next;
		last = unlink_at(root, at);
		last->next = gone;
		gone = last;
	}
	return gone;
}

/* The view has ended. With no lock. */
void shm__shadow_end(struct metal_generic_shm *view)
{
	struct metal_generic_shm *shadow = view->shadow, *gone = shadow;
	struct shm__root *root = view->root;

	shadow->next = NULL;
	shm__mutex_lock(&root->lock);
	if (may_be_kept(view)) {
		gone = make_room(root, shadow->root->memory.size);
		shadow->next = root->spares;
		root->spares = shadow;
		root->spare_count++;
		root->spare_bytes += shadow->root->memory.size;
		shm__count(NULL, NULL, SHM__SPARES, 1);
	}
	shm__mutex_unlock(&root->lock);
	free_all(gone);
}

static bool fits(const struct metal_generic_shm *spare, size_t size)
{
	size_t have = spare->root->memory.size;

	return size <= have && have - size < shm__os_page_size();
}

/*
 * As new: nobody's before sees what the last one's device or program wrote, also not behind the part's end
 * or before the first hand-over.
 */
static int renew(struct metal_generic_shm *shadow, size_t size)
{
	struct shm__root *copy = shadow->root;
	struct shm__range *all;
	int error;

	shm__mutex_lock(&copy->lock);
	all = shm__range_at(&copy->ranges, 0);
	error = shm__prepare(copy, 0, copy->size, METAL_SHM_ACCESS_CPU_USER, METAL_SHM_DIR_DEV_RW);
	if (!error) {
		memset(shm__bytes(copy), 0, copy->memory.size);
		shm__cpu_writes(copy, all, SHM__CPU_DIRTY);
		copy->size = shadow->size = all->end = size;
	}
	shm__mutex_unlock(&copy->lock);
	return error;
}

/* A kept one for the view's part; NULL: there is none. With no lock but attach_lock. */
struct metal_generic_shm *shm__spare_take(struct metal_generic_shm *view, metal_shm_type type)
{
	struct metal_generic_shm **at, *shadow = NULL;
	struct shm__root *root = view->root;

	shm__mutex_lock(&root->lock);
	for (at = &root->spares; *at && !fits(*at, view->size); at = &(*at)->next)
		;
	if (*at)
		shadow = unlink_at(root, at);
	shm__mutex_unlock(&root->lock);
	if (!shadow)
		return NULL;
	if (shm__require(&shadow->root->properties, type, root->src->name, NULL) ||
	    renew(shadow, view->size)) {
		metal_shm_free(shadow, NULL);
		return NULL;
	}
	shm__count(root, view->dev, SHM__SPARES_USED, 1);
	return shadow;
}

static struct metal_generic_shm *take_all(struct shm__root *root)
{
	struct metal_generic_shm *gone = NULL;

	while (root->spares) {
		struct metal_generic_shm *shm = unlink_at(root, &root->spares);

		shm->next = gone;
		gone = shm;
	}
	return gone;
}

/* With the memory, which nobody has any more. */
void shm__spares_end(struct shm__root *root)
{
	free_all(take_all(root));
}

/* Those of a source, or all: whether there were any. With no lock but an attach_lock. */
bool shm__spares_drop(const struct metal_device *src)
{
	struct metal_generic_shm *gone, *all = NULL, **end = &all;
	bool any;

	shm__mutex_lock(&shm__registry);
	for (struct shm__root *root = shm__roots; root; root = root->next) {
		if (src && root->src != src)
			continue;
		shm__mutex_lock(&root->lock);
		gone = take_all(root);
		shm__mutex_unlock(&root->lock);
		for (*end = gone; *end; end = &(*end)->next)
			;
	}
	shm__mutex_unlock(&shm__registry);
	any = all != NULL;
	free_all(all);
	return any;
}
