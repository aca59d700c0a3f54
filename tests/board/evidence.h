/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a frame's bytes lie at each stage, as the stage itself says: what zero-copy is shown by. The
 * same checker judges the pipeline that copies nothing and those that copy in secret.
 */
#ifndef EVIDENCE_H
#define EVIDENCE_H

#include <sys/types.h>

#include "pipeline.h"

/* Inodes of DMA-BUFs. */
struct evidence {
	ino_t camera;  /* of the descriptor that the driver holds at the frame's index */
	ino_t gpu_in;  /* of the file mapped where the kernel read */
	ino_t gpu_out; /* of the file mapped where the kernel wrote */
	ino_t crtc;    /* of the CRTC's framebuffer, exported again */
};

/* Collect it while the frame is on the screen. What could not be found out is 0. */
struct evidence evidence_of(const struct pipeline *p, const struct pipeline_frame *frame);

/* NULL where no stage moved the bytes; else which did. */
const char *evidence_of_a_copy(const struct evidence *e);

/* Whether debugfs has the DMA-BUF, and a device whose name begins so attached to it. */
bool evidence_attached(ino_t inode, const char *device);

#endif
