/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's RPMsg channels, as sysfs shows them now. */
#ifndef SHM_RPROC_CHANNELS_H
#define SHM_RPROC_CHANNELS_H

#include "internal.h"

struct shm__channels {
	struct metal_shm_rproc_channel *channel; /* ended with free() */
	size_t count;
};

int shm__rproc_channels(const struct shm__rproc *rproc, struct shm__channels *ret);

#endif
