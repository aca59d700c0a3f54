/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the OpenCL tests share, here and on the board: one context and one program for the process, a
 * device for each case, and ways to look at memory behind the library's back.
 */
#ifndef OPENCL_FIXTURE_H
#define OPENCL_FIXTURE_H

#include <shm_test.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <shm/device.h>
#include <shm/linux.h>
#include <shm/observe.h>
#include <shm/opencl.h>

#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)
#define DEV_R      METAL_SHM_DIR_DEV_R
#define DEV_W      METAL_SHM_DIR_DEV_W
#define DEV_RW     METAL_SHM_DIR_DEV_RW

static const char fixture_source[] =
	"kernel void fill(global uchar *b, uchar value) { b[get_global_id(0)] = value; }\n"
	"kernel void add(global uchar *b, uchar value) { b[get_global_id(0)] += value; }\n"
	"kernel void copy(global const uchar *in, global uchar *out)\n"
	"{ out[get_global_id(0)] = in[get_global_id(0)]; }\n"
	"kernel void where(global uchar *b, global ulong *out) { *out = (ulong)(uintptr_t)b; }\n"
	"constant sampler_t nearest = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_NONE |\n"
	"                             CLK_FILTER_NEAREST;\n"
	"kernel void paint(write_only image2d_t image, float4 colour)\n"
	"{ write_imagef(image, (int2)(get_global_id(0), get_global_id(1)), colour); }\n"
	"kernel void peek(read_only image2d_t image, int x, int y, global float4 *out)\n"
	"{ *out = read_imagef(image, nearest, (int2)(x, y)); }\n";

static struct fixture {
	cl_device_id device;
	cl_context context;
	cl_command_queue queue, out_of_order;
	cl_program program;
	struct metal_device *gpu; /* of the running case */
	struct metal_device *memfd;
} fx;

/* A thread that waits keeps a descriptor to be woken by: made now, not in some case. */
static inline void wait_once(struct metal_device *gpu)
{
	struct metal_generic_shm *shm, *view;
	struct metal_device *memfd;

	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(4096, memfd, 0);
	view = metal_shm_attach(shm, gpu);
	if (!view)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_opencl_acquire(gpu, shm, DEV_R), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, DEV_RW, 0), -ETIMEDOUT);
	assert_int_equal(metal_shm_opencl_release(gpu, shm), 0);
	assert_int_equal(metal_shm_sync_for_cpu(shm, DEV_RW), 0);
	metal_shm_detach(view, gpu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(memfd);
}

/* So is what the runtime keeps for the life of the process: threads, files. */
static inline void fixture_start(void)
{
	const cl_queue_properties properties[] = { CL_QUEUE_PROPERTIES,
						   CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0 };
	const char *source = fixture_source;
	struct metal_device *gpu;
	cl_int code;

	if (fx.context)
		return;
	shm_test_keeps("the OpenCL runtime, for the life of the process");
	if (metal_shm_device_open("opencl", &gpu))
		shm_test_skip("%s", metal_shm_last_error());
	fx.context = metal_shm_opencl_context(gpu);
	fx.queue = metal_shm_opencl_queue(gpu);
	clRetainContext(fx.context);
	clRetainCommandQueue(fx.queue);
	wait_once(gpu);
	metal_shm_device_close(gpu);
	clGetCommandQueueInfo(fx.queue, CL_QUEUE_DEVICE, sizeof(fx.device), &fx.device, NULL);
	fx.out_of_order =
		clCreateCommandQueueWithProperties(fx.context, fx.device, properties, &code);
	assert_int_equal(code, CL_SUCCESS);
	fx.program = clCreateProgramWithSource(fx.context, 1, &source, NULL, &code);
	assert_int_equal(code, CL_SUCCESS);
	assert_int_equal(clBuildProgram(fx.program, 1, &fx.device, "", NULL, NULL), CL_SUCCESS);
}

static inline int fixture_setup(void **state)
{
	(void)state;
	fixture_start();
	assert_int_equal(metal_shm_opencl_open(fx.context, fx.queue, &fx.gpu), 0);
	assert_int_equal(metal_shm_device_open("memfd", &fx.memfd), 0);
	return 0;
}

static inline bool shares_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352], access[5];
	bool found = false;

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%*x-%*x %4s", access) == 1 && access[3] == 's';
	if (maps)
		fclose(maps);
	return found;
}

/* A command's thread may drop its buffer object, and so the mapping, a little after its event. */
static inline void wait_for_mappings_to_go(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 1000 && shares_memory(); i++)
		nanosleep(&pause, NULL);
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	clFinish(fx.queue);
	clFinish(fx.out_of_order);
	metal_shm_device_close(fx.gpu);
	metal_shm_device_close(fx.memfd);
	wait_for_mappings_to_go();
	return 0;
}

