/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows: parts of one buffer, each with an owner of its own. A kernel works on one while the program
 * writes the next; a part that the device can't use in place is copied, and only what was written.
 *
 *	05-parts [memfd | udmabuf | heap:system]
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shm/observe.h>
#include <shm/opencl.h>
#include <shm/shm.h>

#define PARTS 8
#define SIZE  ((size_t)3001) /* of a part: no multiple of anything */
#define ALL   (PARTS * SIZE)

static const char *const source =
	"kernel void invert(global uchar *bytes) { bytes[get_global_id(0)] ^= 0xff; }";

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static void cl_must(cl_int status, const char *what)
{
	if (status == CL_SUCCESS)
		return;
	fprintf(stderr, "%s: OpenCL error %d\n", what, status);
	exit(1);
}

static cl_kernel build(struct metal_device *gpu)
{
	const char *text = source;
	cl_int status;
	cl_program program =
		clCreateProgramWithSource(metal_shm_opencl_context(gpu), 1, &text, NULL, &status);
	cl_kernel kernel;

	cl_must(status, "clCreateProgramWithSource");
	cl_must(clBuildProgram(program, 0, NULL, "", NULL, NULL), "clBuildProgram");
	kernel = clCreateKernel(program, "invert", &status);
	cl_must(status, "clCreateKernel");
	clReleaseProgram(program);
	return kernel;
}

/* Queues the kernel between acquire and release, and returns. */
static void invert(struct metal_device *gpu, cl_kernel kernel, struct metal_generic_shm *part)
{
	const size_t items = metal_shm_size(part);
	cl_mem mem;

	must(!metal_shm_opencl_mem(gpu, part, &mem), "mem");
	clSetKernelArg(kernel, 0, sizeof(mem), &mem);
	must(!metal_shm_opencl_acquire(gpu, part, METAL_SHM_DIR_DEV_RW), "acquire");
	cl_must(clEnqueueNDRangeKernel(metal_shm_opencl_queue(gpu), kernel, 1, NULL, &items, NULL,
				       0, NULL, NULL),
		"clEnqueueNDRangeKernel");
	must(!metal_shm_opencl_release(gpu, part), "release");
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "", "in place", "window", "copied" };
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };
	struct metal_generic_shm *buffer, *part[PARTS], *view[PARTS];
	struct metal_device *memory, *gpu;
	unsigned char *bytes;
	cl_kernel kernel;
	int wrong = 0;

	must(!metal_shm_device_open(argc > 1 ? argv[1] : "memfd", &memory), "memory");
	must(!metal_shm_opencl_open(NULL, NULL, &gpu), "gpu");
	kernel = build(gpu);
	buffer = metal_shm_allocate(ALL, memory, 0);
	must(buffer, "allocate");
	bytes = metal_shm_map(buffer, METAL_SHM_READ | METAL_SHM_WRITE);
	must(bytes, "map");
	for (size_t i = 0; i < PARTS; i++) {
		part[i] = metal_shm_sub(buffer, i * SIZE, SIZE, 0);
		view[i] = metal_shm_attach(part[i], gpu);
		must(view[i], "attach");
	}

	for (size_t i = 0; i < PARTS; i++) {
		memset(bytes + i * SIZE, (int)i, SIZE);
		must(!metal_shm_wrote(part[i], 0, SIZE), "wrote");
		invert(gpu, kernel, part[i]); /* works on, while the next part is written */
	}
	for (size_t i = 0; i < PARTS; i++) {
		must(!metal_shm_sync_for_cpu(part[i], METAL_SHM_DIR_DEV_RW), "take back");
		for (size_t at = i * SIZE; at < (i + 1) * SIZE; at++)
			wrong += bytes[at] != (unsigned char)~i;
	}

	metal_shm_buffer_stats(buffer, &stats);
	printf("%d parts of %zu bytes in %s, %s: %d bytes wrong; %llu copied out, %llu back\n",
	       PARTS, SIZE, metal_shm_device_name(memory), modes[metal_shm_view_mode(view[0])],
	       wrong, (unsigned long long)stats.bytes_out, (unsigned long long)stats.bytes_back);
	for (size_t i = 0; i < PARTS; i++) {
		metal_shm_detach(view[i], gpu);
		metal_shm_free(part[i], NULL);
	}
	metal_shm_free(buffer, memory);
	clReleaseKernel(kernel);
	metal_shm_device_close(gpu);
	metal_shm_device_close(memory);
	return wrong != 0;
}
