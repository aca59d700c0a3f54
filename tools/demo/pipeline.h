/* SPDX-License-Identifier: BSD-3-Clause */
/* Camera to GPU to display, each stage in place, in one thread around poll(2). */
#ifndef PIPELINE_H
#define PIPELINE_H

#include "camera.h"
#include "demo.h"
#include "display.h"
#include "gpu.h"
#include "verify.h"

#define PIPELINE_JOBS 2 /* one is filtered while the one before is shown */

/* A frame on its way. It has a reference to both buffers. */
struct pipeline_job {
	struct metal_generic_shm *in, *out;
	struct demo_frame_info info;
	bool filtered, presented;
};

struct pipeline {
	const struct demo_options *options;
	struct metal_device *memory; /* what --memory names, or NULL */
	struct camera camera;
	struct gpu gpu;
	struct display display;
	struct metal_shm_pool *front; /* camera to GPU */
	struct metal_shm_pool *back;  /* GPU to display */
	struct pipeline_job job[PIPELINE_JOBS];
	unsigned jobs;
	struct pipeline_job last; /* the last frame that was shown */
	unsigned done, skipped;
	uint32_t first_sequence;
	struct demo_meter captured, filtered, displayed;
	struct verify verify;
};

/* Open the devices, agree on frames, allocate, build the kernel and run it once. */
int pipeline_open(struct pipeline *pipeline, const struct demo_options *options);

/*
 * Run until the frames asked for are shown or a signal asks for the end. The last frame then stays
 * shown. -EBADMSG: the check failed, pipeline->verify.wrong says how.
 */
int pipeline_run(struct pipeline *pipeline);

void pipeline_close(struct pipeline *pipeline);

#endif
