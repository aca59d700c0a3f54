/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake_fence.h
 * DMA-BUFs that take fences, and sync_files, on a machine that has neither.
 *
 * Both are memfds; fstatfs(), ioctl() and ppoll() of the whole process know them. A DMA-BUF's ppoll()
 * waits for its fences as the kernel's does. The memory comes from a source with syncs, whose START
 * counts where the kernel would have waited without a limit.
 */
#ifndef FAKE_FENCE_H
#define FAKE_FENCE_H

#include <shm/device.h>

/** The source, and what was asked of it. */
struct fake_heap {
	struct metal_device *dev;
	unsigned starts, starts_too_early, ends;
	int fail_put;  /**< errno of the next import of a fence into its memory */
	bool coherent; /**< of the memories made from now on */
	bool old;      /**< the kernel knows neither ioctl */
};

/** The one there is, ended by fake_heap_end(). */
struct fake_heap *fake_heap_new(void);
void fake_heap_end(void);

/** A sync_file that isn't signalled. The caller's, ended by close(). */
int fake_fence_new(void);

/** Signal one with 1, or with the -errno of work that failed. Any descriptor of it will do. */
void fake_fence_signal(int fence, int status);

/** How it stands: 0, 1 or -errno. Of one that was exported, how those in it stand together. */
int fake_fence_status(int fence);

#endif
