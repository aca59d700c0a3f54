/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks in shared memory: where the word is, who may have it, how to wait. See protocol/lock_word.h. */
#include <shm/lock.h>

#include "core.h"
#include "lock_word.h"

/* A lock that is held as short as it should be is free by then. */
#define SPINS 200

/* How long to sleep at most: threads are woken unless the owner died, firmware wakes nobody. */
#define FIRST_SLEEP_NS INT64_C(10000000)
#define FIRST_NAP_NS   INT64_C(50000)
#define LONGEST        4 /* doublings */

/*
 * Cache operations of the whole memory would write an old line over the word, or lose a new one. They
 * are made for devices that go past the cache, unless it is known that none is needed.
 */
static int check_parties(struct shm__root *root)
{
	struct metal_generic_shm *view;

	if (shm__is_coherent(root) || root->properties.cached == METAL_SHM_NO)
		return 0;
	RB_FOREACH(view, shm__view_tree, &root->views)
		if (!view->shadow && (shm__dirt_of(view->view.access) & SHM__DEV_DIRTY))
			return shm__error(
				ENOTSUP,
				"the memory is attached to %s and not known to be coherent "
				"with it: keep the lock in memory of its own",
				view->dev->name);
	return 0;
}

static bool is_writable(struct shm__root *root, size_t start)
{
	SHM__EACH_RANGE(range, &root->ranges, start, start + METAL_SHM_LOCK_SIZE)
		if (!range->mapped)
			return false;
	return true;
}

static int find_word(struct metal_generic_shm *shm, size_t offset, bool take,
		     shm__lock_word **ret_word)
{
	struct shm__root *root;
	char *address = NULL;
	int error = shm__handle_check(shm);

	if (error)
		return error;
	if (offset > shm->size || shm->size - offset < METAL_SHM_LOCK_SIZE)
		return shm__error(ERANGE, "a lock at %zu is outside the %zu bytes there are",
				  offset, shm->size);
	root = shm->root;
	shm__mutex_lock(&root->lock);
	if (is_writable(root, shm->offset + offset))
		address = shm__bytes(root) + shm->offset + offset;
	if (!address)
		error = shm__error(EINVAL, "map the memory for writing before its locks are used");
	else if (((uintptr_t)address | (shm->offset + offset)) % METAL_SHM_LOCK_SIZE)
		error = shm__error(EINVAL, "a lock's address is a multiple of %d",
				   METAL_SHM_LOCK_SIZE);
	else if (take)
		error = check_parties(root);
	if (!error && root->guard)
		shm__guard_lock_word(root, shm->offset + offset);
	shm__mutex_unlock(&root->lock);
	if (!error)
		*ret_word = (shm__lock_word *)(void *)address;
	return error;
}

static unsigned number(uint64_t word)
{
	return (unsigned)(word & METAL_SHM_LOCK_OWNER);
}

static const char *kind(uint64_t word)
{
	return number(word) < METAL_SHM_LOCK_FIRMWARE ? "thread" : "firmware";
}

static int inherited(uint64_t from)
{
	if (!number(from))
		return shm__error(EOWNERDEAD, "the lock's owner ended while it had it: the data "
					      "may be half written");
	return shm__error(
		EOWNERDEAD,
		"%s %u ended while it had the lock: it is yours, the data may be half written",
		kind(from), number(from));
}

static void rest(shm__lock_word *word, uint64_t seen, unsigned times, int64_t deadline_ns)
{
	const bool thread = seen >> 32;
	int64_t until = shm__os_now_ns() + ((thread ? FIRST_SLEEP_NS : FIRST_NAP_NS)
					    << (times < LONGEST ? times : LONGEST));

	if (deadline_ns != METAL_SHM_FOREVER && deadline_ns < until)
		until = deadline_ns;
	if (!thread)
		shm__os_lock_nap(until);
	else if (shm__lock_announce(word, seen))
		shm__os_lock_sleep(word, seen | METAL_SHM_LOCK_WAITERS, until);
}

static bool is_over(int64_t deadline_ns)
{
	return !deadline_ns || (deadline_ns > 0 && shm__os_now_ns() >= deadline_ns);
}

