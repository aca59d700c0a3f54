/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include <stdbool.h>

static inline void shm__cpu_release(void)
{
	__asm__ volatile("fence iorw, ow" ::: "memory");
}

static inline void shm__cpu_acquire(bool cached)
{
	(void)cached;
	__asm__ volatile("fence ir, iorw" ::: "memory");
}

#endif
