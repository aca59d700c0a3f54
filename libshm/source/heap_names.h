/* SPDX-License-Identifier: BSD-3-Clause */
/* Which heaps there are, and what to make of a name for one. */
#ifndef SHM_SOURCE_HEAP_NAMES_H
#define SHM_SOURCE_HEAP_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define SHM__HEAP_DIR "/dev/dma_heap"

/* Bytes of a heap's name with its NUL, so that "heap:NAME" fits a device's name. */
#define SHM__HEAP_NAME_SIZE 100

/* -EINVAL, with a reason, unless @name can be an entry of the directory. */
int shm__heap_name_check(const char *name);

/*
 * The kernel's default CMA heap: its name changed with the kernel, its role is "contiguous".
 */
bool shm__heap_is_contiguous_role(const char *name);

/* The i-th node to try for @name, or NULL after the last. */
const char *shm__heap_candidate(const char *name, size_t i);

/* Call @found with each heap: system, the CMA heap, the others by name; until it answers non-zero. */
int shm__heap_each(int (*found)(void *user, const char *name), void *user);

/* -ENOENT with a reason that lists what there is instead. */
int shm__heap_missing(const char *name);

#endif
