/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's own anonymous pages, without a descriptor. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <shm/device.h>

#include "drivers.h"
#include "pages.h"

static int anon_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			 struct metal_shm_memory *ret_memory)
{
	size_t rounded;
	void *pages;
	int error;

	(void)dev;
	(void)type;
	error = shm__round_to_pages(size, "anon", &rounded);
	if (!error)
		error = shm__check_total(rounded, "anon");
	if (error)
		return error;
	pages = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return metal_shm_set_error(errno, "anon: no %zu bytes: %s", rounded,
					   strerror(errno));
	*ret_memory = (struct metal_shm_memory){ .data = pages, .size = rounded, .os_handle = -1 };
	return 0;
}

static void anon_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	munmap(memory->data, memory->size);
}

/* Private pages can't be mapped a second time: all share the one mapping. */
static int anon_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		    void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address = memory->data;
	return 0;
}

static void anon_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		       size_t length)
{
	(void)dev;
	(void)memory;
	(void)address;
	(void)length;
}

/* Without sync operations: its CPU users share one cache, and VFIO has only devices that share it, too. */
static const struct metal_shm_device_ops anon_ops = {
	.struct_size = sizeof(anon_ops),
	.allocate = anon_allocate,
	.release = anon_release,
	.properties = shm__pages_properties,
	.map = anon_map,
	.unmap = anon_unmap,
};

static int anon_open(const char *rest, struct metal_device **ret_dev)
{
	if (rest[0])
		return metal_shm_set_error(EINVAL, "anon takes no name, but got '%.40s'", rest);
	return metal_shm_device_create(&anon_ops, "anon", NULL, ret_dev);
}

/* Never chosen unasked: a memfd is the same, and can be shared. */
const struct metal_shm_driver shm__anon_driver = {
	.struct_size = sizeof(shm__anon_driver),
	.scheme = "anon",
	.open = anon_open,
};
