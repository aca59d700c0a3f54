/* SPDX-License-Identifier: BSD-3-Clause */
/* The ways to learn a core's addresses of memory, in the order in which they are tried. */
#ifndef SHM_RPROC_WAY_H
#define SHM_RPROC_WAY_H

#include "internal.h"

struct shm__rproc_way {
	const char *name;
	/*
	 * Fills in segments and what the way needs to undo it. ret_absent: this machine or program doesn't
	 * have the way, so that the next may be tried; else its refusal stands.
	 */
	int (*map)(struct shm__rproc *rproc, const struct metal_shm_attachment *at,
		   struct shm__rproc_map *map, bool *ret_absent);
	/* The core is known to use the memory no more. What it may still use is never unmapped. */
	void (*unmap)(struct shm__rproc *rproc, struct shm__rproc_map *map);
};

extern const struct shm__rproc_way shm__rproc_by_importer;
extern const struct shm__rproc_way shm__rproc_by_place;

/* The last device address that the resource table names; 0: it names none. */
uint64_t shm__rproc_place_highest(const struct shm__rproc *rproc);

/* Its opening of this device's, -errno with a reason. */
int shm__rproc_importer(struct shm__rproc *rproc);

#endif
