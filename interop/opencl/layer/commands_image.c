/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands on images, which may stand for imports as buffers do. */
#include "calls.h"
#include "layer.h"

cl_int CL_API_CALL layer_enqueue_read_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					    const size_t *origin, const size_t *region, size_t row,
					    size_t slice, void *ptr, cl_uint wait_count,
					    const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueReadImage(queue, image, blocking, origin, region, row,
						     slice, ptr, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_READ_IMAGE, blocking, wait_count, wait_list, event);
	layer_touch(&b, image, false);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueReadImage(
					       b.queue, image, b.blocking, origin, region, row,
					       slice, ptr, b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_write_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					     const size_t *origin, const size_t *region, size_t row,
					     size_t slice, const void *ptr, cl_uint wait_count,
					     const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueWriteImage(queue, image, blocking, origin, region, row,
						      slice, ptr, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_WRITE_IMAGE, blocking, wait_count, wait_list, event);
	layer_touch(&b, image, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueWriteImage(
					       b.queue, image, b.blocking, origin, region, row,
					       slice, ptr, b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_copy_image(cl_command_queue queue, cl_mem src, cl_mem dst,
					    const size_t *src_origin, const size_t *dst_origin,
					    const size_t *region, cl_uint wait_count,
					    const cl_event *wait_list, cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueCopyImage(queue, src, dst, src_origin, dst_origin,
						     region, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_COPY_IMAGE, CL_FALSE, wait_count, wait_list, event);
	layer_touch(&b, src, false);
	layer_touch(&b, dst, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueCopyImage(
					       b.queue, src, dst, src_origin, dst_origin, region,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_copy_image_to_buffer(cl_command_queue queue, cl_mem src,
						      cl_mem dst, const size_t *origin,
						      const size_t *region, size_t offset,
						      cl_uint wait_count, const cl_event *wait_list,
						      cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueCopyImageToBuffer(queue, src, dst, origin, region,
							     offset, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_COPY_IMAGE_TO_BUFFER, CL_FALSE, wait_count, wait_list,
		    event);
	layer_touch(&b, src, false);
	layer_touch(&b, dst, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueCopyImageToBuffer(
					       b.queue, src, dst, origin, region, offset,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_copy_buffer_to_image(cl_command_queue queue, cl_mem src,
						      cl_mem dst, size_t offset,
						      const size_t *origin, const size_t *region,
						      cl_uint wait_count, const cl_event *wait_list,
						      cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueCopyBufferToImage(queue, src, dst, offset, origin,
							     region, wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_COPY_BUFFER_TO_IMAGE, CL_FALSE, wait_count, wait_list,
		    event);
	layer_touch(&b, src, false);
	layer_touch(&b, dst, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueCopyBufferToImage(
					       b.queue, src, dst, offset, origin, region,
					       b.wait_count, b.wait_list, b.event));
	return code;
}

cl_int CL_API_CALL layer_enqueue_fill_image(cl_command_queue queue, cl_mem image, const void *color,
					    const size_t *origin, const size_t *region,
					    cl_uint wait_count, const cl_event *wait_list,
					    cl_event *event)
{
	struct layer_bracket b;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueFillImage(queue, image, color, origin, region,
						     wait_count, wait_list, event);
	layer_begin(&b, queue, CL_COMMAND_FILL_IMAGE, CL_FALSE, wait_count, wait_list, event);
	layer_touch(&b, image, true);
	code = layer_open(&b, LAYER_AROUND);
	if (code == CL_SUCCESS)
		code = layer_close(&b, layer_next.clEnqueueFillImage(b.queue, image, color, origin,
								     region, b.wait_count,
								     b.wait_list, b.event));
	return code;
}
