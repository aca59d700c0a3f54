/* SPDX-License-Identifier: BSD-3-Clause */
/* metal_shm_wrap(): memory that the program already has, as a source of its own. */
#include "core.h"

struct wrapped {
	void *address;
	void (*release)(void *user, void *address, size_t size);
	void *user;
	size_t size;
};

static int wrap_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			 struct metal_shm_memory *ret_memory)
{
	(void)size;
	(void)type;
	(void)ret_memory;
	return shm__error(ENOTSUP, "%s: metal_shm_wrap() makes these buffers", dev->name);
}

static void wrap_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	struct wrapped *wrapped = memory->data;

	(void)dev;
	if (wrapped->release)
		wrapped->release(wrapped->user, wrapped->address, wrapped->size);
	shm__os_free(wrapped);
}

/* Nothing is known of memory that somebody else made, but that it is no DMA-BUF. */
static int wrap_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			   struct metal_shm_properties *ret)
{
	(void)dev;
	(void)memory;
	ret->dmabuf = METAL_SHM_NO;
	ret->secure = METAL_SHM_NO;
	return 0;
}

static int wrap_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		    void **ret_address)
{
	struct wrapped *wrapped = memory->data;

	(void)dev;
	(void)prot;
	*ret_address = wrapped->address;
	return 0;
}

static void wrap_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		       size_t length)
{
	(void)dev;
	(void)memory;
	(void)address;
	(void)length;
}

static const struct metal_shm_device_ops wrap_ops = {
	.struct_size = sizeof(wrap_ops),
	.allocate = wrap_allocate,
	.release = wrap_release,
	.properties = wrap_properties,
	.map = wrap_map,
	.unmap = wrap_unmap,
};

struct metal_generic_shm *metal_shm_wrap(void *address, size_t size,
					 void (*release)(void *user, void *address, size_t size),
					 void *user)
{
	struct metal_shm_memory memory = { .size = size, .os_handle = -1 };
	struct metal_generic_shm *shm = NULL;
	struct metal_device *dev;
	struct wrapped *wrapped;
	int error = shm__enter();

	if (!error && (!address || !size))
		error = shm__error(EINVAL, "metal_shm_wrap: no memory");
	if (!error && size > UINTPTR_MAX - (uintptr_t)address)
		error = shm__error(EOVERFLOW, "metal_shm_wrap: the range wraps around");
	if (!error)
		error = metal_shm_device_create(&wrap_ops, "wrap", NULL, &dev);
	if (error)
		return NULL;
	wrapped = shm__os_alloc(sizeof(*wrapped));
	if (!wrapped) {
		error = shm__error(ENOMEM, "no memory for a buffer's record");
		goto close_device;
	}
	*wrapped = (struct wrapped){ address, release, user, size };
	memory.data = wrapped;
	error = shm__root_create(dev, &memory, size, &shm);
	if (error)
		shm__os_free(wrapped);
close_device:
	metal_shm_device_close(dev);
	if (error)
		shm__os_set_errno(-error);
	return shm;
}
