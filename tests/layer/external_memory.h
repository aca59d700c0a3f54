/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of cl_khr_external_memory make. */
#ifndef EXTERNAL_MEMORY_H
#define EXTERNAL_MEMORY_H

#include "bracket_fixture.h"

#define HANDLE CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR

static const cl_image_format rgba = { CL_RGBA, CL_UNSIGNED_INT8 };
static const cl_image_desc square = {
	.image_type = CL_MEM_OBJECT_IMAGE2D,
	.image_width = SIDE,
	.image_height = SIDE,
	.image_row_pitch = SIDE * 4,
};

static inline cl_mem external(int fd, cl_mem_flags flags, size_t size)
{
	const cl_mem_properties properties[] = { HANDLE, (cl_mem_properties)fd, 0 };
	cl_int code;
	cl_mem mem;

	mem = clCreateBufferWithProperties(cl.context, properties, flags, size, NULL, &code);
	assert_cl(code);
	return mem;
}

#endif
