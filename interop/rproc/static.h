/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that was set aside for a core, as a source. */
#ifndef SHM_RPROC_STATIC_H
#define SHM_RPROC_STATIC_H

#include <shm/device.h>

/* Open rproc:NAME/CARVEOUT; rest has a slash. */
int shm__rproc_open_carveout(const char *rest, struct metal_device **ret_dev);

/* Name those that are exported: a driver's enumerate. */
int shm__rproc_each_carveout(int (*found)(void *user, const char *name), void *user);

#endif
