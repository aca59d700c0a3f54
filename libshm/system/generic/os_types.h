/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_OS_TYPES_H
#define SHM_OS_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SHM__MAX_DEVICES 8
#define SHM__HOLDERS     3
#define SHM__REASON_SIZE 160

/* One way for all, once: firmware has less room than time. */
#define SHM__SHORT_WAYS 0
#define SHM__FLAT       static

typedef struct {
	atomic_uint taken; /* a word: some processors exchange no bytes */
} shm__mutex;
typedef unsigned shm__thread;

#define SHM__MUTEX_INITIALISER \
	{                      \
		0              \
	}

static inline bool shm__os_forked(void)
{
	return false;
}

uint32_t shm__os_now_ms(void);
void shm__mutex_lock(shm__mutex *mutex);
bool shm__mutex_trylock(shm__mutex *mutex);
void shm__mutex_unlock(shm__mutex *mutex);
shm__thread shm__os_thread(void);
bool shm__os_is_thread(shm__thread thread);

#endif
