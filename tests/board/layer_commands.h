/* SPDX-License-Identifier: BSD-3-Clause */
/* Each command of OpenCL that writes or reads a whole buffer, under one name. */
#ifndef LAYER_COMMANDS_H
#define LAYER_COMMANDS_H

#include "layer_board.h"

/* ---- commands that make all bytes of mem this value ---- */

typedef void (*write_fn)(cl_command_queue queue, cl_mem mem, unsigned char value, cl_event *event);

static inline void write_by_fill(cl_command_queue queue, cl_mem mem, unsigned char value,
				 cl_event *event)
{
	assert_cl(clEnqueueFillBuffer(queue, mem, &value, 1, 0, BYTES, 0, NULL, event));
}

static inline void write_by_write(cl_command_queue queue, cl_mem mem, unsigned char value,
				  cl_event *event)
{
	static unsigned char bytes[BYTES];

	memset(bytes, value, BYTES);
	assert_cl(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, BYTES, bytes, 0, NULL, event));
}

static inline void write_by_rect(cl_command_queue queue, cl_mem mem, unsigned char value,
				 cl_event *event)
{
	static const size_t origin[3] = { 0 }, region[3] = { 256, BYTES / 256, 1 };
	static unsigned char bytes[BYTES];

	memset(bytes, value, BYTES);
	assert_cl(clEnqueueWriteBufferRect(queue, mem, CL_FALSE, origin, origin, region, 256, 0,
					   256, 0, bytes, 0, NULL, event));
}

static inline void write_by_copy(cl_command_queue queue, cl_mem mem, unsigned char value,
				 cl_event *event)
{
	cl_event filled;

	assert_cl(clEnqueueFillBuffer(queue, layer.plain, &value, 1, 0, BYTES, 0, NULL, &filled));
	assert_cl(clEnqueueCopyBuffer(queue, layer.plain, mem, 0, 0, BYTES, 1, &filled, event));
	assert_cl(clReleaseEvent(filled));
}

/* Reads and writes one buffer: the sync has to be for both. */
static inline void write_by_inner_copy(cl_command_queue queue, cl_mem mem, unsigned char value,
				       cl_event *event)
{
	cl_event filled;

	assert_cl(clEnqueueFillBuffer(queue, mem, &value, 1, 0, BYTES / 2, 0, NULL, &filled));
	assert_cl(clEnqueueCopyBuffer(queue, mem, mem, 0, BYTES / 2, BYTES / 2, 1, &filled, event));
	assert_cl(clReleaseEvent(filled));
}

/* Reads as well: what is there has to be right for what comes out of it to be. */
static inline void write_by_kernel(cl_command_queue queue, cl_mem mem, unsigned char value,
				   cl_event *event)
{
	const unsigned char one = 1;
	cl_event filled;

	assert_cl(clEnqueueFillBuffer(queue, mem, &one, 1, 0, BYTES, 0, NULL, &filled));
	enqueue_add(queue, mem, (cl_uchar)(value - 1), 1, &filled, event);
	assert_cl(clReleaseEvent(filled));
}

struct native {
	unsigned char *to;
	const unsigned char *from;
	unsigned char value;
};

static inline void CL_CALLBACK native_run(void *data)
{
	struct native *native = data;

	if (native->from)
		memcpy(native->to, native->from, BYTES);
	else
		memset(native->to, native->value, BYTES);
}

static inline void write_by_native(cl_command_queue queue, cl_mem mem, unsigned char value,
				   cl_event *event)
{
	struct native native = { .value = value };
	const void *place = &native.to;

	assert_cl(clEnqueueNativeKernel(queue, native_run, &native, sizeof(native), 1, &mem, &place,
					0, NULL, event));
}

static inline void write_by_map(cl_command_queue queue, cl_mem mem, unsigned char value,
				cl_event *event)
{
	cl_int code;
	void *bytes = clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL,
					 &code);

	assert_cl(code);
	memset(bytes, value, BYTES);
	assert_cl(clEnqueueUnmapMemObject(queue, mem, bytes, 0, NULL, event));
}

static inline void write_by_parts(cl_command_queue queue, cl_mem mem, unsigned char value,
				  cl_event *event)
{
	cl_buffer_region half = { 0, BYTES / 2 };
	cl_event done[2];
	cl_int code;

	for (int i = 0; i < 2; i++, half.origin += half.size) {
		cl_mem part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &code);

		assert_cl(code);
		assert_cl(clEnqueueFillBuffer(queue, part, &value, 1, 0, half.size, 0, NULL,
					      &done[i]));
		assert_cl(clReleaseMemObject(part));
	}
	assert_cl(clEnqueueMarkerWithWaitList(queue, 2, done, event));
	assert_cl(clReleaseEvent(done[0]));
	assert_cl(clReleaseEvent(done[1]));
}

static const struct {
	const char *name;
	write_fn write;
} writers[] = {
	{ "fill", write_by_fill },
	{ "write", write_by_write },
	{ "rect", write_by_rect },
	{ "copy", write_by_copy },
	{ "inner copy", write_by_inner_copy },
	{ "kernel", write_by_kernel },
	{ "native kernel", write_by_native },
	{ "map", write_by_map },
	{ "sub-buffers", write_by_parts },
};

#define WRITERS SHM_TEST_COUNT(writers)

/* ---- commands that give the bytes of mem ---- */

typedef void (*read_fn)(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes);

static inline void read_by_read(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes)
{
	assert_cl(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, BYTES, ret_bytes, 0, NULL, NULL));
}

static inline void read_by_rect(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes)
{
	static const size_t origin[3] = { 0 }, region[3] = { 256, BYTES / 256, 1 };

	assert_cl(clEnqueueReadBufferRect(queue, mem, CL_TRUE, origin, origin, region, 256, 0, 256,
					  0, ret_bytes, 0, NULL, NULL));
}

static inline void read_by_copy(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes)
{
	cl_event copied;

	assert_cl(clEnqueueCopyBuffer(queue, mem, layer.plain, 0, 0, BYTES, 0, NULL, &copied));
	assert_cl(clEnqueueReadBuffer(queue, layer.plain, CL_TRUE, 0, BYTES, ret_bytes, 1, &copied,
				      NULL));
	assert_cl(clReleaseEvent(copied));
}

static inline void read_by_native(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes)
{
	struct native native = { .to = ret_bytes };
	const void *place = &native.from;
	cl_event event;

	assert_cl(clEnqueueNativeKernel(queue, native_run, &native, sizeof(native), 1, &mem, &place,
					0, NULL, &event));
	wait_and_release(event);
}

static inline void read_by_map(cl_command_queue queue, cl_mem mem, unsigned char *ret_bytes)
{
	cl_int code;
	void *bytes = clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, BYTES, 0, NULL, NULL,
					 &code);
	cl_event event;

	assert_cl(code);
	memcpy(ret_bytes, bytes, BYTES);
	assert_cl(clEnqueueUnmapMemObject(queue, mem, bytes, 0, NULL, &event));
	wait_and_release(event);
}

static const struct {
	const char *name;
	read_fn read;
} readers[] = {
	{ "read", read_by_read }, { "rect", read_by_rect },
	{ "copy", read_by_copy }, { "native kernel", read_by_native },
	{ "map", read_by_map },
};

#define READERS SHM_TEST_COUNT(readers)

#endif
