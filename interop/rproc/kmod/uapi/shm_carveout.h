/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/**
 * @file shm_carveout.h
 * /dev/shm_carveout/NAME: memory that was set aside, as DMA-BUFs.
 *
 * Each node has the interface of a DMA-BUF heap, DMA_HEAP_IOCTL_ALLOC of <linux/dma-heap.h>, and one call more.
 * An allocation is contiguous and, but for secure memory, zeroed. Errors: EINVAL for a size of 0 or unknown
 * flags, ENOMEM where no such piece is free.
 *
 * Its DMA-BUFs can't be attached (dma_buf_attach(), by any driver) where the device
 *
 * - isn't listed for secure memory: EACCES,
 * - doesn't reach it: ERANGE,
 * - isn't coherent and the memory cached: EOPNOTSUPP, since nobody could write the caches back.
 */
#ifndef SHM_CARVEOUT_UAPI_H
#define SHM_CARVEOUT_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SHM_CARVEOUT_FOLDER "/dev/shm_carveout/"

/**
 * CACHED: the CPU's mappings are cached; else they are write-combined.
 * SECURE: there are none (mmap() and vmap() are EACCES), and only listed devices attach. What a firewall keeps
 * from the CPU can't be zeroed by it either: listed devices may see each other's bytes of former owners.
 */
#define SHM_CARVEOUT_CACHED 1
#define SHM_CARVEOUT_SECURE 2

struct shm_carveout_info {
	__u64 size;    /**< of all, in bytes */
	__u64 free;    /**< of it, in bytes; not in one piece, perhaps */
	__u64 largest; /**< piece that is free */
	__u32 flags;
	__u32 reserved;
};

#define SHM_CARVEOUT_INFO _IOR('S', 0x70, struct shm_carveout_info)

#endif
