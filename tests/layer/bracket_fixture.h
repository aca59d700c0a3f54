/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of brackets share: notes in the log of syncs that commands and events leave. */
#ifndef BRACKET_FIXTURE_H
#define BRACKET_FIXTURE_H

#include "layer_fixture.h"

#include "fake_dmabuf.h"

#define SIDE       ((size_t)128) /* of images, of 4 bytes a pixel: BYTES in all */
#define PATIENT_MS 20000         /* far beyond what anything takes */

static inline void CL_CALLBACK note_after_a_while(void *args)
{
	usleep(2000);
	fake_note(*(int *)args);
}

static inline void CL_CALLBACK note(void *args)
{
	fake_note(*(int *)args);
}

static inline void enqueue_note(cl_command_queue queue, void(CL_CALLBACK *function)(void *),
				int number, cl_uint count, const cl_event *list)
{
	assert_cl(clEnqueueNativeKernel(queue, function, &number, sizeof(number), 0, NULL, NULL,
					count, list, NULL));
}

static inline void CL_CALLBACK note_event(cl_event event, cl_int status, void *number)
{
	(void)event;
	fake_note(status == CL_COMPLETE ? *(int *)number : -*(int *)number);
}

static inline cl_mem whole(cl_mem buffer)
{
	const cl_buffer_region region = { 0, BYTES };
	cl_int code;
	cl_mem mem;

	mem = clCreateSubBuffer(buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
	assert_cl(code);
	return mem;
}

static inline cl_mem image_of(cl_mem buffer)
{
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = SIDE,
		.image_height = SIDE,
		.image_row_pitch = SIDE * 4,
		.mem_object = buffer,
	};
	cl_int code;
	cl_mem mem;

	mem = clCreateImage(cl.context, CL_MEM_READ_WRITE, &format, &desc, NULL, &code);
	assert_cl(code);
	return mem;
}

static inline cl_event new_user_event(void)
{
	cl_int code;
	cl_event event = clCreateUserEvent(cl.context, &code);

	assert_cl(code);
	return event;
}

static inline cl_int fill(cl_command_queue queue, cl_mem mem, unsigned char value, cl_uint count,
			  const cl_event *list, cl_event *event)
{
	return clEnqueueFillBuffer(queue, mem, &value, 1, 0, BYTES, count, list, event);
}

/* The layer keeps a thread and a descriptor for it from its first bracket on. */
static inline void open_bracket_runtime(void)
{
	struct fake_dmabuf *fake;
	cl_mem mem;

	open_runtime();
	fake = fake_new(BYTES);
	mem = import_fd(fake_fd(fake), BYTES);
	assert_cl(fill(cl.queue, mem, 1, 0, NULL, NULL));
	assert_cl(clFinish(cl.queue));
	assert_cl(clReleaseMemObject(mem));
	fake_free(fake);
	fake_reset();
}

#endif
