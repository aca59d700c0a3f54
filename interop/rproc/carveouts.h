/* SPDX-License-Identifier: BSD-3-Clause */
/* remoteproc's table of the memory that is set aside for a core. */
#ifndef SHM_RPROC_CARVEOUTS_H
#define SHM_RPROC_CARVEOUTS_H

#include "internal.h"

struct shm__carveouts {
	struct metal_shm_rproc_carveout *carveout; /* ended with free() */
	size_t count;
};

int shm__rproc_carveouts(const struct shm__rproc *rproc, struct shm__carveouts *ret);

#endif
