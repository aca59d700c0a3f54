/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lock word of <shm/lock.h>, one step at a time: what Linux and firmware have in common. It needs
 * C11's atomics and nothing else; who waits, and how, is the caller's.
 */
#ifndef SHM_LOCK_WORD_H
#define SHM_LOCK_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <shm/lock.h>

/* A lock inside the atomic operation would be one of this party alone. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the lock word needs 64-bit atomic operations");
_Static_assert(sizeof(_Atomic uint64_t) == METAL_SHM_LOCK_SIZE, "the word is its 8 bytes");

typedef _Atomic uint64_t shm__lock_word;

enum shm__lock_answer {
	SHM__LOCK_TAKEN,
	SHM__LOCK_TAKEN_ENDED, /* and the last owner ended while it had it */
	SHM__LOCK_BUSY,        /* another has it, or was faster */
	SHM__LOCK_MINE,        /* already */
};

/* Owner and stamp; nobody's are 0. */
static inline uint64_t shm__lock_owner(uint64_t word)
{
	if (!(word & METAL_SHM_LOCK_OWNER))
		return 0;
	return word & ~(METAL_SHM_LOCK_ENDED | METAL_SHM_LOCK_WAITERS);
}

/*
 * One try for me, an owner with its stamp. extra is METAL_SHM_LOCK_WAITERS where others may be asleep
 * that the word doesn't tell of. seen receives what stood there.
 */
static inline enum shm__lock_answer shm__lock_try(shm__lock_word *word, uint64_t me, uint64_t extra,
						  uint64_t *seen)
{
	*seen = atomic_load_explicit(word, memory_order_relaxed);
	if (shm__lock_owner(*seen) == me)
		return SHM__LOCK_MINE;
	if ((*seen & METAL_SHM_LOCK_OWNER) ||
	    !atomic_compare_exchange_strong_explicit(word, seen,
						     me | extra | (*seen & METAL_SHM_LOCK_WAITERS),
						     memory_order_acquire, memory_order_relaxed))
		return SHM__LOCK_BUSY;
	return *seen & METAL_SHM_LOCK_ENDED ? SHM__LOCK_TAKEN_ENDED : SHM__LOCK_TAKEN;
}

/* Take it from an owner that is known to have ended, if it still stands there. */
static inline bool shm__lock_inherit(shm__lock_word *word, uint64_t me, uint64_t extra,
				     uint64_t dead)
{
	return atomic_compare_exchange_strong_explicit(word, &dead,
						       me | extra | (dead & METAL_SHM_LOCK_WAITERS),
						       memory_order_acquire, memory_order_relaxed);
}

/* Announce that somebody will sleep; false: the word changed meanwhile. */
static inline bool shm__lock_announce(shm__lock_word *word, uint64_t seen)
{
	if (seen & METAL_SHM_LOCK_WAITERS)
		return true;
	return atomic_compare_exchange_strong_explicit(word, &seen, seen | METAL_SHM_LOCK_WAITERS,
						       memory_order_relaxed, memory_order_relaxed);
}

/* Give it back, if it is mine; seen then tells whether somebody sleeps. */
static inline bool shm__lock_give(shm__lock_word *word, uint64_t me, uint64_t *seen)
{
	*seen = atomic_load_explicit(word, memory_order_relaxed);
	if (shm__lock_owner(*seen) != me)
		return false;
	*seen = atomic_exchange_explicit(word, 0, memory_order_release);
	return true;
}

/* For an owner, by its number, that can't do it any more. */
static inline bool shm__lock_end(shm__lock_word *word, uint32_t owner, uint64_t *seen)
{
	*seen = atomic_load_explicit(word, memory_order_relaxed);
	while ((*seen & METAL_SHM_LOCK_OWNER) == owner)
		if (atomic_compare_exchange_weak_explicit(
			    word, seen, METAL_SHM_LOCK_ENDED | (*seen & METAL_SHM_LOCK_WAITERS),
			    memory_order_acq_rel, memory_order_relaxed))
			return true;
	return false;
}

#endif
