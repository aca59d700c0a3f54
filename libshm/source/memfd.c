/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealed memfds: memory on every Linux, without privileges. Kernel drivers don't import it. */
#include <errno.h>
#include <unistd.h>

#include <shm/device.h>

#include "dmabuf.h"
#include "drivers.h"
#include "pages.h"

/* Flags were held against the properties before. */
static int memfd_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			  struct metal_shm_memory *ret_memory)
{
	struct metal_shm_memory memory = { 0 };
	int error;

	(void)dev;
	(void)type;
	error = shm__memfd_create(size, "memfd", &memory.size, &memory.os_handle);
	if (error)
		return error;
	*ret_memory = memory;
	return 0;
}

static void memfd_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
}

/* Without sync operations: its CPU users share one cache, and VFIO has only devices that share it, too. */
static const struct metal_shm_device_ops memfd_ops = {
	.struct_size = sizeof(memfd_ops),
	.allocate = memfd_allocate,
	.release = memfd_release,
	.properties = shm__pages_properties,
	.map = shm__fd_map,
	.unmap = shm__fd_unmap,
};

static int memfd_open(const char *rest, struct metal_device **ret_dev)
{
	if (rest[0])
		return metal_shm_set_error(EINVAL, "memfd takes no name, but got '%.40s'", rest);
	return metal_shm_device_create(&memfd_ops, "memfd", NULL, ret_dev);
}

static int memfd_enumerate(int (*found)(void *user, const char *name), void *user)
{
	return found(user, "memfd");
}

const struct metal_shm_driver shm__memfd_driver = {
	.struct_size = sizeof(shm__memfd_driver),
	.scheme = "memfd",
	.open = memfd_open,
	.enumerate = memfd_enumerate,
	.rank = 10,
};