/* What one try came to: 0 or an error, or 1 where another has it. */
static int outcome(enum shm__lock_answer answer)
{
	switch (answer) {
	case SHM__LOCK_TAKEN:
		return 0;
	case SHM__LOCK_TAKEN_ENDED:
		return inherited(0);
	case SHM__LOCK_MINE:
		return shm__error(EDEADLK, "this thread has the lock already");
	case SHM__LOCK_BUSY:
		break;
	}
	return 1;
}

/* Whoever slept leaves the word saying that others may, since it can't know. */
static int take_slowly(shm__lock_word *word, uint64_t me, int64_t deadline_ns, int busy)
{
	uint64_t seen, waited_for = 0, extra = 0;
	unsigned tries = 0, rests = 0;

	for (;;) {
		int ret = outcome(shm__lock_try(word, me, extra, &seen));
		bool over;

		if (ret <= 0)
			return ret;
		if (deadline_ns && tries++ < SPINS)
			continue;
		over = is_over(deadline_ns);
		if ((over || waited_for == shm__lock_owner(seen)) && shm__os_lock_gone(seen) &&
		    shm__lock_inherit(word, me, extra, seen))
			return inherited(seen);
		if (over)
			return shm__error(busy, "%s %u has the lock", kind(seen), number(seen));
		waited_for = shm__lock_owner(seen);
		rest(word, seen, rests++, deadline_ns);
		extra = METAL_SHM_LOCK_WAITERS;
	}
}

static int take(struct metal_generic_shm *shm, size_t offset, int64_t timeout_ns, int busy)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	shm__lock_word *word;
	uint64_t me, seen;
	int ret = find_word(shm, offset, true, &word);

	if (ret)
		return ret;
	me = shm__os_lock_owner();
	ret = outcome(shm__lock_try(word, me, 0, &seen));
	return ret <= 0 ? ret : take_slowly(word, me, shm__deadline_ns(&deadline), busy);
}

int metal_shm_lock_init(struct metal_generic_shm *shm, size_t offset)
{
	shm__lock_word *word;
	int error = find_word(shm, offset, true, &word);

	if (!error)
		atomic_store_explicit(word, 0, memory_order_release);
	return error;
}

int metal_shm_lock(struct metal_generic_shm *shm, size_t offset)
{
	return take(shm, offset, METAL_SHM_FOREVER, ETIMEDOUT);
}

int metal_shm_lock_timeout(struct metal_generic_shm *shm, size_t offset, int64_t timeout_ns)
{
	return take(shm, offset, timeout_ns, ETIMEDOUT);
}

int metal_shm_trylock(struct metal_generic_shm *shm, size_t offset)
{
	return take(shm, offset, 0, EBUSY);
}

/* Somebody else has it, or nobody. */
static int not_the_owner(int error, const char *who, uint64_t seen)
{
	if (!number(seen))
		return shm__error(error, "%s doesn't have the lock, nobody has", who);
	return shm__error(error, "%s doesn't have the lock, %s %u has", who, kind(seen),
			  number(seen));
}

int metal_shm_unlock(struct metal_generic_shm *shm, size_t offset)
{
	shm__lock_word *word;
	uint64_t seen;
	int error = find_word(shm, offset, false, &word);

	if (error)
		return error;
	if (!shm__lock_give(word, shm__os_lock_owner(), &seen))
		return not_the_owner(EPERM, "this thread", seen);
	if (seen & METAL_SHM_LOCK_WAITERS)
		shm__os_lock_wake(word);
	return 0;
}

int metal_shm_lock_disown(struct metal_generic_shm *shm, size_t offset, uint32_t owner)
{
	shm__lock_word *word;
	uint64_t seen;
	int error = find_word(shm, offset, false, &word);

	if (error)
		return error;
	if (!owner || owner > METAL_SHM_LOCK_OWNER)
		return shm__error(EINVAL, "an owner's number is 1 to 0x%x",
				  number(METAL_SHM_LOCK_OWNER));
	if (!shm__lock_end(word, owner, &seen))
		return not_the_owner(ESRCH, "it", seen);
	shm__os_lock_wake(word);
	return 0;
}