#define opencl_case(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static inline struct metal_device *open_paths(uint32_t paths, uint32_t flags)
{
	const struct metal_shm_opencl_options options = {
		.struct_size = sizeof(options),
		.flags = flags,
		.paths = paths,
		.context = fx.context,
		.queue = fx.queue,
	};
	struct metal_device *gpu = NULL;

	assert_int_equal(metal_shm_opencl_open_with(&options, &gpu), 0);
	return gpu;
}

/* The memory by a mapping that the library knows nothing of. */
static inline unsigned char *map_apart(struct metal_generic_shm *shm, size_t size)
{
	int fd = metal_shm_export(shm, 0);
	void *address;

	assert_true(fd >= 0);
	address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(address != MAP_FAILED);
	close(fd);
	return address;
}

static inline cl_kernel kernel_of(const char *name)
{
	cl_int code;
	cl_kernel kernel = clCreateKernel(fx.program, name, &code);

	assert_int_equal(code, CL_SUCCESS);
	return kernel;
}

static inline void enqueue_fill(cl_command_queue queue, const char *name, cl_mem mem,
				unsigned char value, size_t count, cl_uint n, const cl_event *waits,
				cl_event *event)
{
	cl_kernel kernel = kernel_of(name);

	assert_int_equal(clSetKernelArg(kernel, 0, sizeof(mem), &mem), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 1, sizeof(value), &value), CL_SUCCESS);
	assert_int_equal(
		clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, NULL, n, waits, event),
		CL_SUCCESS);
	clReleaseKernel(kernel);
}

static inline cl_mem mem_of(struct metal_device *gpu, struct metal_generic_shm *shm)
{
	cl_mem mem = NULL;

	assert_int_equal(metal_shm_opencl_mem(gpu, shm, &mem), 0);
	return mem;
}

/* One kernel over all of a handle, acquired and released on the default queue. */
static inline void run_on(struct metal_device *gpu, struct metal_generic_shm *shm, const char *name,
			  unsigned char value)
{
	assert_int_equal(metal_shm_opencl_acquire(gpu, shm, DEV_RW), 0);
	enqueue_fill(fx.queue, name, mem_of(gpu, shm), value, metal_shm_size(shm), 0, NULL, NULL);
	assert_int_equal(metal_shm_opencl_release(gpu, shm), 0);
}

static inline cl_event gate_new(void)
{
	cl_int code;
	cl_event gate = clCreateUserEvent(fx.context, &code);

	assert_int_equal(code, CL_SUCCESS);
	return gate;
}

static inline void *open_gate_later(void *gate)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	nanosleep(&pause, NULL);
	clSetUserEventStatus(gate, CL_COMPLETE);
	return NULL;
}

/* Acquire behind a gate, fill, release: nothing can run until the gate opens. */
static inline void queue_fill(struct metal_device *gpu, struct metal_generic_shm *shm,
			      cl_event gate, unsigned char value)
{
	assert_int_equal(metal_shm_opencl_enqueue_acquire(gpu, NULL, shm, DEV_W, 1, &gate, NULL),
			 0);
	enqueue_fill(fx.queue, "fill", mem_of(gpu, shm), value, metal_shm_size(shm), 1, &gate,
		     NULL);
	assert_int_equal(metal_shm_opencl_release(gpu, shm), 0);
}

static inline uint64_t address_seen_by_a_kernel(cl_mem mem)
{
	const size_t one = 1;
	cl_ulong address = 0;
	cl_int code;
	cl_mem out = clCreateBuffer(fx.context, CL_MEM_READ_WRITE, sizeof(address), NULL, &code);
	cl_kernel kernel = kernel_of("where");

	assert_int_equal(code, CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 0, sizeof(mem), &mem), CL_SUCCESS);
	assert_int_equal(clSetKernelArg(kernel, 1, sizeof(out), &out), CL_SUCCESS);
	assert_int_equal(
		clEnqueueNDRangeKernel(fx.queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_SUCCESS);
	assert_int_equal(clEnqueueReadBuffer(fx.queue, out, CL_TRUE, 0, sizeof(address), &address,
					     0, NULL, NULL),
			 CL_SUCCESS);
	clReleaseKernel(kernel);
	clReleaseMemObject(out);
	return address;
}

static inline bool all_are(const unsigned char *bytes, size_t n, unsigned char value)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void assert_reason_has(const char *text)
{
	if (!strstr(metal_shm_last_error(), text))
		fail_msg("'%s' is not in the reason '%s'", text, metal_shm_last_error());
}

#endif
