/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An OpenCL program of somebody who imports nothing: buffers, parts, images, maps, kernels, two queues.
 * It prints what it computed and how its objects look, and nothing that differs from run to run.
 */
#define CL_TARGET_OPENCL_VERSION 300
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CL/cl.h>

#define ITEMS ((size_t)4096)
#define BYTES (ITEMS * sizeof(cl_uint))

static void check(cl_int code, const char *what)
{
	if (code == CL_SUCCESS)
		return;
	fprintf(stderr, "%s: %d\n", what, code);
	exit(1);
}

static const char source[] = "kernel void stir(global const uint *a, global uint *b, uint salt)\n"
			     "{\n"
			     "	uint i = get_global_id(0);\n"
			     "	b[i] = (b[i] ^ a[i]) * 2654435761u + salt;\n"
			     "}\n";

static cl_context context;
static cl_device_id device;
static cl_kernel kernel;

static cl_mem new_buffer(cl_mem_flags flags, size_t size, void *host)
{
	cl_int code;
	cl_mem mem = clCreateBuffer(context, flags, size, host, &code);

	check(code, "clCreateBuffer");
	return mem;
}

static void print_facts(const char *name, cl_mem mem, const void *host)
{
	cl_mem_flags flags = 0;
	size_t size = 0, offset = 0;
	cl_uint references = 0;
	void *told = NULL;

	check(clGetMemObjectInfo(mem, CL_MEM_FLAGS, sizeof(flags), &flags, NULL), "flags");
	check(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof(size), &size, NULL), "size");
	check(clGetMemObjectInfo(mem, CL_MEM_OFFSET, sizeof(offset), &offset, NULL), "offset");
	check(clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(told), &told, NULL), "host");
	check(clGetMemObjectInfo(mem, CL_MEM_REFERENCE_COUNT, sizeof(references), &references,
				 NULL),
	      "references");
	printf("%s: flags 0x%llx size %zu offset %zu references %u host %s\n", name,
	       (unsigned long long)flags, size, offset, references,
	       told == host ? "as given" : "another");
}

static void print_sum(const char *name, const cl_uint *words)
{
	unsigned long long sum = 14695981039346656037ULL;

	for (size_t i = 0; i < ITEMS; i++)
		sum = (sum ^ words[i]) * 1099511628211ULL;
	printf("%s: %016llx\n", name, sum);
}

static cl_event stir(cl_command_queue queue, cl_mem a, cl_mem b, cl_uint salt, cl_event after)
{
	const size_t items = ITEMS;
	cl_event event;

	check(clSetKernelArg(kernel, 0, sizeof(a), &a), "argument 0");
	check(clSetKernelArg(kernel, 1, sizeof(b), &b), "argument 1");
	check(clSetKernelArg(kernel, 2, sizeof(salt), &salt), "argument 2");
	check(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, NULL, after ? 1 : 0,
				     after ? &after : NULL, &event),
	      "clEnqueueNDRangeKernel");
	return event;
}

static void compute(cl_command_queue queue, const char *name)
{
	static cl_uint words[ITEMS], host[ITEMS] __attribute__((aligned(4096)));
	const cl_buffer_region half = { BYTES / 2, BYTES / 2 };
	const cl_uint pattern = 0x01020304;
	cl_mem a, b, c, part, used;
	cl_event events[4];
	cl_uint *mapped;
	cl_int code;

	for (size_t i = 0; i < ITEMS; i++)
		words[i] = host[i] = (cl_uint)(i * i);
	a = new_buffer(CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, BYTES, words);
	b = new_buffer(CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, BYTES, NULL);
	c = new_buffer(0, BYTES, NULL);
	used = new_buffer(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, BYTES, host);
	part = clCreateSubBuffer(b, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &code);
	check(code, "clCreateSubBuffer");
	print_facts("copied", a, NULL);
	print_facts("allocated", b, NULL);
	print_facts("plain", c, NULL);
	print_facts("used", used, host);
	print_facts("part", part, NULL);

	check(clEnqueueFillBuffer(queue, b, &pattern, sizeof(pattern), 0, BYTES, 0, NULL,
				  &events[0]),
	      "clEnqueueFillBuffer");
	events[1] = stir(queue, a, b, 1, events[0]);
	check(clEnqueueCopyBuffer(queue, b, c, 0, 0, BYTES, 1, &events[1], &events[2]),
	      "clEnqueueCopyBuffer");
	events[3] = stir(queue, used, c, 2, events[2]);
	check(clWaitForEvents(1, &events[3]), "clWaitForEvents");
	for (size_t i = 0; i < 4; i++)
		check(clReleaseEvent(events[i]), "clReleaseEvent");
	mapped = clEnqueueMapBuffer(queue, part, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, BYTES / 2,
				    0, NULL, NULL, &code);
	check(code, "clEnqueueMapBuffer");
	for (size_t i = 0; i < ITEMS / 2; i++)
		mapped[i] += 3;
	check(clEnqueueUnmapMemObject(queue, part, mapped, 0, NULL, NULL), "unmap");
	check(clFinish(queue), "clFinish");
	check(clEnqueueReadBuffer(queue, b, CL_TRUE, 0, BYTES, words, 0, NULL, NULL), "read");
	print_sum(name, words);
	check(clEnqueueReadBuffer(queue, c, CL_TRUE, 0, BYTES, words, 0, NULL, NULL), "read");
	print_sum(name, words);
	clReleaseMemObject(part);
	clReleaseMemObject(a);
	clReleaseMemObject(b);
	clReleaseMemObject(c);
	clReleaseMemObject(used);
}

int main(void)
{
	const char *text = source;
	cl_command_queue ordered, unordered;
	cl_platform_id platform;
	cl_program program;
	cl_int code;

	check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
	check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
	context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
	check(code, "clCreateContext");
	ordered = clCreateCommandQueueWithProperties(context, device, NULL, &code);
	check(code, "clCreateCommandQueueWithProperties");
	unordered = clCreateCommandQueueWithProperties(
		context, device,
		(const cl_queue_properties[]){ CL_QUEUE_PROPERTIES,
					       CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0 },
		&code);
	check(code, "clCreateCommandQueueWithProperties");
	program = clCreateProgramWithSource(context, 1, &text, NULL, &code);
	check(code, "clCreateProgramWithSource");
	check(clBuildProgram(program, 1, &device, NULL, NULL, NULL), "clBuildProgram");
	kernel = clCreateKernel(program, "stir", &code);
	check(code, "clCreateKernel");
	compute(ordered, "in order");
	compute(unordered, "out of order");
	code = CL_SUCCESS;
	printf("no size: %s", clCreateBuffer(context, 0, 0, NULL, &code) ? "made" : "refused");
	printf(" %d\n", code);
	clReleaseKernel(kernel);
	clReleaseProgram(program);
	clReleaseCommandQueue(ordered);
	clReleaseCommandQueue(unordered);
	clReleaseContext(context);
	return 0;
}
