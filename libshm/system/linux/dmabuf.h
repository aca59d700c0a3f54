/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources on Linux share: mapping and syncing a memory by its descriptor. */
#ifndef SHM_LINUX_DMABUF_H
#define SHM_LINUX_DMABUF_H

#include <shm/device.h>

/*
 * DMA_BUF_IOCTL_SYNC, restarted at EAGAIN and EINTR. Device directions become the kernel's CPU
 * directions: what a device writes the CPU reads (DMA_BUF_SYNC_READ) and the other way round.
 */
int shm__dmabuf_start(int fd, enum metal_shm_dir dir);
int shm__dmabuf_end(int fd, enum metal_shm_dir dir);

/* The operations map, unmap, sync_for_cpu and sync_for_device of any source with a descriptor. */
int shm__fd_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		void **ret_address);
void shm__fd_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		   size_t length);
int shm__dmabuf_sync_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
			     const struct metal_shm_range *range, enum metal_shm_dir dir);
int shm__dmabuf_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				const struct metal_shm_range *range, enum metal_shm_dir dir);

/* True if fd is a DMA-BUF: the kernel keeps these on a file system of their own. */
bool shm__fd_is_dmabuf(int fd);

/* Who exports a DMA-BUF: "system" and other heaps' names, "udmabuf", a driver's. 0 or -errno. */
int shm__dmabuf_exporter(int fd, char *name, size_t size);

#endif
