/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory to import, and what a test asks of it. Included after layer_fixture.h. */
#ifndef LAYER_MEMORY_H
#define LAYER_MEMORY_H

#include "layer_fixture.h"

struct memory {
	int fd;
	size_t size;
	unsigned char *bytes; /* the program's own view */
};

static inline struct memory new_memory(size_t size)
{
	struct memory memory = { .fd = memfd_create("layer", MFD_CLOEXEC), .size = size };

	assert_true(memory.fd >= 0);
	assert_int_equal(ftruncate(memory.fd, (off_t)size), 0);
	memory.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	assert_ptr_not_equal(memory.bytes, MAP_FAILED);
	return memory;
}

static inline void free_memory(const struct memory *memory)
{
	munmap(memory->bytes, memory->size);
	close(memory->fd);
}

/* The same memory by another descriptor; mode is open()'s. */
static inline int reopen(int fd, int mode)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, mode | O_CLOEXEC);
	assert_true(again >= 0);
	return again;
}

static const cl_import_properties_arm as_dmabuf[] = { CL_IMPORT_TYPE_ARM,
						      CL_IMPORT_TYPE_DMA_BUF_ARM, 0 };

/* What the import of a descriptor answers; what it makes is released again. */
static inline cl_int import_answer(cl_mem_flags flags, const cl_import_properties_arm *properties,
				   void *memory, size_t size)
{
	cl_int code = 1;
	cl_mem mem = cl.import(cl.context, flags, properties, memory, size, &code);

	assert_int_equal(code == CL_SUCCESS, mem != NULL);
	if (mem)
		assert_cl(clReleaseMemObject(mem));
	return code;
}

static inline cl_kernel new_kernel(const char *source, const char *name)
{
	cl_program program;
	cl_kernel kernel;
	cl_int code;

	program = clCreateProgramWithSource(cl.context, 1, &source, NULL, &code);
	assert_cl(code);
	assert_cl(clBuildProgram(program, 1, &cl.device, "-cl-kernel-arg-info", NULL, NULL));
	kernel = clCreateKernel(program, name, &code);
	assert_cl(code);
	assert_cl(clReleaseProgram(program));
	return kernel;
}

static inline cl_int run_kernel(cl_kernel kernel, size_t items)
{
	cl_int code =
		clEnqueueNDRangeKernel(cl.queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL);

	return code == CL_SUCCESS ? clFinish(cl.queue) : code;
}

static inline void assert_all(const unsigned char *bytes, unsigned char value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			fail_msg("byte %zu is 0x%02x, not 0x%02x", i, bytes[i], value);
}

static inline void fill_bytes(cl_mem mem, unsigned char value, size_t size)
{
	assert_cl(clEnqueueFillBuffer(cl.queue, mem, &value, 1, 0, size, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
}

#endif
