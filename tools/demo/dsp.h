/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter on a coprocessor, whose firmware is the DSP example of interop/rproc/firmware. */
#ifndef DSP_H
#define DSP_H

#include <shm/rproc.h>

#include "demo.h"
#include "dsp_image.h"

struct dsp {
	struct metal_device *dev;
	char firmware[64];
	struct metal_generic_shm *counters; /* memory that the firmware writes them into */
	struct dsp_control control;         /* what it held when it was read last */
	uint32_t before; /* frames that the firmware had done when it was opened */
	unsigned given;  /* since then */
};

/* Starts the core, unless it runs, and reads its counters once. */
int dsp_open(const struct demo_options *options, struct dsp *ret_dsp);

/* Tell the firmware what the frames of a pool are: nobody may have one of them. */
int dsp_tell(struct dsp *dsp, struct metal_shm_pool *pool);

/*
 * Give it a frame that it filters in place and signs, without waiting: 0 with the number that it will sign
 * with, or -ETIMEDOUT where somebody still works on the frame. It is through when others get the frame.
 */
int dsp_give(struct dsp *dsp, struct metal_generic_shm *shm, uint16_t *ret_number);

/* Have the counters, into dsp->control, and give their memory back. Waits for what it was given before. */
int dsp_read(struct dsp *dsp);

/* For tests: wipe the signature of a frame, once the DSP is through: 0, or -ETIMEDOUT. */
int dsp_unsign(struct metal_generic_shm *shm);

void dsp_close(struct dsp *dsp);

#endif
