/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Enqueue a kernel of eight buffers, of which some are imports, and print what an enqueue took.
 *
 * usage: enqueue IMPORTS COMMANDS
 *
 * Prints two times in nanoseconds: of a command among many that are waited for together, and of one that
 * is waited for by itself. Plain OpenCL. Imports are buffers of the system dma-heap; without imports it
 * runs without heaps and without the layer, too.
 */
#define CL_TARGET_OPENCL_VERSION 300
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include <CL/cl.h>

#include <CL/cl_ext.h>

#define BUFFERS 8
#define BYTES   4096
#define BATCH   32

static const char source[] =
	"kernel void touch(global uchar *a, global uchar *b, global uchar *c, global uchar *d,\n"
	"                  global uchar *e, global uchar *f, global uchar *g, global uchar *h)\n"
	"{ size_t i = get_global_id(0); h[i] = a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i]; }\n";

static cl_platform_id platform;
static cl_device_id device;
static cl_context context;
static cl_command_queue queue;

static void check(const char *call, cl_int code)
{
	if (code == CL_SUCCESS)
		return;
	fprintf(stderr, "enqueue: %s: OpenCL error %d\n", call, (int)code);
	exit(1);
}

static int allocate(void)
{
	struct dma_heap_allocation_data wish = { .len = BYTES, .fd_flags = O_RDWR | O_CLOEXEC };
	int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);

	if (heap < 0 || ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &wish)) {
		perror("enqueue: /dev/dma_heap/system");
		exit(1);
	}
	close(heap);
	return (int)wish.fd;
}

static cl_mem import(void)
{
	const cl_import_properties_arm properties[] = { CL_IMPORT_TYPE_ARM,
							CL_IMPORT_TYPE_DMA_BUF_ARM, 0 };
	cl_mem(CL_API_CALL * function)(cl_context, cl_mem_flags, const cl_import_properties_arm *,
				       void *, size_t, cl_int *);
	void *address = clGetExtensionFunctionAddressForPlatform(platform, "clImportMemoryARM");
	int fd = allocate();
	cl_int code;
	cl_mem mem;

	if (!address)
		check("clImportMemoryARM", CL_INVALID_OPERATION);
	memcpy(&function, &address, sizeof(function));
	mem = function(context, CL_MEM_READ_WRITE, properties, &fd, BYTES, &code);
	check("clImportMemoryARM", code);
	close(fd);
	return mem;
}

static cl_kernel build(int imports)
{
	const char *text = source;
	cl_program program;
	cl_kernel kernel;
	cl_int code;
	cl_mem mem;

	program = clCreateProgramWithSource(context, 1, &text, NULL, &code);
	check("clCreateProgramWithSource", code);
	check("clBuildProgram", clBuildProgram(program, 1, &device, "", NULL, NULL));
	kernel = clCreateKernel(program, "touch", &code);
	check("clCreateKernel", code);
	for (int i = 0; i < BUFFERS; i++) {
		if (i < imports) {
			mem = import();
		} else {
			mem = clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
			check("clCreateBuffer", code);
		}
		check("clSetKernelArg", clSetKernelArg(kernel, (cl_uint)i, sizeof(mem), &mem));
	}
	return kernel;
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Nanoseconds a command, with a wait after each batch. */
static long long run(cl_kernel kernel, int commands, int batch)
{
	const size_t size = 64;
	long long begin = now();

	for (int i = 0; i < commands; i++) {
		check("clEnqueueNDRangeKernel",
		      clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &size, &size, 0, NULL, NULL));
		if ((i + 1) % batch == 0)
			check("clFinish", clFinish(queue));
	}
	check("clFinish", clFinish(queue));
	return (now() - begin) / commands;
}

int main(int argc, char **argv)
{
	int imports = argc == 3 ? atoi(argv[1]) : -1, commands = argc == 3 ? atoi(argv[2]) : 0;
	long long together, alone;
	cl_kernel kernel;
	cl_int code;

	if (imports < 0 || imports > BUFFERS || commands < 1) {
		fprintf(stderr, "usage: enqueue IMPORTS COMMANDS\n");
		return 2;
	}
	check("clGetPlatformIDs", clGetPlatformIDs(1, &platform, NULL));
	check("clGetDeviceIDs", clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
	context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
	check("clCreateContext", code);
	queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
	check("clCreateCommandQueueWithProperties", code);
	kernel = build(imports);
	run(kernel, 1, 1);
	together = run(kernel, commands, BATCH);
	alone = run(kernel, commands, 1);
	printf("%lld %lld\n", together, alone);
	return 0;
}
