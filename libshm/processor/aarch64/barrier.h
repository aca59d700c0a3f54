/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers of an Arm of 64 bits: see system.h. Devices are in the outer shareable domain. */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include <stdbool.h>

static inline void shm__cpu_release(void)
{
	__asm__ volatile("dmb osh" ::: "memory");
}

static inline void shm__cpu_acquire(bool cached)
{
	(void)cached;
	__asm__ volatile("dmb oshld" ::: "memory");
}

#endif
