/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Camera to display, through a GPU, a DSP or one after the other, each stage in place, in one thread around
 * poll(2). Without a GPU one buffer has the frame on all its way.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include "camera.h"
#include "demo.h"
#include "display.h"
#include "dsp.h"
#include "gpu.h"
#include "verify.h"

#define PIPELINE_JOBS 3 /* one at the GPU, one at the DSP, one to be shown */

/* A frame on its way. It has a reference to both buffers, which may be one. */
struct pipeline_job {
	struct metal_generic_shm *in, *out;
	struct demo_frame_info info;
	struct demo_pixels
		before;  /* of a camera's frame that doesn't stay as it was, for who looks */
	uint16_t number; /* the DSP's signature */
	bool given, worked, presented;
};

struct pipeline {
	const struct demo_options *options;
	struct metal_device *memory; /* what --memory names, or NULL */
	struct camera camera;
	struct gpu gpu; /* its device is NULL where the frames don't go through it; the DSP's too */
	struct dsp dsp;
	struct display display;
	struct metal_shm_pool *front; /* camera to GPU, or all the way */
	struct metal_shm_pool *back;  /* from the GPU on, or NULL */
	struct pipeline_job job[PIPELINE_JOBS];
	unsigned jobs;
	struct pipeline_job last; /* the last frame that was shown */
	unsigned done, skipped;
	uint32_t first_sequence;
	struct demo_meter captured, filtered, worked, displayed;
	struct verify verify;
};

/* Open the devices, agree on frames, allocate, start the DSP, build the kernel and run it once. */
int pipeline_open(struct pipeline *pipeline, const struct demo_options *options);

/*
 * Run until the frames asked for are shown or a signal asks for the end. The last frame then stays
 * shown. -EBADMSG: the check failed, pipeline->verify.wrong says how.
 */
int pipeline_run(struct pipeline *pipeline);

void pipeline_close(struct pipeline *pipeline);

#endif
