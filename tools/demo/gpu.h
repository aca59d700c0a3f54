/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter on an OpenCL device. */
#ifndef GPU_H
#define GPU_H

#include <shm/opencl.h>

#include "demo.h"

struct gpu {
	struct metal_device *dev;
	cl_program program;
	cl_kernel kernel;
	char name[128]; /* the OpenCL device's */
};

/* Opens the default device and builds the kernel, which can take seconds. */
int gpu_open(struct gpu *ret_gpu);

/* Queue the filter from one frame to the other, without waiting. Both must be attached. */
int gpu_filter(struct gpu *gpu, struct metal_generic_shm *in, struct metal_generic_shm *out);

/* Wait until all that was queued is done. */
int gpu_finish(struct gpu *gpu);

/* "host-pointer", say: how the frame became the device's. */
const char *gpu_path(struct gpu *gpu, struct metal_generic_shm *shm);

/* Whether libshm's OpenCL layer stands between the program and the runtime. */
bool gpu_has_layer(struct gpu *gpu);

void gpu_close(struct gpu *gpu);

#endif
