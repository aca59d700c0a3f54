/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_OS_TYPES_H
#define SHM_OS_TYPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define SHM__MAX_DEVICES 64
#define SHM__HOLDERS     7
#define SHM__REASON_SIZE 1024

/* A frame's own short ways, in one piece: gcc 12 left calls of 40 instructions in them. */
#define SHM__SHORT_WAYS 1
#define SHM__FLAT       static inline __attribute__((always_inline))

typedef pthread_mutex_t shm__mutex;
typedef pthread_t shm__thread;

#define SHM__MUTEX_INITIALISER PTHREAD_MUTEX_INITIALIZER

extern atomic_bool shm__os_fork_flag __attribute__((visibility("hidden")));

static inline bool shm__os_forked(void)
{
	return atomic_load_explicit(&shm__os_fork_flag, memory_order_relaxed);
}

static inline uint32_t shm__os_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec * 1000u + (uint32_t)now.tv_nsec / 1000000u;
}

static inline void shm__mutex_lock(shm__mutex *mutex)
{
	pthread_mutex_lock(mutex);
}

static inline bool shm__mutex_trylock(shm__mutex *mutex)
{
	return !pthread_mutex_trylock(mutex);
}

static inline void shm__mutex_unlock(shm__mutex *mutex)
{
	pthread_mutex_unlock(mutex);
}

static inline shm__thread shm__os_thread(void)
{
	return pthread_self();
}

static inline bool shm__os_is_thread(shm__thread thread)
{
	return pthread_equal(thread, pthread_self());
}

#endif
