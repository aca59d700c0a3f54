/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program leaves behind when it ends: memories that devices have, and such as it freed while parts
 * or views of them were in use. Other threads may still be at work, and this one may be inside an operation
 * of a device or the hook itself: nothing here waits for a lock.
 */
#include <stdio.h>

#include "core.h"

/* Who works on it rather than who has it idle. */
static const struct shm__range *find_held(struct shm__root *root,
					  const struct shm__holder **ret_holder)
{
	const struct shm__range *found = NULL;

	SHM__EACH_RANGE(range, &root->ranges, 0, root->size) {
		const struct shm__holder *holder = shm__main_holder(range);

		if (!holder || (found && !holder->pending))
			continue;
		found = range;
		*ret_holder = holder;
		if (holder->pending)
			break;
	}
	return found;
}

static void tell(struct shm__root *root)
{
	const char *name = root->name[0] ? root->name : "a buffer";
	const struct shm__holder *holder = NULL;
	const struct shm__range *range = find_held(root, &holder);

	if (range)
		shm__log_at_end("held at the program's end: %s of %s (%zu bytes): "
				"%s has bytes %zu to %zu%s, for %u ms%s",
				name, root->src->name, root->size,
				root->slots[holder->slot].dev->name, range->start, range->end,
				holder->pending ? ", at work" : ", idle",
				shm__os_now_ms() - holder->since_ms, root->freed ? ", freed" : "");
	else if (root->freed)
		shm__log_at_end("held at the program's end: %s of %s (%zu bytes): "
				"parts or views of it, freed for %u ms",
				name, root->src->name, root->size,
				shm__os_now_ms() - root->freed_ms);
}

void shm__tell_held(void)
{
	if (!shm__os_forked())
		shm__try_roots(tell);
}
