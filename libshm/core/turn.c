/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for one's turn: work of others that is queued on the bytes, then the fences of drivers. */
#include <stdio.h>

#include "core.h"

/* Work of others that this access may not overlap; for the program, of the accesses that it ends. */
static bool stands_against(const struct shm__root *root, const struct shm__holder *holder,
			   const struct shm__turn *turn)
{
	if (!holder->pending)
		return false;
	if (!turn->taker)
		return holder->dir & (unsigned)turn->dir;
	return root->slots[holder->slot].dev != turn->taker &&
	       ((holder->dir | (unsigned)turn->dir) & METAL_SHM_DIR_DEV_W);
}

static struct shm__range *first_conflict(struct shm__root *root, const struct shm__turn *turn,
					 struct shm__holder **ret_holder)
{
	SHM__EACH_RANGE(range, &root->ranges, turn->start, turn->end) {
		for (unsigned i = 0; i < range->holders; i++) {
			if (stands_against(root, &range->holder[i], turn)) {
				*ret_holder = &range->holder[i];
				return range;
			}
		}
	}
	return NULL;
}

static bool anyone(struct shm__root *root, const struct shm__turn *turn)
{
	struct shm__holder *holder;

	return root->pending && first_conflict(root, turn, &holder);
}

static void add_device(struct metal_device *devs[], size_t *n, struct metal_device *dev)
{
	for (size_t i = 0; i < *n; i++)
		if (devs[i] == dev)
			return;
	if (*n == SHM__MAX_DEVICES)
		return;
	shm__device_ref(dev);
	devs[(*n)++] = dev;
}

static size_t holders_of(struct shm__root *root, const struct shm__turn *turn,
			 struct metal_device *devs[])
{
	size_t n = 0;

	SHM__EACH_RANGE(range, &root->ranges, turn->start, turn->end)
		for (unsigned i = 0; i < range->holders; i++)
			if (stands_against(root, &range->holder[i], turn))
				add_device(devs, &n, root->slots[range->holder[i].slot].dev);
	return n;
}

/* Whom to dispatch while waiting: the holders, and a pool's other devices, so that none starves. */
static size_t devices_to_wait_for(struct shm__root *root, const struct shm__turn *turn,
				  struct metal_device *devs[])
{
	struct metal_device *const *others;
	size_t n = holders_of(root, turn, devs), count;

	if (root->pool) {
		count = shm__pool_devices(root->pool, &others);
		for (size_t i = 0; i < count; i++)
			add_device(devs, &n, others[i]);
	}
	return n;
}

/* Of those who have a range the one to name: who works on it, who writes it. Under the memory's lock. */
const struct shm__holder *shm__main_holder(const struct shm__range *range)
{
	const struct shm__holder *holder = NULL;

	for (unsigned i = 0; i < range->holders; i++)
		if (!holder || (range->holder[i].pending && !holder->pending) ||
		    (range->holder[i].dir & ~holder->dir & METAL_SHM_DIR_DEV_W))
			holder = &range->holder[i];
	return holder;
}

static unsigned held_for_ms(const struct shm__holder *holder)
{
	return (unsigned)(shm__os_now_ms() - holder->since_ms);
}

/* Who has the bytes of a range, for a reason. Under the memory's lock. */
int shm__error_held(const struct shm__root *root, const struct shm__range *range, int error,
		    const char *what)
{
	const struct shm__holder *holder = shm__main_holder(range);

	if (!holder)
		return shm__error(error, "%sbytes %zu to %zu are nobody's yet", what, range->start,
				  range->end);
	return shm__error(error, "%s%s has bytes %zu to %zu for %u ms", what,
			  root->slots[holder->slot].dev->name, range->start, range->end,
			  held_for_ms(holder));
}

static int too_late(struct shm__root *root, const struct shm__turn *turn)
{
	struct shm__holder *holder;
	struct shm__range *range = first_conflict(root, turn, &holder);

	if (!range)
		return 0;
	return shm__error(ETIMEDOUT, "%s still has the buffer (bytes %zu to %zu, for %u ms)",
			  root->slots[holder->slot].dev->name, range->start, range->end,
			  held_for_ms(holder));
}

/*
 * A device that was given bytes until further notice is told that somebody waits for them, and again each
 * time that they aren't back: it may have learned that they won't come.
 */
static int recall(struct shm__root *root, const struct shm__turn *turn)
{
	const struct metal_shm_range range = { turn->start, turn->end - turn->start };
	struct metal_device *devs[SHM__MAX_DEVICES];
	size_t n = holders_of(root, turn, devs);
	int error = 0;

	shm__mutex_unlock(&root->lock);
	for (size_t i = 0; i < n; i++) {
		if (!error && devs[i]->ops->recall)
			error = devs[i]->ops->recall(devs[i], &root->memory, &range);
		shm__device_unref(devs[i]);
	}
	shm__mutex_lock(&root->lock);
	return error;
}

/* Wait once, unlocked, until something may have changed. The ranges may be others afterwards. */
static int wait_for_holders(struct shm__root *root, const struct shm__turn *turn,
			    struct shm__deadline *deadline)
{
	struct metal_device *devs[SHM__MAX_DEVICES];
	struct shm__waiter waiter = { .wake = shm__os_thread_wake() };
	size_t n;
	int error;

	if (!waiter.wake)
		return shm__error(EMFILE, "no descriptor left to wait with");
	n = devices_to_wait_for(root, turn, devs);
	waiter.next = root->waiters;
	root->waiters = &waiter;
	shm__count(root, NULL, SHM__WAITS, 1);
	shm__trace(root, turn->taker, SHM__TRACE_WAIT, turn->start, turn->end - turn->start, 0);
	shm__mutex_unlock(&root->lock);

	error = shm__wait_devices(devs, n, waiter.wake, deadline);

	shm__trace(root, turn->taker, SHM__TRACE_WAITED, turn->start, turn->end - turn->start, 0);
	shm__mutex_lock(&root->lock);
	shm__waiter_remove(&root->waiters, &waiter);
	shm__mutex_unlock(&root->lock);
	for (size_t i = 0; i < n; i++)
		shm__device_unref(devs[i]);
	shm__mutex_lock(&root->lock);
	return error == -ETIMEDOUT ? too_late(root, turn) : error;
}

/*
 * Wait until no work stands against the access and no fence is pending, in that order, again as long
 * as the one needed unlocking for the other.
 */
int shm__wait_long(struct shm__root *root, const struct shm__turn *turn,
		   struct shm__deadline *deadline)
{
	int error = 0;

	do {
		while (!error && anyone(root, turn)) {
			error = recall(root, turn);
			if (!error && anyone(root, turn))
				error = wait_for_holders(root, turn, deadline);
		}
		if (!error)
			error = shm__wait_fences(root, turn, deadline);
	} while (!error && anyone(root, turn));
	return error;
}
