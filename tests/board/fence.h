/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences that a test signals: the kernel's software timelines, which have no header for programs. */
#ifndef FENCE_H
#define FENCE_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include "shm_test.h"

struct timeline_fence {
	uint32_t value;
	char name[32];
	int32_t fd;
};

#define TIMELINE       "/sys/kernel/debug/sync/sw_sync"
#define TIMELINE_FENCE _IOWR('W', 0, struct timeline_fence)
#define TIMELINE_STEP  _IOW('W', 1, uint32_t)

/* The DMA-BUF is a device's, DMA_BUF_SYNC_READ or _WRITE, until end_fence() of what is answered. */
static inline int put_fence(int fd, uint32_t access)
{
	struct timeline_fence fence = { .value = 1, .name = "test" };
	struct dma_buf_import_sync_file import = { .flags = access };
	int timeline = open(TIMELINE, O_RDWR | O_CLOEXEC);

	assert_true(timeline >= 0);
	assert_int_equal(ioctl(timeline, TIMELINE_FENCE, &fence), 0);
	import.fd = fence.fd;
	assert_int_equal(ioctl(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	close(fence.fd);
	return timeline;
}

static inline void end_fence(int timeline)
{
	uint32_t steps = 1;

	assert_int_equal(ioctl(timeline, TIMELINE_STEP, &steps), 0);
	close(timeline);
}

#endif
