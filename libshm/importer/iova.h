/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses behind an IOMMU: which are taken, and which to take next. Pure; the caller locks.
 *
 * A granule is left free behind each range, and addresses that were given back are taken again as late as
 * can be: a device that goes too far, or on too long, meets no mapping and is stopped.
 */
#ifndef SHM_IOVA_H
#define SHM_IOVA_H

#include <stddef.h>
#include <stdint.h>

#include <bsd/sys/tree.h>

/* A range that is taken, with the granule behind it. The caller's record, so that to end one never fails. */
struct shm__iova {
	RB_ENTRY(shm__iova) node;
	uint64_t start, last;
};

/* Addresses that the IOMMU translates, both ends included. */
struct shm__iova_window {
	uint64_t start, last;
};

RB_HEAD(shm__iova_tree, shm__iova);
RB_PROTOTYPE(shm__iova_tree, shm__iova, node, )

struct shm__iova_space {
	struct shm__iova_tree taken;
	struct shm__iova_window *window; /* in order; the caller's */
	size_t windows;
	uint64_t granule; /* bytes, a power of two */
};

/* Cut the windows to whole granules, the one at address 0 excepted: many devices take that for none. */
void shm__iova_windows(struct shm__iova_space *space, struct shm__iova_window *window,
		       size_t windows, uint64_t granule);

/*
 * Take @size bytes, whole granules, of addresses up to @last, from *@cursor on: where the device's last
 * search ended, at first 0. 0, or -ENOSPC without a reason.
 */
int shm__iova_take(struct shm__iova_space *space, uint64_t size, uint64_t last, uint64_t *cursor,
		   struct shm__iova *ret);
void shm__iova_give_back(struct shm__iova_space *space, struct shm__iova *iova);

/* The largest size that could be taken now. */
uint64_t shm__iova_largest(struct shm__iova_space *space, uint64_t last);

#endif
