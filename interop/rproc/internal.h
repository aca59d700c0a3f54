/* SPDX-License-Identifier: BSD-3-Clause */
/* A coprocessor, as its files share it. */
#ifndef SHM_RPROC_INTERNAL_H
#define SHM_RPROC_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <shm/device.h>
#include <shm/rproc.h>

#include "sysfs.h"

struct shm__rproc {
	struct metal_device *dev;
	char id[SHM__RPROC_TEXT]; /* "remoteproc0" */

	pthread_mutex_t lock; /* all below */
	int owner_fd;         /* of /dev/remoteprocN while the core is to stop with us; -1 */
};

extern const struct metal_shm_device_ops shm__rproc_ops;

/* NULL with errno EINVAL and a reason: not a coprocessor. */
struct shm__rproc *shm__rproc_of(const struct metal_device *dev);

/* state.c */
#define SHM__RPROC_PATH (SHM__RPROC_TEXT + 64)
void shm__rproc_path(const struct shm__rproc *rproc, const char *file,
		     char ret_path[static SHM__RPROC_PATH]);
int shm__rproc_state(const struct shm__rproc *rproc);
const char *shm__rproc_state_name(int state);

/* firmware.c: what to say of a firmware that the core didn't take; error is positive */
int shm__rproc_firmware_error(const struct shm__rproc *rproc, int error);

#endif
