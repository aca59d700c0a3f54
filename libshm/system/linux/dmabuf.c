/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping and syncing a memory by its descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <linux/dma-buf.h>
#include <linux/magic.h>

#include "dmabuf.h"

bool shm__fd_is_dmabuf(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == DMA_BUF_MAGIC;
}

int shm__dmabuf_exporter(int fd, char *name, size_t size)
{
	char path[64], line[128], found[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (!found[0] && fgets(line, sizeof(line), file))
		sscanf(line, "exp_name: %63s", found);
	fclose(file);
	if (!found[0] || strlen(found) >= size)
		return -ENODATA;
	memcpy(name, found, strlen(found) + 1);
	return 0;
}

/* What a device writes the CPU reads. */
static uint64_t cpu_access(enum metal_shm_dir dir)
{
	return (dir & METAL_SHM_DIR_DEV_W ? DMA_BUF_SYNC_READ : 0u) |
	       (dir & METAL_SHM_DIR_DEV_R ? DMA_BUF_SYNC_WRITE : 0u);
}

static int sync_ioctl(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int ret;

	do {
		ret = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	} while (ret < 0 && (errno == EAGAIN || errno == EINTR));
	return ret < 0 ? -errno : 0;
}

int shm__dmabuf_start(int fd, enum metal_shm_dir dir)
{
	return sync_ioctl(fd, DMA_BUF_SYNC_START | cpu_access(dir));
}

int shm__dmabuf_end(int fd, enum metal_shm_dir dir)
{
	return sync_ioctl(fd, DMA_BUF_SYNC_END | cpu_access(dir));
}

int shm__fd_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		void **ret_address)
{
	int access =
		(prot & METAL_SHM_READ ? PROT_READ : 0) | (prot & METAL_SHM_WRITE ? PROT_WRITE : 0);
	void *address = mmap(NULL, memory->size, access, MAP_SHARED, memory->os_handle, 0);
	int error = errno, seals = fcntl(memory->os_handle, F_GET_SEALS);

	/* Before 6.7 a seal against writing forbids this to readers too; what nobody writes is the same private. */
	if (address == MAP_FAILED && error == EPERM && !(prot & METAL_SHM_WRITE) && seals >= 0 &&
	    (seals & F_SEAL_WRITE))
		address = mmap(NULL, memory->size, access, MAP_PRIVATE, memory->os_handle, 0);

	if (address != MAP_FAILED) {
		*ret_address = address;
		return 0;
	}
	/* A seal against writing says EPERM, an exporter without mmap ENODEV. */
	if (error == EPERM)
		error = EACCES;
	if (error == ENODEV)
		error = ENOTSUP;
	return metal_shm_set_error(error, "%s: can't map %zu bytes%s: %s",
				   metal_shm_device_name(dev), memory->size,
				   prot & METAL_SHM_WRITE ? " for writing" : "", strerror(error));
}

void shm__fd_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		   size_t length)
{
	(void)dev;
	(void)memory;
	munmap(address, length);
}

static int sync_failed(struct metal_device *dev, const char *step, int error)
{
	return metal_shm_set_error(-error, "%s: %s of DMA_BUF_IOCTL_SYNC: %s",
				   metal_shm_device_name(dev), step, strerror(-error));
}

/* The kernel's operation knows no range: it does the whole memory. */
int shm__dmabuf_sync_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
			     const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	int error = shm__dmabuf_start(memory->os_handle, dir);

	(void)range;
	return error ? sync_failed(dev, "START", error) : 0;
}

int shm__dmabuf_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	int error = shm__dmabuf_end(memory->os_handle, dir);

	(void)range;
	return error ? sync_failed(dev, "END", error) : 0;
}
