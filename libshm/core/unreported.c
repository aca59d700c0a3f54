/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes that metal_shm_wrote() should have reported. A guarded memory has a copy of the bytes as they
 * were when the program got them; what differs at the hand-over and wasn't reported is told. Told and no
 * more: the devices see what they see without a guard, so that a fault looks the same in both.
 */
#include <stdio.h>
#include <string.h>

#include <shm/lock.h>

#include "guard.h"

#define STEP 256 /* bytes that are compared at once */

int shm__unreported_begin(struct shm__root *root)
{
	struct shm__guard *guard = root->guard;

	guard->before = shm__os_alloc(root->size);
	if (!guard->before)
		return shm__error(ENOMEM, "no memory for a guard's copy of the bytes");
	/* what devices have is copied when it is taken back; now they may be writing it */
	SHM__EACH_RANGE(range, &root->ranges, 0, root->size)
		if (range->flags & SHM__OWNED)
			shm__guard_remember(root, range->start, range->end);
	return 0;
}

void shm__unreported_end(struct shm__guard *guard)
{
	shm__os_free(guard->before);
	guard->before = NULL;
}

void shm__guard_remember(struct shm__root *root, size_t start, size_t end)
{
	struct shm__guard *guard = root->guard;

	if (guard->before)
		memcpy(guard->before + start, guard->bytes + start, end - start);
}

/* Whoever has a lock changes its word at any time, and reports nothing. Without memory one is told of. */
void shm__guard_lock_word(struct shm__root *root, size_t offset)
{
	struct shm__guard *guard = root->guard;
	size_t *more;

	for (size_t i = 0; i < guard->lock_count; i++)
		if (guard->locks[i] == offset)
			return;
	more = shm__os_alloc((guard->lock_count + 1) * sizeof(*more));
	if (!more)
		return;
	if (guard->lock_count)
		memcpy(more, guard->locks, guard->lock_count * sizeof(*more));
	more[guard->lock_count] = offset;
	shm__os_free(guard->locks);
	guard->locks = more;
	guard->lock_count++;
}

static bool is_in_lock(const struct shm__guard *guard, size_t at)
{
	for (size_t i = 0; i < guard->lock_count; i++)
		if (at - guard->locks[i] < METAL_SHM_LOCK_SIZE)
			return true;
	return false;
}

static void compare(struct shm__guard *guard, size_t start, size_t end)
{
	struct shm__unreported *found = &guard->found;

	for (size_t at = start, to; at < end; at = to) {
		to = end - at > STEP ? at + STEP : end;
		if (!memcmp(guard->before + at, guard->bytes + at, to - at))
			continue;
		for (size_t i = at; i < to; i++) {
			if (guard->before[i] == guard->bytes[i] || is_in_lock(guard, i))
				continue;
			if (!found->bytes++)
				found->offset = i;
			if (found->offset + found->length == i)
				found->length++;
		}
	}
}

/* Before the bytes go: what of them the program had and says nothing of. */
void shm__guard_compare(struct metal_generic_shm *view)
{
	size_t start = view->offset, end = start + view->size;
	struct shm__guard *guard = view->root->guard;

	guard->found = (struct shm__unreported){ 0 };
	if (!guard->before)
		return;
	SHM__EACH_RANGE(range, &view->root->ranges, start, end) {
		unsigned flags = range->flags & (SHM__OWNED | SHM__WRITTEN | SHM__REPORTED);

		if (flags == (SHM__OWNED | SHM__REPORTED))
			compare(guard, range->start > start ? range->start : start,
				range->end < end ? range->end : end);
	}
}

/* Whose hand the write was can't be known where others have the memory too. */
void shm__unreported_tell(struct metal_generic_shm *view, const char *site)
{
	const struct shm__root *root = view->root;
	const struct shm__unreported *found = &root->guard->found;
	char line[512];

	if (!found->bytes)
		return;
	snprintf(line, sizeof(line),
		 "unreported write to %s of %s (%zu bytes): %zu at offset %zu, %zu in all, changed "
		 "without metal_shm_wrote()%s; handed to %s by %s",
		 root->name[0] ? root->name : "a buffer", root->src->name, root->size,
		 found->length, found->offset, found->bytes,
		 root->unusual & SHM__SHARED ? ", here or where else the memory is mapped" : "",
		 view->dev->name, site);
	shm__count(view->root, view->dev, SHM__MISUSE, 1);
	if (shm__logs(METAL_SHM_LOG_ERROR))
		shm__log(METAL_SHM_LOG_ERROR, "%s", line);
	else
		shm__os_guard_say(line);
}
