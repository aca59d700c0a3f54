/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images over the planes of a frame: standing on the buffer object where the device has such images,
 * else over the mapping's address. Each way is proven apart from buffers.
 */
#include <stdlib.h>

#include "internal.h"

#define FOURCC METAL_SHM_FOURCC

/* The channel orders to try; a zero ends them. The bytes of a pixel decide, the fourcc where it must. */
static int channel_orders(uint32_t fourcc, unsigned bytes, cl_channel_order orders[2],
			  cl_channel_type *ret_type)
{
	*ret_type = CL_UNORM_INT8;
	orders[1] = 0;
	if (fourcc == FOURCC('R', 'G', '1', '6')) {
		*ret_type = CL_UNORM_SHORT_565;
		orders[0] = CL_RGB;
	} else if (fourcc == FOURCC('X', 'R', '2', '4') || fourcc == FOURCC('A', 'R', '2', '4')) {
		orders[0] = CL_BGRA;
		orders[1] = CL_RGBA;
	} else if (bytes == 4) {
		orders[0] = CL_RGBA;
	} else if (bytes == 2) {
		orders[0] = CL_RG;
	} else if (bytes == 1) {
		orders[0] = CL_R;
	} else {
		return metal_shm_set_error(ENOTSUP, "OpenCL has no images of %.4s",
					   (const char *)&fourcc);
	}
	return 0;
}

static int choose_format(const struct shm__cl *cl, bool writable, uint32_t fourcc,
			 struct shm__cl_plane *plane)
{
	cl_mem_flags flags = writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_channel_order orders[2];
	cl_image_format *formats;
	cl_uint n = 0;
	cl_int code;
	int error;

	error = channel_orders(fourcc, (unsigned)plane->bytes, orders,
			       &plane->format.image_channel_data_type);
	if (error)
		return error;
	code = clGetSupportedImageFormats(cl->context, flags, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &n);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "clGetSupportedImageFormats");
	formats = calloc((size_t)n + 1, sizeof(formats[0]));
	if (!formats)
		return metal_shm_set_error(ENOMEM, "no memory for the image formats");
	code = clGetSupportedImageFormats(cl->context, flags, CL_MEM_OBJECT_IMAGE2D, n, formats,
					  NULL);
	error = code == CL_SUCCESS ? -ENOENT : shm__cl_error(code, "clGetSupportedImageFormats");
	for (int turn = 0; turn < 2 && error == -ENOENT; turn++)
		for (cl_uint i = 0; i < n && orders[turn]; i++)
			if (formats[i].image_channel_order == orders[turn] &&
			    formats[i].image_channel_data_type ==
				    plane->format.image_channel_data_type) {
				plane->format = formats[i];
				error = 0;
				break;
			}
	free(formats);
	if (error == -ENOENT)
		return metal_shm_set_error(ENOTSUP,
					   "the runtime has no images of channel order 0x%x, type "
					   "0x%x, for %.4s",
					   orders[0], plane->format.image_channel_data_type,
					   (const char *)&fourcc);
	return error;
}

static int describe_plane(const struct shm__cl_view *view, unsigned index,
			  struct shm__cl_plane *plane)
{
	const struct metal_shm_frame *frame = view->at->frame;
	struct metal_shm_format format;
	int error;

	if (!frame)
		return metal_shm_set_error(ENODATA, "nobody said what picture the buffer is");
	if (index >= frame->plane_count)
		return metal_shm_set_error(EINVAL, "plane %u of a frame of %u", index,
					   frame->plane_count);
	if (view->at->range.offset || view->at->range.length < frame->size)
		return metal_shm_set_error(EINVAL, "images are of whole buffers, not of parts");
	if (frame->modifier)
		return metal_shm_set_error(ENOTSUP, "images are linear; the modifier is 0x%llx",
					   (unsigned long long)frame->modifier);
	error = metal_shm_format_of(frame->fourcc, &format);
	if (error)
		return error;
	*plane = (struct shm__cl_plane){
		.bytes = format.bytes[index],
		.width =
			(frame->width + format.block_width[index] - 1u) / format.block_width[index],
		.height = (frame->height + format.block_height[index] - 1u) /
			  format.block_height[index],
		.stride = frame->plane[index].stride,
		.offset = (size_t)frame->plane[index].offset,
	};
	return choose_format(view->cl, view->import->writable, frame->fourcc, plane);
}

