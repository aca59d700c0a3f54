/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A camera in software: an importer of libshm that draws YUYV frames into other people's buffers, with
 * the verbs of a real camera.
 */
#ifndef SOFTCAM_H
#define SOFTCAM_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/frame.h>

struct softcam_options {
	unsigned rate;  /* frames a second, 1 to 1000 */
	uint32_t nonce; /* drawn into each frame beside its sequence number */
	bool frozen;    /* for tests: one picture for ever, under growing sequence numbers */
};

struct softcam_info {
	uint32_t sequence;     /* counts the frames that were lost too */
	uint64_t timestamp_ns; /* CLOCK_MONOTONIC */
};

int softcam_open(const struct softcam_options *options, struct metal_device **ret_camera);

/* Draw into the idle frames of a pool from now on. Stop before the pool is destroyed. */
int softcam_start(struct metal_device *camera, struct metal_shm_pool *pool);

/* The next frame, with one reference: 0, -ETIMEDOUT or -EINVAL (not started). */
int softcam_wait(struct metal_device *camera, int64_t timeout_ns, struct softcam_info *ret_info,
		 struct metal_generic_shm **ret_shm);

int softcam_stop(struct metal_device *camera);

#endif
