/* SPDX-License-Identifier: BSD-3-Clause */
/* The card as a source: dumb buffers, exported by PRIME at once. */
#include "drm_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

/* Backed by shmem, whose pages are cleared before anybody sees them. Others don't say. */
static const char *const zeroing_drivers[] = {
	"cirrus", "gm12u320",  "gud", "hyperv_drm", "mgag200",
	"ofdrm",  "simpledrm", "udl", "vgem",       "vkms",
};

static bool zeroed(const struct drm_device *d)
{
	for (size_t i = 0; i < sizeof(zeroing_drivers) / sizeof(zeroing_drivers[0]); i++) {
		if (!strcmp(d->driver, zeroing_drivers[i]))
			return true;
	}
	return false;
}

int shm__drm_dumb_make(struct drm_device *d, uint32_t width, uint32_t height, struct drm_dumb *ret)
{
	struct drm_mode_create_dumb arg = { .width = width, .height = height, .bpp = 32 };
	int ret_adopt;

	if (drmIoctl(d->fd, DRM_IOCTL_MODE_CREATE_DUMB, &arg) < 0)
		return metal_shm_set_error(errno == ENOSYS ? ENOTSUP : errno,
					   "%s (%s) makes no dumb buffer of %ux%u: %s", d->name,
					   d->driver, width, height, strerror(errno));
	/* Attached to its own card it comes back by PRIME as the same handle. */
	ret_adopt = shm__drm_gem_adopt(d, arg.handle);
	if (ret_adopt < 0)
		return ret_adopt;
	*ret = (struct drm_dumb){ .handle = arg.handle, .pitch = arg.pitch, .size = arg.size };
	return 0;
}

void shm__drm_dumb_end(struct drm_device *d, uint32_t handle)
{
	shm__drm_gem_drop(d, handle);
}

int shm__drm_dumb_allocate(struct drm_device *d, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	metal_shm_type promised = METAL_SHM_DMABUF | (zeroed(d) ? METAL_SHM_ZEROED : 0);
	uint64_t lines = ((uint64_t)size + PAGE - 1) / PAGE;
	struct drm_dumb dumb = { .handle = 0 };
	int ret, fd;

	if (type & ~promised)
		return metal_shm_set_error(ENOTSUP,
					   "%s promises DMA-BUFs%s of its dumb buffers, nothing "
					   "else",
					   d->name, zeroed(d) ? " and zeroes" : "");
	if (size > (size_t)PTRDIFF_MAX - (PAGE - 1))
		return metal_shm_set_error(EOVERFLOW, "%s: %zu bytes exceed the address space",
					   d->name, size);
	if (lines > UINT32_MAX / PAGE)
		return metal_shm_set_error(ENOMEM, "%s: a dumb buffer is below 4 GiB", d->name);
	ret = shm__drm_dumb_make(d, PAGE / 4, (uint32_t)lines, &dumb);
	if (ret < 0)
		return ret;
	if (dumb.size < size) {
		ret = metal_shm_set_error(ENOMEM, "%s gave less than was asked for", d->name);
		goto end_dumb;
	}
	if (drmPrimeHandleToFD(d->fd, dumb.handle, DRM_CLOEXEC | DRM_RDWR, &fd) < 0) {
		ret = metal_shm_set_error(errno, "%s (%s) exports no DMA-BUF: %s", d->name,
					  d->driver, strerror(errno));
		goto end_dumb;
	}
	ret_memory->data = (void *)(uintptr_t)dumb.handle;
	ret_memory->size = dumb.size;
	ret_memory->os_handle = fd;
	return 0;

end_dumb:
	shm__drm_dumb_end(d, dumb.handle);
	return ret;
}

void shm__drm_dumb_release(struct drm_device *d, struct metal_shm_memory *memory)
{
	close(memory->os_handle);
	shm__drm_dumb_end(d, (uint32_t)(uintptr_t)memory->data);
}

int shm__drm_dumb_properties(struct drm_device *d, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	/* Whether the CPU's mapping is cached no driver says: vkms's is, others combine writes. */
	ret->cached = METAL_SHM_UNKNOWN;
	ret->contiguous = METAL_SHM_UNKNOWN;
	ret->coherent = METAL_SHM_UNKNOWN;
	ret->secure = METAL_SHM_NO;
	ret->zeroed = zeroed(d) ? METAL_SHM_YES : METAL_SHM_UNKNOWN;
	ret->dmabuf = METAL_SHM_YES;
	ret->size = memory ? memory->size : 0;
	ret->granularity = PAGE;
	ret->alignment = PAGE;
	return 0;
}

int shm__drm_dumb_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		      void **ret_address)
{
	int flags =
		(prot & METAL_SHM_READ ? PROT_READ : 0) | (prot & METAL_SHM_WRITE ? PROT_WRITE : 0);
	void *address = mmap(NULL, memory->size, flags, MAP_SHARED, memory->os_handle, 0);

	if (address == MAP_FAILED)
		return metal_shm_set_error(errno, "%s: the dumb buffer can't be mapped: %s",
					   metal_shm_device_name(dev), strerror(errno));
	*ret_address = address;
	return 0;
}

void shm__drm_dumb_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
			 size_t length)
{
	(void)dev;
	(void)memory;
	munmap(address, length);
}

static int sync_dumb(struct metal_device *dev, int fd, uint64_t end, enum metal_shm_dir dir)
{
	struct dma_buf_sync arg = { .flags = end };

	/* What devices write the CPU reads, and the other way round. */
	if (dir & METAL_SHM_DIR_DEV_W)
		arg.flags |= DMA_BUF_SYNC_READ;
	if (dir & METAL_SHM_DIR_DEV_R)
		arg.flags |= DMA_BUF_SYNC_WRITE;
	if (drmIoctl(fd, DMA_BUF_IOCTL_SYNC, &arg) < 0)
		return metal_shm_set_error(errno, "%s: DMA_BUF_IOCTL_SYNC: %s",
					   metal_shm_device_name(dev), strerror(errno));
	return 0;
}

int shm__drm_dumb_sync_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
			       const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)range;
	return sync_dumb(dev, memory->os_handle, DMA_BUF_SYNC_START, dir);
}

int shm__drm_dumb_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				  const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)range;
	return sync_dumb(dev, memory->os_handle, DMA_BUF_SYNC_END, dir);
}
