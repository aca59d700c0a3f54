/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings under a cl_mem. A kernel's argument can keep a cl_mem alive after detach, and a runtime may
 * still write to its host pointer when it goes; so the mapping stays until then. What is left of it
 * after detach is a plain mmap of a descriptor, which needs no libshm to be undone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

static int map(const struct metal_shm_attachment *at, bool *ret_writable, void **ret_address)
{
	int error = metal_shm_importer_map(at, METAL_SHM_READ | METAL_SHM_WRITE, ret_address);

	*ret_writable = !error;
	if (error == -EACCES || error == -EPERM)
		error = metal_shm_importer_map(at, METAL_SHM_READ, ret_address);
	return error;
}

/* All of the memory is mapped, whatever range the view stands for. */
int shm__cl_mapping_open(const struct metal_shm_attachment *at, bool *ret_writable,
			 struct shm__cl_mapping **ret_mapping)
{
	struct shm__cl_mapping *mapping = calloc(1, sizeof(*mapping));
	void *address;
	int error;

	if (!mapping)
		return metal_shm_set_error(ENOMEM, "no memory for a mapping's record");
	error = map(at, ret_writable, &address);
	if (error) {
		free(mapping);
		return error;
	}
	atomic_init(&mapping->refs, 1);
	mapping->address = (char *)address - at->range.offset;
	mapping->size = at->memory->size;
	mapping->imported = true;
	mapping->plain = at->memory->os_handle >= 0;
	*ret_mapping = mapping;
	return 0;
}

/* Of a descriptor, or of memory without a name where fd is -1. */
int shm__cl_mapping_make(int fd, size_t size, struct shm__cl_mapping **ret_mapping)
{
	struct shm__cl_mapping *mapping = calloc(1, sizeof(*mapping));
	int error;

	if (!mapping)
		return metal_shm_set_error(ENOMEM, "no memory for a mapping's record");
	mapping->address = mmap(NULL, size, PROT_READ | PROT_WRITE,
				fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (mapping->address == MAP_FAILED) {
		error = metal_shm_set_error(errno, "mmap: %s", strerror(errno));
		free(mapping);
		return error;
	}
	atomic_init(&mapping->refs, 1);
	mapping->size = size;
	mapping->plain = true;
	*ret_mapping = mapping;
	return 0;
}

static void drop(struct shm__cl_mapping *mapping)
{
	int saved = errno;

	if (atomic_fetch_sub(&mapping->refs, 1) != 1)
		return;
	if (mapping->plain)
		munmap(mapping->address, mapping->size);
	free(mapping);
	errno = saved;
}

/* Runs in any thread, possibly after the device was closed. */
static void CL_CALLBACK mem_is_gone(cl_mem mem, void *user)
{
	(void)mem;
	drop(user);
}

/* The mapping lives as long as mem. */
int shm__cl_mapping_bind(struct shm__cl_mapping *mapping, cl_mem mem)
{
	cl_int code;

	atomic_fetch_add(&mapping->refs, 1);
	code = clSetMemObjectDestructorCallback(mem, mem_is_gone, mapping);
	if (code == CL_SUCCESS)
		return 0;
	atomic_fetch_sub(&mapping->refs, 1);
	return shm__cl_error(code, "clSetMemObjectDestructorCallback");
}

/* After the release of every cl_mem over it. at is any attachment of its memory, if it was opened. */
void shm__cl_mapping_close(struct shm__cl_mapping *mapping, const struct metal_shm_attachment *at)
{
	unsigned last = 1;

	if (!mapping)
		return;
	if (!mapping->imported || !atomic_compare_exchange_strong(&mapping->refs, &last, 0)) {
		drop(mapping);
		return;
	}
	metal_shm_importer_unmap(at, (char *)mapping->address + at->range.offset);
	free(mapping);
}
