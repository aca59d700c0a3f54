/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the layer's tests share: a plain OpenCL program's objects, and memory that passes for a DMA-BUF.
 *
 * The host's kernel has no DMA-BUFs, so here a memfd stands in for one: the programs export fstatfs(),
 * ioctl() and poll(), which the layer then calls instead of the C library's, and which write down what
 * is asked of whom. On the board the same calls reach the kernel.
 */
#ifndef LAYER_FIXTURE_H
#define LAYER_FIXTURE_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <shm_test.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CL/cl.h>

#include <CL/cl_ext.h>

#define BYTES         65536
#define MAX_PLATFORMS 16

typedef cl_mem(CL_API_CALL *import_fn)(cl_context, cl_mem_flags, const cl_import_properties_arm *,
				       void *, size_t, cl_int *);

static struct {
	cl_platform_id platform;
	cl_device_id device;
	cl_context context;
	cl_command_queue queue, unordered;
	import_fn import;
} cl;

#define assert_cl(code) assert_int_equal((code), CL_SUCCESS)

/* PoCL takes an unmapping off the count a moment after the command's end was told. */
static inline void assert_unmapped(cl_mem mem)
{
	cl_uint count = 1;

	for (int ms = 0; count && ms < 10000; ms++) {
		assert_cl(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
		if (count)
			usleep(1000);
	}
	assert_int_equal(count, 0);
}

static inline cl_command_queue new_queue(cl_command_queue_properties flags)
{
	const cl_queue_properties properties[] = { CL_QUEUE_PROPERTIES, flags, 0 };
	cl_int code;
	cl_command_queue queue;

	queue = clCreateCommandQueueWithProperties(cl.context, cl.device, properties, &code);
	assert_cl(code);
	return queue;
}

/*
 * In forced mode the first command on a buffer starts the layer's thread, which keeps a descriptor. The
 * buffer is kept too: some runtimes free it on another thread, in the middle of a case.
 */
static inline void start_layer(void)
{
	const char zero = 0;
	cl_int code;
	cl_mem mem;

	if (!getenv("LIBSHM_CL_FORCE"))
		return;
	mem = clCreateBuffer(cl.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
	assert_cl(code);
	assert_cl(clEnqueueFillBuffer(cl.queue, mem, &zero, 1, 0, BYTES, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
}

/* Before the first case: runtimes keep descriptors for the life of the process. */
static inline void open_runtime(void)
{
	cl_platform_id platforms[MAX_PLATFORMS];
	cl_uint count = 0;
	void *address;
	cl_int code;

	assert_cl(clGetPlatformIDs(MAX_PLATFORMS, platforms, &count));
	for (cl_uint i = 0; !cl.device && i < count && i < MAX_PLATFORMS; i++) {
		cl.platform = platforms[i];
		clGetDeviceIDs(cl.platform, CL_DEVICE_TYPE_ALL, 1, &cl.device, NULL);
	}
	assert_non_null(cl.device);
	cl.context = clCreateContext(NULL, 1, &cl.device, NULL, NULL, &code);
	assert_cl(code);
	cl.queue = new_queue(CL_QUEUE_PROFILING_ENABLE);
	cl.unordered = new_queue(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
	address = clGetExtensionFunctionAddressForPlatform(cl.platform, "clImportMemoryARM");
	assert_non_null(address);
	memcpy(&cl.import, &address, sizeof(address));
	start_layer();
}

static inline cl_mem import_fd(int fd, size_t size)
{
	static const cl_import_properties_arm properties[] = { CL_IMPORT_TYPE_ARM,
							       CL_IMPORT_TYPE_DMA_BUF_ARM, 0 };
	cl_int code;
	cl_mem mem;

	mem = cl.import(cl.context, CL_MEM_READ_WRITE, properties, &fd, size, &code);
	assert_cl(code);
	assert_non_null(mem);
	return mem;
}

#endif
