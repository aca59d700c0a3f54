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

/* Its descriptor, for O_RDWR, O_RDONLY or O_WRONLY, or -errno; from any node that speaks as heaps do. */
static inline int heap_memory_at(const char *node, size_t size, unsigned access)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = access | O_CLOEXEC };
	int device = open(node, O_RDWR | O_CLOEXEC), error = 0;

	if (device < 0)
		return -errno;
	if (ioctl(device, DMA_HEAP_IOCTL_ALLOC, &data))
		error = -errno;
	close(device);
	return error ? error : (int)data.fd;
}

/* The same from a heap, which has it. */
static inline int heap_memory(const char *heap, size_t size, unsigned access)
{
	char path[64];
	int memory;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap);
	memory = heap_memory_at(path, size, access);
	if (memory < 0)
		fail_msg("%s: %s", path, strerror(-memory));
	return memory;
}

#endif
