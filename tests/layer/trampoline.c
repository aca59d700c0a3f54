/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clImportMemoryARM by name: as linked, or with an argument as dlsym() finds it in that library. Prints
 * the code of an import of host memory, and whether the device's bytes are the program's.
 */
#define CL_TARGET_OPENCL_VERSION 300
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <CL/cl.h>

#include <CL/cl_ext.h>

typedef cl_mem(CL_API_CALL *import_fn)(cl_context, cl_mem_flags, const cl_import_properties_arm *,
				       void *, size_t, cl_int *);

static char bytes[4096] __attribute__((aligned(4096)));

int main(int argc, char **argv)
{
	import_fn import = clImportMemoryARM;
	cl_command_queue queue;
	cl_platform_id platform;
	cl_device_id device;
	cl_context context;
	cl_int code = 1, other = 1;
	const char x = 'x';
	cl_mem mem;

	if (argc > 1) {
		void *library = dlopen(argv[1], RTLD_NOW);
		void *address = library ? dlsym(library, "clImportMemoryARM") : NULL;

		if (!address) {
			printf("%s\n", dlerror());
			return 1;
		}
		memcpy(&import, &address, sizeof(import));
	}
	if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
	    clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS)
		return 1;
	context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
	queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
	if (import(NULL, 0, NULL, bytes, sizeof(bytes), &other) || other != CL_INVALID_CONTEXT)
		return 1;
	if (import(NULL, 0, NULL, bytes, sizeof(bytes), NULL))
		return 1;
	mem = import(context, 0, NULL, bytes, sizeof(bytes), &code);
	if (mem) {
		clEnqueueFillBuffer(queue, mem, &x, 1, 0, sizeof(bytes), 0, NULL, NULL);
		clFinish(queue);
		clReleaseMemObject(mem);
	}
	printf("%d %s\n", code, bytes[sizeof(bytes) - 1] == x ? "shared" : "untouched");
	clReleaseCommandQueue(queue);
	clReleaseContext(context);
	return 0;
}
