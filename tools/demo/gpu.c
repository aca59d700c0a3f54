/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "gpu.h"

/* filter.cl, made a string by embed.py */
extern const char gpu_filter_source[];

static int cl_error(const char *call, cl_int status)
{
	return metal_shm_set_error(EIO, "%s: OpenCL error %d", call, status);
}

static cl_device_id device_of(struct gpu *gpu)
{
	cl_device_id device = NULL;

	clGetCommandQueueInfo(metal_shm_opencl_queue(gpu->dev), CL_QUEUE_DEVICE, sizeof(device),
			      &device, NULL);
	return device;
}

/* The compiler's first words, as one line. */
static int explain_build(cl_program program, cl_device_id device, cl_int status)
{
	size_t size = 0;
	char *log;

	clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
	log = calloc(1, size + 1);
	if (!log)
		return cl_error("clBuildProgram", status);
	clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
	log[strcspn(log, "\n")] = '\0';
	metal_shm_set_error(EIO, "clBuildProgram: OpenCL error %d: %s", status, log);
	free(log);
	return -EIO;
}

static int build(struct gpu *gpu)
{
	cl_device_id device = device_of(gpu);
	const char *source = gpu_filter_source;
	cl_int status;

	gpu->program = clCreateProgramWithSource(metal_shm_opencl_context(gpu->dev), 1, &source,
						 NULL, &status);
	if (status)
		return cl_error("clCreateProgramWithSource", status);
	status = clBuildProgram(gpu->program, 1, &device, "", NULL, NULL);
	if (status)
		return explain_build(gpu->program, device, status);
	gpu->kernel = clCreateKernel(gpu->program, "filter", &status);
	return status ? cl_error("clCreateKernel", status) : 0;
}

int gpu_open(struct gpu *ret_gpu)
{
	struct gpu gpu = { 0 };
	int error = metal_shm_opencl_open(NULL, NULL, &gpu.dev);

	if (error)
		return error;
	clGetDeviceInfo(device_of(&gpu), CL_DEVICE_NAME, sizeof(gpu.name) - 1, gpu.name, NULL);
	error = build(&gpu);
	if (error) {
		gpu_close(&gpu);
		return error;
	}
	*ret_gpu = gpu;
	return 0;
}

static int set_arguments(struct gpu *gpu, struct metal_generic_shm *in,
			 struct metal_generic_shm *out)
{
	const struct metal_shm_frame *from = metal_shm_frame_of(in), *to = metal_shm_frame_of(out);
	cl_uint in_stride = from->plane[0].stride, out_stride = to->plane[0].stride;
	cl_mem in_mem, out_mem;
	cl_int status;
	int error = metal_shm_opencl_mem(gpu->dev, in, &in_mem);

	if (!error)
		error = metal_shm_opencl_mem(gpu->dev, out, &out_mem);
	if (error)
		return error;
	status = clSetKernelArg(gpu->kernel, 0, sizeof(in_mem), &in_mem);
	status |= clSetKernelArg(gpu->kernel, 1, sizeof(in_stride), &in_stride);
	status |= clSetKernelArg(gpu->kernel, 2, sizeof(out_mem), &out_mem);
	status |= clSetKernelArg(gpu->kernel, 3, sizeof(out_stride), &out_stride);
	return status ? cl_error("clSetKernelArg", status) : 0;
}

static int enqueue(struct gpu *gpu, struct metal_generic_shm *in, struct metal_generic_shm *out)
{
	const struct metal_shm_frame *frame = metal_shm_frame_of(out);
	const size_t items[] = { frame->width / 2, frame->height };
	cl_int status;
	int error = set_arguments(gpu, in, out);

	if (error)
		return error;
	status = clEnqueueNDRangeKernel(metal_shm_opencl_queue(gpu->dev), gpu->kernel, 2, NULL,
					items, NULL, 0, NULL, NULL);
	return status ? cl_error("clEnqueueNDRangeKernel", status) : 0;
}

int gpu_filter(struct gpu *gpu, struct metal_generic_shm *in, struct metal_generic_shm *out)
{
	int error, end;

	error = metal_shm_opencl_acquire(gpu->dev, in, METAL_SHM_DIR_DEV_R);
	if (error)
		return error;
	error = metal_shm_opencl_acquire(gpu->dev, out, METAL_SHM_DIR_DEV_W);
	if (error)
		goto release_in;
	error = enqueue(gpu, in, out);
	end = metal_shm_opencl_release(gpu->dev, out);
	error = error ? error : end;
release_in:
	end = metal_shm_opencl_release(gpu->dev, in);
	return error ? error : end;
}

int gpu_finish(struct gpu *gpu)
{
	cl_int status;

	if (!gpu->dev)
		return 0;
	status = clFinish(metal_shm_opencl_queue(gpu->dev));
	return status ? cl_error("clFinish", status) : metal_shm_device_dispatch(gpu->dev);
}

const char *gpu_path(struct gpu *gpu, struct metal_generic_shm *shm)
{
	return metal_shm_opencl_path_name(metal_shm_opencl_path(gpu->dev, shm));
}

/* The layer adds this extension, docs/opencl.md; a text longer than this isn't looked at further. */
bool gpu_has_layer(struct gpu *gpu)
{
	char extensions[8192];

	return clGetDeviceInfo(device_of(gpu), CL_DEVICE_EXTENSIONS, sizeof(extensions), extensions,
			       NULL) == CL_SUCCESS &&
	       strstr(extensions, "cl_libshm_import_layer");
}

void gpu_close(struct gpu *gpu)
{
	if (gpu->kernel)
		clReleaseKernel(gpu->kernel);
	if (gpu->program)
		clReleaseProgram(gpu->program);
	metal_shm_device_close(gpu->dev);
	*gpu = (struct gpu){ 0 };
}
