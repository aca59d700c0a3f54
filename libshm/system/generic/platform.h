/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of system/generic. */
#ifndef SHM_PLATFORM_H
#define SHM_PLATFORM_H

#include <shm/generic.h>

extern struct metal_shm_platform shm__platform;

unsigned shm__os_processor(void);
void shm__os_relax(void);

int shm__memory_begin(void);

/* Alone on this hart until the matching one; they nest. */
void shm__os_mask(void);
void shm__os_unmask(void);

#endif
