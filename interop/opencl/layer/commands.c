/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands on buffers: the same call with what it touches between START and END. */
#include "calls.h"
#include "layer.h"

cl_int CL_API_CALL layer_enqueue_read_buffer(cl_command_queue queue, cl_mem buffer,
					     cl_bool blocking, size_t offset, size_t size,
					     void *ptr, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueReadBuffer(queue, buffer, blocking, offset, size, ptr,
						      wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_READ_BUFFER, blocking, wait_count, wait_list, event);
	layer_touch(&b, buffer, false);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueReadBuffer(
					       b.queue, buffer, b.blocking, offset, size, ptr,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_write_buffer(cl_command_queue queue, cl_mem buffer,
					      cl_bool blocking, size_t offset, size_t size,
					      const void *ptr, cl_uint wait_count,
					      const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueWriteBuffer(queue, buffer, blocking, offset, size, ptr,
						       wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_WRITE_BUFFER, blocking, wait_count, wait_list, event);
	layer_touch(&b, buffer, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueWriteBuffer(
					       b.queue, buffer, b.blocking, offset, size, ptr,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_read_buffer_rect(cl_command_queue queue, cl_mem buffer,
						  cl_bool blocking, const size_t *buffer_origin,
						  const size_t *host_origin, const size_t *region,
						  size_t buffer_row, size_t buffer_slice,
						  size_t host_row, size_t host_slice, void *ptr,
						  cl_uint wait_count, const cl_event *wait_list,
						  cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueReadBufferRect(
			queue, buffer, blocking, buffer_origin, host_origin, region, buffer_row,
			buffer_slice, host_row, host_slice, ptr, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_READ_BUFFER_RECT, blocking, wait_count, wait_list, event);
	layer_touch(&b, buffer, false);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b,
				   layer_next.clEnqueueReadBufferRect(
					   b.queue, buffer, b.blocking, buffer_origin, host_origin,
					   region, buffer_row, buffer_slice, host_row, host_slice,
					   ptr, b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_write_buffer_rect(cl_command_queue queue, cl_mem buffer,
						   cl_bool blocking, const size_t *buffer_origin,
						   const size_t *host_origin, const size_t *region,
						   size_t buffer_row, size_t buffer_slice,
						   size_t host_row, size_t host_slice,
						   const void *ptr, cl_uint wait_count,
						   const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueWriteBufferRect(
			queue, buffer, blocking, buffer_origin, host_origin, region, buffer_row,
			buffer_slice, host_row, host_slice, ptr, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_WRITE_BUFFER_RECT, blocking, wait_count, wait_list,
		    event);
	layer_touch(&b, buffer, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b,
				   layer_next.clEnqueueWriteBufferRect(
					   b.queue, buffer, b.blocking, buffer_origin, host_origin,
					   region, buffer_row, buffer_slice, host_row, host_slice,
					   ptr, b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_copy_buffer(cl_command_queue queue, cl_mem src, cl_mem dst,
					     size_t src_offset, size_t dst_offset, size_t size,
					     cl_uint wait_count, const cl_event *wait_list,
					     cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueCopyBuffer(queue, src, dst, src_offset, dst_offset, size,
						      wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_COPY_BUFFER, CL_FALSE, wait_count, wait_list, event);
	layer_touch(&b, src, false);
	layer_touch(&b, dst, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueCopyBuffer(
					       b.queue, src, dst, src_offset, dst_offset, size,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_copy_buffer_rect(cl_command_queue queue, cl_mem src, cl_mem dst,
						  const size_t *src_origin,
						  const size_t *dst_origin, const size_t *region,
						  size_t src_row, size_t src_slice, size_t dst_row,
						  size_t dst_slice, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueCopyBufferRect(queue, src, dst, src_origin, dst_origin,
							  region, src_row, src_slice, dst_row,
							  dst_slice, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_COPY_BUFFER_RECT, CL_FALSE, wait_count, wait_list, event);
	layer_touch(&b, src, false);
	layer_touch(&b, dst, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueCopyBufferRect(
					       b.queue, src, dst, src_origin, dst_origin, region,
					       src_row, src_slice, dst_row, dst_slice, b.wait_count,
					       b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_fill_buffer(cl_command_queue queue, cl_mem buffer,
					     const void *pattern, size_t pattern_size,
					     size_t offset, size_t size, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueFillBuffer(queue, buffer, pattern, pattern_size, offset,
						      size, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_FILL_BUFFER, CL_FALSE, wait_count, wait_list, event);
	layer_touch(&b, buffer, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueFillBuffer(
					       b.queue, buffer, pattern, pattern_size, offset, size,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

/* Moving may read the host's bytes and write them, by what the runtime does. */
cl_int CL_API_CALL layer_enqueue_migrate_mem_objects(cl_command_queue queue, cl_uint count,
						     const cl_mem *mems,
						     cl_mem_migration_flags flags,
						     cl_uint wait_count, const cl_event *wait_list,
						     cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueMigrateMemObjects(queue, count, mems, flags, wait_count,
							     wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_MIGRATE_MEM_OBJECTS, CL_FALSE, wait_count, wait_list,
		    event);
	for (cl_uint i = 0; mems && i < count; i++)
		layer_touch_all(&b, mems[i]);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueMigrateMemObjects(b.queue, count, mems,
									     flags, b.wait_count,
									     b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_native_kernel(cl_command_queue queue,
					       void(CL_CALLBACK *function)(void *), void *args,
					       size_t args_size, cl_uint count, const cl_mem *mems,
					       const void **locations, cl_uint wait_count,
					       const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueNativeKernel(queue, function, args, args_size, count,
							mems, locations, wait_count, wait_list,
							event);
	layer_begin(&b, queue, CL_COMMAND_NATIVE_KERNEL, CL_FALSE, wait_count, wait_list, event);
	for (cl_uint i = 0; mems && i < count; i++)
		layer_touch(&b, mems[i], true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueNativeKernel(
					       b.queue, function, args, args_size, count, mems,
					       locations, b.wait_count, b.wait_list, b.event));
	return code;
}
