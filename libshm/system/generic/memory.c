/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory at an address: mapped where it is, synced by the platform's cache operations. */
#include "core.h"
#include "platform.h"

static struct metal_device *source; /* of all of it, for ever */

static int memory_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	(void)size;
	(void)type;
	(void)ret_memory;
	return shm__error(ENOTSUP, "%s: metal_shm_at() makes these buffers", dev->name);
}

static void memory_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	(void)memory;
}

static int memory_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	(void)dev;
	(void)memory;
	ret->cached = shm__platform.cache_line ? METAL_SHM_YES : METAL_SHM_UNKNOWN;
	ret->coherent = shm__platform.cache_line ? METAL_SHM_NO : METAL_SHM_YES;
	ret->contiguous = METAL_SHM_YES;
	ret->dmabuf = METAL_SHM_NO;
	ret->secure = METAL_SHM_NO;
	ret->sync_granule = shm__platform.cache_line;
	return 0;
}

static int memory_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address = memory->data;
	return 0;
}

static void memory_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length)
{
	(void)dev;
	(void)memory;
	(void)address;
	(void)length;
}

static int memory_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
			  const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	metal_shm_cache_for_cpu((char *)memory->data + range->offset, (size_t)range->length, dir);
	return 0;
}

static int memory_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
			     const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	metal_shm_cache_for_device((char *)memory->data + range->offset, (size_t)range->length,
				   dir);
	return 0;
}

static const struct metal_shm_device_ops memory_ops = {
	.struct_size = sizeof(memory_ops),
	.allocate = memory_allocate,
	.release = memory_release,
	.properties = memory_properties,
	.map = memory_map,
	.unmap = memory_unmap,
	.sync_for_cpu = memory_for_cpu,
	.sync_for_device = memory_for_device,
};

int shm__memory_begin(void)
{
	return metal_shm_device_create(&memory_ops, "memory", NULL, &source);
}

struct lines {
	uintptr_t start;
	size_t length;
};

static struct lines lines_of(const void *address, size_t length)
{
	uintptr_t line = shm__platform.cache_line, start = (uintptr_t)address & ~(line - 1);
	uintptr_t end = ((uintptr_t)address + length + line - 1) & ~(line - 1);

	return (struct lines){ start, end - start };
}

void metal_shm_cache_for_cpu(const void *address, size_t length, enum metal_shm_dir dir)
{
	struct lines lines = lines_of(address, length);

	if (shm__platform.cache_line && (dir & METAL_SHM_DIR_DEV_W))
		shm__platform.cache_invalidate(lines.start, lines.length);
}

/* Also for a device that only writes: a dirty line would land on its bytes when it is evicted. */
void metal_shm_cache_for_device(const void *address, size_t length, enum metal_shm_dir dir)
{
	struct lines lines = lines_of(address, length);

	(void)dir;
	if (shm__platform.cache_line)
		shm__platform.cache_clean(lines.start, lines.length);
}

struct metal_generic_shm *metal_shm_at(void *address, size_t size)
{
	struct metal_shm_memory memory = { .data = address, .size = size, .os_handle = -1 };
	struct metal_generic_shm *shm = NULL;
	size_t line = shm__os_cache_line();
	int error;

	if (!source || !address || !size || ((uintptr_t)address | size) & (line - 1)) {
		shm__error(EINVAL, "metal_shm_at: no platform, no memory, or no whole lines of %zu",
			   line);
		return NULL;
	}
	if (size > UINTPTR_MAX - (uintptr_t)address) {
		shm__error(EOVERFLOW, "metal_shm_at: the range wraps around");
		return NULL;
	}
	error = shm__root_create(source, &memory, size, &shm);
	if (error)
		shm__os_set_errno(-error);
	return shm;
}
