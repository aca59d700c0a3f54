/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences as descriptors: metal_shm_export_fence(), metal_shm_import_fence() and the kernel's calls. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include <shm/linux.h>

#include "core.h"

/* What the device does with the bytes, not the CPU as in DMA_BUF_IOCTL_SYNC. */
static uint32_t access_flags(bool writes)
{
	return writes ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ;
}

static int restarted_ioctl(int fd, unsigned long request, void *argument)
{
	int ret;

	do {
		ret = ioctl(fd, request, argument);
	} while (ret < 0 && (errno == EAGAIN || errno == EINTR));
	return ret < 0 ? errno : 0;
}

static int refused(const char *call, int error)
{
	if (error == ENOTTY)
		return shm__error(ENOTSUP, "%s: Linux 6.0 is the first with it", call);
	return shm__error(error, "%s: %s", call, strerror(error));
}

int shm__os_fence_status(int fence)
{
	struct sync_file_info info = { .status = 0 };

	/* one whose state can't be told any more is none that anybody waits for */
	return restarted_ioctl(fence, SYNC_IOC_FILE_INFO, &info) ? 1 : info.status;
}

void shm__os_fence_close(int fence)
{
	close(fence);
}

int shm__os_fence_put(int os_handle, int fence, bool writes)
{
	struct dma_buf_import_sync_file import = { .flags = access_flags(writes), .fd = fence };
	int error = restarted_ioctl(os_handle, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);

	return error ? refused("DMA_BUF_IOCTL_IMPORT_SYNC_FILE", error) : 0;
}

int shm__os_fence_get(int os_handle, bool writes)
{
	struct dma_buf_export_sync_file export = { .flags = access_flags(writes), .fd = -1 };
	int error = restarted_ioctl(os_handle, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export);

	return error ? refused("DMA_BUF_IOCTL_EXPORT_SYNC_FILE", error) : export.fd;
}

static int duplicate(int fd)
{
	struct sync_file_info info = { .status = 0 };
	int fence, error;

	if (fcntl(fd, F_GETFD) < 0)
		return shm__error(EBADF, "descriptor %d is closed", fd);
	error = restarted_ioctl(fd, SYNC_IOC_FILE_INFO, &info);
	if (error)
		return shm__error(EINVAL, "descriptor %d is not a sync_file", fd);
	fence = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fence < 0 ? shm__error(errno, "descriptor %d can't be duplicated", fd) : fence;
}

int metal_shm_export_fence(struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	int error = shm__handle_check(shm);

	return error ? error : shm__fence_export(shm, dir);
}

int metal_shm_import_fence(struct metal_generic_shm *shm, struct metal_device *dev,
			   enum metal_shm_dir dir, int borrow_fd)
{
	int fence, error = shm__handle_check(shm);

	if (!error)
		error = shm__device_check(dev);
	if (error)
		return error;
	fence = duplicate(borrow_fd);
	if (fence < 0)
		return fence;
	error = shm__fence_import(shm, dev, dir, fence);
	if (error)
		close(fence);
	return error;
}
