/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board's pipeline for tests: vivid (YUYV) to OpenCL (XR24, mirrored) to vkms, which writes back what
 * it shows. One frame at a time, so that a test can ask each stage about it.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/drm.h>
#include <shm/frame.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/opencl.h>
#include <shm/v4l2.h>

#include "shm_test.h"

#define XR24   METAL_SHM_FOURCC('X', 'R', '2', '4')
#define YUYV   METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define SECOND INT64_C(1000000000)

#define assert_ok(call)                                                              \
	do {                                                                         \
		int ret_ = (call);                                                   \
		if (ret_)                                                            \
			fail_msg("%s: %d, %s", #call, ret_, metal_shm_last_error()); \
	} while (0)

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

/* Where a pipeline moves bytes by memcpy(3) into a second buffer, telling no counter. */
enum pipeline_copy {
	COPY_NOWHERE,
	COPY_BEFORE_GPU,
	COPY_BEFORE_DISPLAY,
};

struct pipeline {
	uint32_t width, height;
	enum pipeline_copy copy;
	bool repeats; /* shows the frame before once more */
	struct metal_device *camera, *gpu, *display;
	struct metal_shm_pool *front, *back, *written;
	struct metal_shm_pool *secret;  /* of a copy before the GPU */
	struct metal_generic_shm *last; /* of the back pool; a reference */
	cl_program program;
	cl_kernel convert;
	cl_mem seen; /* two addresses that the kernel stores */
};

/* A frame that went all the way. Each handle is a reference. */
struct pipeline_frame {
	struct metal_shm_v4l2_info info;
	struct metal_generic_shm *captured, *shown, *written;
	uint64_t gpu_in, gpu_out; /* addresses, as the kernel itself had them */
};

/* Opens everything and starts the camera. */
void pipeline_open(struct pipeline *p, uint32_t width, uint32_t height);
/* Capture, convert, show and write back one frame. */
void pipeline_next(struct pipeline *p, struct pipeline_frame *ret_frame);
void pipeline_drop(struct pipeline_frame *frame);
/* Let frames go that were captured before a change of the camera's settings. */
void pipeline_skip(struct pipeline *p, unsigned frames);
void pipeline_close(struct pipeline *p);

/* Set a control of vivid by its name; menus by number. */
void camera_control(struct metal_device *camera, const char *name, int value);
/* What the library and the OpenCL runtime keep for the life of the process, made before any case. */
void pipeline_warm_up(void);

#endif
