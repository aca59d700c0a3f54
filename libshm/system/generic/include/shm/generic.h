/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file generic.h
 * libshm on a processor without an operating system: what the firmware tells it of its platform.
 *
 * The library allocates nothing. Its records are in tables of fixed size (tables.h, set when it is
 * built); what doesn't fit is -ENOMEM. A part of memory is mapped where it is, so metal_shm_map() answers
 * its address. docs/porting.md goes through all of it. The conventions of shm.h hold.
 */
#ifndef METAL_SHM_GENERIC_H
#define METAL_SHM_GENERIC_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What the library asks of a platform. What is not there is NULL or 0.
 *
 * The functions are called from wherever the library is, with its locks held; they call nothing of it.
 */
struct metal_shm_platform {
	uint32_t struct_size;
	/**
	 * Bytes of a line of the data cache, a power of two. 0: there is none, or all that touches the
	 * memory sees through it; then the cache operations are never called.
	 */
	uint32_t cache_line;
	/** The number that this processor's first hart or core has in lock words; see lock.h. */
	uint32_t lock_owner;
	uint32_t reserved;
	/** Monotonic nanoseconds. Not NULL. */
	int64_t (*now_ns)(void);
	/** Write dirty lines back to memory, and keep them. @p length is a multiple of the line. */
	void (*cache_clean)(uintptr_t address, size_t length);
	/** Forget lines, which are clean, so that the next read is memory's. */
	void (*cache_invalidate)(uintptr_t address, size_t length);
	/**
	 * Keep whatever else runs on this hart and uses the library (interrupt handlers, other tasks) away,
	 * and answer what unmask needs to undo it; with unmask. NULL: nothing else does.
	 */
	unsigned long (*mask)(void);
	void (*unmask)(unsigned long state);
	/** Wait a little: for an interrupt, some microseconds or not at all. */
	void (*relax)(void);
	/** Which hart or core this is, from 0. NULL: there is one. */
	unsigned (*processor)(void);
};

/**
 * Tell the library what it runs on. Before any other call, once.
 *
 * @param platform  copied
 * @return 0; -EINVAL no struct_size, no clock, a line that is no power of two or has no operations, half of
 *         a pair, or a lock owner below METAL_SHM_LOCK_FIRMWARE; -EALREADY; -ENOMEM
 */
int metal_shm_platform_set(const struct metal_shm_platform *platform);

/**
 * What the library was told, for libraries above it.
 *
 * @return the platform; NULL when none was set
 */
const struct metal_shm_platform *metal_shm_platform(void);

/**
 * Make a buffer of memory at an address.
 *
 * As metal_shm_wrap(), but devices may work on it past the cache: hand-overs run the platform's cache
 * operations, in lines.
 *
 * @param address  the memory; both it and @p size are multiples of the cache's line
 * @param size     bytes, at least 1
 * @return a buffer with one reference; NULL with errno EINVAL (no platform yet, no memory, not whole lines),
 *         EOVERFLOW (the range wraps around) or ENOMEM
 */
struct metal_generic_shm *metal_shm_at(void *address, size_t size);

/**
 * What a source of memory does in its sync_for_cpu and sync_for_device, see device.h.
 *
 * @param address  the first byte
 * @param length   bytes; lines that they share with others are synced too
 * @param dir      as there
 */
void metal_shm_cache_for_cpu(const void *address, size_t length, enum metal_shm_dir dir);
void metal_shm_cache_for_device(const void *address, size_t length, enum metal_shm_dir dir);

#ifdef __cplusplus
}
#endif
#endif
