/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Barriers of an x86: see system.h. Loads and stores of cached memory keep their order here, so that only
 * the compiler must be told; what is combined, by the memory's kind or by the instruction, does not.
 */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include <stdbool.h>

static inline void shm__cpu_release(void)
{
	__asm__ volatile("sfence" ::: "memory");
}

static inline void shm__cpu_acquire(bool cached)
{
	if (cached)
		__asm__ volatile("" ::: "memory");
	else
		__asm__ volatile("lfence" ::: "memory");
}

#endif