static int plane_buffer(struct shm__cl *cl, cl_mem import, const struct shm__cl_plane *plane,
			cl_mem *ret_buffer)
{
	const cl_buffer_region region = {
		plane->offset,
		(plane->height - 1) * plane->stride + plane->width * plane->bytes,
	};
	cl_int code = CL_SUCCESS;

	if (plane->stride % (cl->pitch_pixels * plane->bytes))
		return metal_shm_set_error(ENOTSUP,
					   "a stride of %zu where images on buffers need "
					   "multiples of %zu",
					   plane->stride, cl->pitch_pixels * plane->bytes);
	if (plane->offset % cl->base_alignment)
		return metal_shm_set_error(ENOTSUP, "the plane must start at a multiple of %zu",
					   cl->base_alignment);
	*ret_buffer = clCreateSubBuffer(import, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
	return *ret_buffer ? 0 : shm__cl_error(code, "clCreateSubBuffer");
}

int shm__cl_image_make(struct shm__cl *cl, cl_mem import, void *address, bool writable,
		       const struct shm__cl_plane *plane, cl_mem *ret_buffer, cl_mem *ret_image)
{
	cl_mem_flags flags = writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = plane->width,
		.image_height = plane->height,
		.image_row_pitch = plane->stride,
	};
	cl_int code = CL_SUCCESS;
	cl_mem image;
	int error;

	if (ret_buffer) {
		error = plane_buffer(cl, import, plane, ret_buffer);
		if (error)
			return error;
		desc.mem_object = *ret_buffer;
		image = clCreateImage(cl->context, flags, &plane->format, &desc, NULL, &code);
	} else {
		image = clCreateImage(cl->context, flags | CL_MEM_USE_HOST_PTR, &plane->format,
				      &desc, (char *)address + plane->offset, &code);
	}
	if (image) {
		*ret_image = image;
		return 0;
	}
	if (ret_buffer)
		clReleaseMemObject(*ret_buffer);
	return shm__cl_error(code, "clCreateImage");
}

/* One way of the two; what it made is the caller's to keep or release. */
static int make(struct shm__cl_view *view, bool on_buffer, const struct shm__cl_plane *plane,
		cl_mem *ret_buffer, cl_mem *ret_image)
{
	struct shm__cl_import *import = view->import;
	struct shm__cl *cl = view->cl;
	int error;

	if (on_buffer && !cl->pitch_pixels)
		return metal_shm_set_error(ENOTSUP, "the device has no images on buffers");
	error = shm__cl_prove_image(view, on_buffer, plane);
	if (error)
		return error;
	error = shm__cl_image_make(
		cl, import->mem, import->mapping ? import->mapping->address : NULL,
		import->writable, plane, on_buffer ? ret_buffer : NULL, ret_image);
	if (error || on_buffer)
		return error;
	error = shm__cl_mapping_bind(import->mapping, *ret_image);
	if (error)
		clReleaseMemObject(*ret_image);
	return error;
}

/* The first of two that made it at once wins. */
static cl_mem keep(struct shm__cl_view *view, unsigned index, cl_mem buffer, cl_mem image)
{
	cl_mem kept;

	pthread_mutex_lock(&view->cl->lock);
	kept = view->images[index];
	if (!kept) {
		view->planes[index] = buffer;
		view->images[index] = image;
	}
	pthread_mutex_unlock(&view->cl->lock);
	if (!kept)
		return image;
	clReleaseMemObject(image);
	if (buffer)
		clReleaseMemObject(buffer);
	return kept;
}

int metal_shm_opencl_image(struct metal_device *gpu, struct metal_generic_shm *shm, unsigned plane,
			   cl_mem *ret_image)
{
	struct shm__cl_plane description;
	struct shm__cl_view *view;
	cl_mem buffer = NULL, image = NULL;
	int error = shm__cl_view_of(gpu, shm, &view);

	if (error)
		return error;
	if (!ret_image)
		return metal_shm_set_error(EINVAL, "metal_shm_opencl_image: NULL");
	if (plane < METAL_SHM_MAX_PLANES) {
		pthread_mutex_lock(&view->cl->lock);
		image = view->images[plane];
		pthread_mutex_unlock(&view->cl->lock);
	}
	if (image) {
		*ret_image = image;
		return 0;
	}
	if (!view->cl->images)
		return metal_shm_set_error(ENOTSUP, "the device has no images");
	if (!view->import->path->shares)
		return metal_shm_set_error(ENOTSUP, "memory that is copied has no images");
	error = describe_plane(view, plane, &description);
	if (error)
		return error;
	error = make(view, true, &description, &buffer, &image);
	if (error && view->import->path->id == METAL_SHM_OPENCL_HOST_PTR)
		error = make(view, false, &description, &buffer, &image);
	if (error)
		return error;
	*ret_image = keep(view, plane, buffer, image);
	return 0;
}
