/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_OS_TYPES_H
#define SHM_OS_TYPES_H

#include <pthread.h>

typedef pthread_mutex_t shm__mutex;

#define SHM__MUTEX_INITIALISER PTHREAD_MUTEX_INITIALIZER

#endif
