/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shadows whose view is gone while they have bytes that nothing else has: where bringing these home
 * would destroy a neighbour's they wait here, until whoever takes them makes that possible. All under the
 * memory's lock, but for the end.
 */
#include "core.h"

/* Nobody works on it any more. What it has is made safe from the device's detach, which is a START. */
static int quiet(struct shm__root *copy)
{
	int error;

	shm__mutex_lock(&copy->lock);
	error = shm__prepare(copy, 0, copy->size, METAL_SHM_ACCESS_CPU_USER, METAL_SHM_DIR_DEV_R);
	if (!error)
		error = shm__settle_locked(copy);
	shm__mutex_unlock(&copy->lock);
	return error;
}

/* A record stands for the view, which ends like any other. */
int shm__orphan(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	struct metal_generic_shm *orphan = shm__os_alloc(sizeof(*orphan));
	int error = orphan ? quiet(view->shadow->root) : -ENOMEM;

	if (error) {
		shm__os_free(orphan);
		return error;
	}
	orphan->kind = SHM__VIEW;
	orphan->root = root;
	orphan->offset = view->offset;
	orphan->size = view->size;
	orphan->view.access = METAL_SHM_ACCESS_CPU_USER;
	orphan->shadow = metal_shm_ref(view->shadow);
	orphan->copied = view->copied;
	orphan->next = root->orphans;
	root->orphans = orphan;
	root->shadows++;
	SHM__EACH_RANGE(range, &root->ranges, view->offset, view->offset + view->size)
		if (range->newest == view)
			range->newest = orphan;
	return 0;
}

static bool is_needed(const struct metal_generic_shm *orphan)
{
	SHM__EACH_RANGE(range, &orphan->root->ranges, orphan->offset, orphan->offset + orphan->size)
		if (range->newest == orphan)
			return true;
	return false;
}

/* Those that nothing is in any more, or all: a list for shm__orphans_free(). */
struct metal_generic_shm *shm__orphans_take(struct shm__root *root, bool all)
{
	struct metal_generic_shm **at = &root->orphans, *orphan, *taken = NULL;

	while ((orphan = *at) != NULL) {
		if (!all && is_needed(orphan)) {
			at = &orphan->next;
			continue;
		}
		*at = orphan->next;
		orphan->next = taken;
		taken = orphan;
		shm__shadow_gone(root);
	}
	return taken;
}

/* Without any lock. */
void shm__orphans_free(struct metal_generic_shm *list)
{
	struct metal_generic_shm *orphan;

	while ((orphan = list) != NULL) {
		list = orphan->next;
		metal_shm_free(orphan->shadow, NULL);
		shm__os_free(orphan);
	}
}
