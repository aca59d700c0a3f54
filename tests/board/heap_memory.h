/* SPDX-License-Identifier: BSD-3-Clause */
/* A DMA-BUF of a heap by the kernel's calls alone. */
#ifndef HEAP_MEMORY_H
#define HEAP_MEMORY_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include "shm_test.h"

/* Its descriptor, for O_RDWR, O_RDONLY or O_WRONLY. */
static inline int heap_memory(const char *heap, size_t size, unsigned access)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = access | O_CLOEXEC };
	char path[64];
	int device;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, DMA_HEAP_IOCTL_ALLOC, &data))
		fail_msg("%s: %s", path, strerror(errno));
	close(device);
	return (int)data.fd;
}

#endif
