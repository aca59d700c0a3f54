/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file lock.h
 * A lock in shared memory, for data that isn't handed over whole.
 *
 * One word of 8 bytes, at a place of the program's choosing, that threads, processes and firmware take
 * and give back by atomic operations. The library keeps nothing beside it: zeroed memory is a free lock,
 * and it is gone with its memory. docs/locks.md has an example, and the loop for firmware.
 *
 * The word, in the processors' byte order, here little-endian:
 *
 *	byte 0..3  bit 0..29  the owner, 0: nobody. A Linux thread is its number (gettid()); firmware has
 *	                      one given by whoever designs the system, from METAL_SHM_LOCK_FIRMWARE on
 *	           bit 30     the last owner ended while it had the lock; whoever takes it clears the bit
 *	           bit 31     a thread may be asleep until the lock is free. Firmware keeps it while it
 *	                      takes the lock, clears it with the owner and wakes nobody
 *	byte 4..7  the owner's stamp: 0 for firmware, and for nobody. A thread has one by which libshm
 *	           tells whether it is still there, opaque to others
 *
 * It is taken by an atomic compare-and-exchange (or load-reserved and store-conditional) of what was
 * seen with owner 0 to one's own, and given back by one to 0; a party with 32-bit operations only may do
 * so with bytes 0 to 3, which hold all that it needs. Taking is an acquire and giving back a release in
 * C11's memory model: what one owner wrote before, the next one sees.
 *
 * All parties must see the word's cache line coherently. Threads of one Linux always do. Firmware does
 * in memory that is coherent with it, or uncached where the interconnect carries atomic operations.
 * Where a device that goes past the cache is attached to memory that isn't known to be coherent or
 * uncached, cache operations would destroy the word, so it is refused. Each process can tell that only
 * of its own attachments: a lock is best kept in memory of its own.
 *
 * A lock has nothing to do with ownership: keep it, and what it guards, out of what is handed over.
 * The conventions of shm.h hold.
 */
#ifndef METAL_SHM_LOCK_H
#define METAL_SHM_LOCK_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a lock; its address in the memory and in the program is a multiple of it. */
#define METAL_SHM_LOCK_SIZE 8

/** The word's bits: owner, owner ended, somebody sleeps. The rest is the stamp. */
#define METAL_SHM_LOCK_OWNER   UINT64_C(0x3fffffff)
#define METAL_SHM_LOCK_ENDED   UINT64_C(0x40000000)
#define METAL_SHM_LOCK_WAITERS UINT64_C(0x80000000)

/** The first owner number that is no Linux thread's. The last one is METAL_SHM_LOCK_OWNER. */
#define METAL_SHM_LOCK_FIRMWARE UINT32_C(0x20000000)

/**
 * Make a lock that nobody has, whatever was there before.
 *
 * Needed only where the memory isn't zeroed. Nobody may be using the lock.
 *
 * @param shm     any handle whose memory is mapped for writing by metal_shm_map()
 * @param offset  bytes from the start of @p shm's range
 * @return 0; -EINVAL not a handle, not mapped for writing, or an address that is no multiple of
 *         METAL_SHM_LOCK_SIZE; -ERANGE outside @p shm's range; -ENOTSUP the memory is attached to a
 *         device that doesn't see the CPU's cache (the reason names it); -EPERM in a forked child
 */
int metal_shm_lock_init(struct metal_generic_shm *shm, size_t offset);

/**
 * Take a lock, waiting for it without limit.
 *
 * The calling thread becomes the owner. Spins shortly, then sleeps until a thread gives the lock back;
 * looks again after at most a millisecond while firmware has it, which wakes nobody, and in the memory
 * of a DMA-BUF, on which Linux lets nobody sleep. An
 * owner that ended, killed for instance, is noticed within a fifth of a second if it was a thread of
 * this PID namespace.
 * Pairs with metal_shm_unlock(). The memory must stay mapped until then.
 *
 * @param shm     as for metal_shm_lock_init()
 * @param offset  as for metal_shm_lock_init()
 * @return 0 the lock is the caller's. -EOWNERDEAD it is the caller's too, and the last owner ended while
 *         it had it: the data may be half written (told once). -EDEADLK the caller has it already;
 *         -EINVAL, -ERANGE, -ENOTSUP, -EPERM as metal_shm_lock_init()
 */
int metal_shm_lock(struct metal_generic_shm *shm, size_t offset);

/**
 * metal_shm_lock() with a limit.
 *
 * @param shm         as there
 * @param offset      as there
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return as there; -ETIMEDOUT another has it still (the reason names the owner)
 */
int metal_shm_lock_timeout(struct metal_generic_shm *shm, size_t offset, int64_t timeout_ns);

/**
 * Take a lock if nobody has it.
 *
 * Where it fails it asks whether the owner is still there, which takes some microseconds.
 *
 * @param shm     as for metal_shm_lock_init()
 * @param offset  as for metal_shm_lock_init()
 * @return as metal_shm_lock(); -EBUSY another has it
 */
int metal_shm_trylock(struct metal_generic_shm *shm, size_t offset);

/**
 * Give a lock back, and wake a thread that waits for it.
 *
 * Works whatever was attached since it was taken.
 *
 * @param shm     as for metal_shm_lock_init(); any handle of the same memory
 * @param offset  bytes from the start of @p shm's range
 * @return 0; -EPERM the calling thread doesn't have it, or is in a forked child; -EINVAL, -ERANGE as
 *         metal_shm_lock_init()
 */
int metal_shm_unlock(struct metal_generic_shm *shm, size_t offset);

/**
 * Say that the owner of a lock has ended, so that the next one gets -EOWNERDEAD.
 *
 * For what the library can't find out: firmware that was stopped, a process of another PID namespace.
 * If that owner still runs, two have the lock. Works whatever is attached.
 *
 * @param shm     as for metal_shm_lock_init()
 * @param offset  as for metal_shm_lock_init()
 * @param owner   its number, 1 to METAL_SHM_LOCK_OWNER
 * @return 0; -ESRCH the lock isn't @p owner's (the reason says whose it is), nothing changed; -EINVAL
 *         also for another number; -ERANGE, -EPERM as metal_shm_lock_init()
 */
int metal_shm_lock_disown(struct metal_generic_shm *shm, size_t offset, uint32_t owner);

#ifdef __cplusplus
}
#endif
#endif
