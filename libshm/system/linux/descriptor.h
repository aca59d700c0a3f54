/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of others, by its descriptor. */
#ifndef SHM_LINUX_DESCRIPTOR_H
#define SHM_LINUX_DESCRIPTOR_H

#include <stdbool.h>

#include <shm/device.h>

/*
 * A source for memory that comes from somebody who stays around. Closed with metal_shm_device_close();
 * it lives as long as a memory of it.
 */
int shm__import_source(const char *name, struct metal_device **ret_src);

/*
 * metal_shm_import(), from a source of shm__import_source(): the memory becomes known as its, and -EEXIST
 * if this process has it from elsewhere. NULL: from nobody in particular, wherever it is known from.
 */
int shm__import(int borrow_fd, uint64_t offset, size_t size, struct metal_device *src,
		struct metal_generic_shm **ret_shm);

/* The same, of memory that nobody here is to write, whatever the descriptor allows. */
int shm__import_read_only(int borrow_fd, uint64_t offset, size_t size, struct metal_device *src,
			  struct metal_generic_shm **ret_shm);

/* Open for reading only, or sealed against more mappings that write. */
bool shm__fd_is_read_only(int fd);

#endif
