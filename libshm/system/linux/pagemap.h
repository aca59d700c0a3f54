/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_LINUX_PAGEMAP_H
#define SHM_LINUX_PAGEMAP_H

#include <stddef.h>

#include <shm/shm.h>

/*
 * The physical addresses of mapped bytes, runs joined; *ret_segments is the caller's to free().
 *
 * The pages must be there, and stay where they are while the addresses are used. -EPERM: the kernel shows
 * no addresses to who has no CAP_SYS_ADMIN; -ENODATA a page isn't there; -ENOMEM; each with its reason.
 */
int shm__pagemap_segments(const void *address, size_t size, struct metal_shm_segment **ret_segments,
			  size_t *ret_n);

#endif
