/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources share about memory that comes in pages. */
#ifndef SHM_SOURCE_PAGES_H
#define SHM_SOURCE_PAGES_H

#include <stddef.h>

#include <shm/device.h>

size_t shm__page_size(void);

/* The operation `properties` of what the kernel gives page by page, and no driver imports. */
int shm__pages_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			  struct metal_shm_properties *ret);

/* Whole pages for @size bytes, at most PTRDIFF_MAX of them; -EOVERFLOW. */
int shm__round_to_pages(size_t size, const char *name, size_t *ret_size);

/*
 * -ENOMEM if the machine has no @size bytes left for memory that can't be swapped: the kernel's
 * allocators for it kill processes before they give up.
 */
int shm__check_available(size_t size, const char *name);

/* -ENOMEM if the machine never has @size bytes: memory that comes at first touch would end in a kill. */
int shm__check_total(size_t size, const char *name);

/*
 * A memfd of whole pages for @size bytes, sealed against every change of its size; @name is the
 * source's, for the reason. -EOVERFLOW, -ENOMEM, -EMFILE, -ENFILE.
 */
int shm__memfd_create(size_t size, const char *name, size_t *ret_size, int *ret_fd);

#endif
