/* SPDX-License-Identifier: BSD-3-Clause */
/* The cameras of the demo behind one face. */
#ifndef CAMERA_H
#define CAMERA_H

#include "demo.h"

struct camera_ops;

struct camera {
	const struct camera_ops *ops;
	struct metal_device *dev;
	const char *name;
	unsigned damaged; /* frames that the driver flagged */
};

int camera_open(const struct demo_options *options, struct camera *ret_camera);
int camera_start(struct camera *camera, struct metal_shm_pool *pool);

/* The next good frame, without waiting: 0 with one reference, or -ETIMEDOUT. */
int camera_fetch(struct camera *camera, struct demo_frame_info *ret_info,
		 struct metal_generic_shm **ret_shm);

void camera_stop(struct camera *camera);
void camera_close(struct camera *camera);

#endif
