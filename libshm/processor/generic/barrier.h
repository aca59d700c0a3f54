/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers of any processor: see system.h. */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

static inline void shm__cpu_release(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

static inline void shm__cpu_acquire(bool cached)
{
	(void)cached;
	atomic_thread_fence(memory_order_seq_cst);
}

#endif
