/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool's record, for pool.c and feed.c. */
#ifndef SHM_CORE_POOL_H
#define SHM_CORE_POOL_H

#include "core.h"

#define SHM__POOL_BUFFERS 64

/* A thread that offers idle buffers to the feeder; lives on its stack. */
struct shm__pass {
	shm__thread thread;
	struct metal_generic_shm *offered;
	unsigned turn; /* the pool's when it was offered */
	unsigned left; /* buffers still to offer */
	struct shm__pass *next;
};

struct metal_shm_pool {
	_Atomic uint64_t tag;
	shm__mutex lock;
	struct metal_generic_shm *idle[SHM__POOL_BUFFERS]; /* what came back last stands last */
	unsigned idle_count;
	unsigned count;     /* as made */
	unsigned remaining; /* not given back yet, once destroyed */
	bool destroyed;
	struct metal_device *devs[SHM__MAX_DEVICES];
	size_t n;
	unsigned returns; /* counts the buffers that came back */
	struct shm__waiter *waiters;
	struct metal_device *feeder;
	void (*feed)(struct metal_device *dev, struct metal_generic_shm *shm);
	unsigned turn; /* counts the changes of the feeder */
	struct shm__pass *passes;
	bool has_frame;
	struct metal_shm_frame frame;
};

/* pool.c */
int shm__pool_check(const struct metal_shm_pool *pool);
void shm__pool_free(struct metal_shm_pool *pool);

/* feed.c */
void shm__pool_wake_up(struct metal_generic_shm *shm);
void shm__pool_retire(struct metal_shm_pool *pool, struct metal_generic_shm *shm);

#endif
