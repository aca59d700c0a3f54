/* SPDX-License-Identifier: BSD-3-Clause */
/* cl_mems that come of others: sub-buffers and images of imports, and buffers in forced mode. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "calls.h"
#include "layer.h"

#define PTR_FLAGS (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

static bool context_can(cl_context context, bool (*can)(cl_device_id))
{
	cl_device_id *devices;
	size_t count;
	bool all = true;

	if (layer_context_devices(context, &devices, &count) != CL_SUCCESS)
		return false;
	for (size_t i = 0; i < count && all; i++)
		all = can(devices[i]);
	free(devices);
	return all && count;
}

bool layer_context_shares(cl_context context)
{
	return context_can(context, layer_device_shares);
}

bool layer_context_shares_images(cl_context context)
{
	return context_can(context, layer_device_shares_images);
}

/* A memfd of its own for a buffer that the program thinks is ordinary. NULL: the runtime shall do it. */
static cl_mem forced_buffer(cl_context context, cl_mem_flags flags, size_t size, const void *host)
{
	struct layer_mem record = { .flags = flags };
	cl_int code = CL_INVALID_OPERATION;
	cl_mem mem;
	int fd;

	if (flags & CL_MEM_USE_HOST_PTR || !size || !(flags & CL_MEM_COPY_HOST_PTR) != !host ||
	    !layer_flags_are_valid(flags & (LAYER_ACCESS_FLAGS | LAYER_HOST_FLAGS)) ||
	    flags & ~(cl_mem_flags)(LAYER_ACCESS_FLAGS | LAYER_HOST_FLAGS | CL_MEM_COPY_HOST_PTR |
				    CL_MEM_ALLOC_HOST_PTR) ||
	    !layer_context_shares(context))
		return NULL;
	fd = memfd_create("libshm-cl-force", MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (size <= PTRDIFF_MAX && !ftruncate(fd, (off_t)size))
		code = layer_import_fd(fd, size, &record.import);
	close(fd);
	if (code != CL_SUCCESS)
		return NULL;
	if (host)
		memcpy(record.import->address, host, size);
	mem = layer_make_buffer(context, &record, size, &code);
	if (mem)
		layer_stats_add(LAYER_FORCED);
	return mem;
}

cl_mem CL_API_CALL layer_create_buffer(cl_context context, cl_mem_flags flags, size_t size,
				       void *host, cl_int *errcode_ret)
{
	cl_mem mem = layer_forced() ? forced_buffer(context, flags, size, host) : NULL;

	if (!mem)
		return layer_next.clCreateBuffer(context, flags, size, host, errcode_ret);
	if (errcode_ret)
		*errcode_ret = CL_SUCCESS;
	return mem;
}

/*
 * Have a cl_mem of an import be an import as well, which keeps a parent that the runtime doesn't know
 * of. NULL and a CL error otherwise, and mem is released.
 */
static cl_mem inherit(cl_mem mem, struct layer_import *import, cl_mem_flags flags, cl_mem parent,
		      cl_int *ret_code)
{
	cl_mem_object_type type = 0;
	struct layer_mem record = {
		.mem = mem, .import = import, .flags = flags, .parent = parent
	};

	/* PoCL 3.1 calls no destructors of these. They keep their buffer, and so the import. */
	layer_next.clGetMemObjectInfo(mem, CL_MEM_TYPE, sizeof(type), &type, NULL);
	record.silent = type == CL_MEM_OBJECT_IMAGE1D_BUFFER;

	if (parent)
		layer_next.clRetainMemObject(parent);
	*ret_code = layer_mem_add(&record);
	if (*ret_code == CL_SUCCESS)
		return mem;
	layer_next.clReleaseMemObject(mem);
	return NULL;
}

static cl_mem_flags flags_of(cl_mem buffer)
{
	struct layer_mem *record;
	cl_mem_flags flags = 0;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(buffer);
	if (record)
		flags = record->flags;
	pthread_mutex_unlock(&layer_objects_lock);
	return flags;
}

/* What isn't said is as in the buffer. */
static cl_mem_flags inherited_flags(cl_mem_flags from, cl_mem_flags flags)
{
	if (!(flags & LAYER_ACCESS_FLAGS))
		flags |= from & LAYER_ACCESS_FLAGS;
	if (!(flags & LAYER_HOST_FLAGS))
		flags |= from & LAYER_HOST_FLAGS;
	return flags | (from & PTR_FLAGS);
}

/* Whether flags allow no more than the buffer's do. */
static bool may_inherit(cl_mem_flags from, cl_mem_flags flags)
{
	return layer_flags_are_valid(flags) &&
	       !((from & CL_MEM_WRITE_ONLY) && (flags & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY))) &&
	       !((from & CL_MEM_READ_ONLY) && (flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY))) &&
	       !((from & CL_MEM_HOST_WRITE_ONLY) && (flags & CL_MEM_HOST_READ_ONLY)) &&
	       !((from & CL_MEM_HOST_READ_ONLY) && (flags & CL_MEM_HOST_WRITE_ONLY)) &&
	       !((from & CL_MEM_HOST_NO_ACCESS) &&
		 (flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY)));
}

cl_mem CL_API_CALL layer_create_sub_buffer(cl_mem buffer, cl_mem_flags flags,
					   cl_buffer_create_type type, const void *info,
					   cl_int *errcode_ret)
{
	struct layer_import *import;
	cl_mem mem;
	cl_int code;

	mem = layer_next.clCreateSubBuffer(buffer, flags, type, info, &code);
	if (mem && !layer_idle() && (import = layer_mem_import(buffer)) != NULL)
		mem = inherit(mem, import, inherited_flags(flags_of(buffer), flags), NULL, &code);
	if (errcode_ret)
		*errcode_ret = code;
	return mem;
}

static size_t channels(cl_channel_order order)
{
	switch (order) {
	case CL_R:
	case CL_A:
	case CL_INTENSITY:
	case CL_LUMINANCE:
	case CL_DEPTH:
		return 1;
	case CL_RG:
	case CL_RA:
		return 2;
	case CL_RGBA:
	case CL_BGRA:
	case CL_ARGB:
	case CL_ABGR:
	case CL_sRGBA:
	case CL_sBGRA:
	case CL_RGBx:
	case CL_sRGBx:
		return 4;
	default:
		return 0;
	}
}

size_t layer_pixel_size(const cl_image_format *format)
{
	switch (format->image_channel_data_type) {
	case CL_SNORM_INT8:
	case CL_UNORM_INT8:
	case CL_SIGNED_INT8:
	case CL_UNSIGNED_INT8:
		return channels(format->image_channel_order);
	case CL_SNORM_INT16:
	case CL_UNORM_INT16:
	case CL_SIGNED_INT16:
	case CL_UNSIGNED_INT16:
	case CL_HALF_FLOAT:
		return 2 * channels(format->image_channel_order);
	case CL_UNORM_SHORT_565:
	case CL_UNORM_SHORT_555:
		return 2;
	case CL_UNORM_INT_101010:
	case CL_UNORM_INT_101010_2:
		return 4;
	case CL_SIGNED_INT32:
	case CL_UNSIGNED_INT32:
	case CL_FLOAT:
		return 4 * channels(format->image_channel_order);
	default:
		return 0;
	}
}

/* Bytes from the first pixel's to the last one's end, with the pitch filled in; 0 if that can't be. */
size_t layer_image_size(const cl_image_format *format, cl_image_desc *desc)
{
	size_t pixel = layer_pixel_size(format), row, size;

	if (!pixel || desc->image_type != CL_MEM_OBJECT_IMAGE2D || !desc->image_width ||
	    !desc->image_height || __builtin_mul_overflow(desc->image_width, pixel, &row))
		return 0;
	if (!desc->image_row_pitch)
		desc->image_row_pitch = row;
	if (desc->image_row_pitch < row || desc->image_row_pitch % pixel ||
	    __builtin_mul_overflow(desc->image_row_pitch, desc->image_height - 1, &size) ||
	    __builtin_add_overflow(size, row, &size))
		return 0;
	return size;
}

/* The runtime's cl_mem becomes the program's; without one all is given back. */
static cl_mem adopt(cl_mem mem, const struct layer_mem *wanted, cl_int *ret_code)
{
	struct layer_mem record = *wanted;

	if (!mem) {
		free(record.properties);
		layer_import_put(record.import);
		return NULL;
	}
	if (!(record.flags & LAYER_ACCESS_FLAGS))
		record.flags |= CL_MEM_READ_WRITE;
	record.mem = mem;
	*ret_code = layer_mem_add(&record);
	if (*ret_code == CL_SUCCESS) {
		layer_stats_add(LAYER_IMPORTS);
		return mem;
	}
	layer_next.clReleaseMemObject(mem);
	return NULL;
}

/* The descriptor's access wins over what the program says. */
static cl_mem_flags native_flags(const struct layer_import *import, cl_mem_flags flags)
{
	if (!import->writable)
		flags = (flags & ~(cl_mem_flags)LAYER_ACCESS_FLAGS) | CL_MEM_READ_ONLY;
	return flags | CL_MEM_USE_HOST_PTR;
}

cl_mem layer_make_buffer(cl_context context, const struct layer_mem *wanted, size_t size,
			 cl_int *ret_code)
{
	struct layer_import *import = wanted->import;
	cl_mem_flags flags =
		native_flags(import, wanted->flags & (LAYER_ACCESS_FLAGS | LAYER_HOST_FLAGS));
	cl_mem mem;

	mem = layer_next.clCreateBuffer(context, flags, size, import->address, ret_code);
	return adopt(mem, wanted, ret_code);
}

cl_mem layer_make_image(cl_context context, const struct layer_mem *wanted,
			const cl_image_format *format, const cl_image_desc *desc, cl_int *ret_code)
{
	struct layer_import *import = wanted->import;
	cl_mem mem;

	mem = layer_next.clCreateImage(context, native_flags(import, wanted->flags), format, desc,
				       import->address, ret_code);
	return adopt(mem, wanted, ret_code);
}

/* An image of an image would be at the image's bytes, which the runtime alone knows. */
static bool is_buffer(cl_mem mem)
{
	cl_mem_object_type type = 0;

	return layer_next.clGetMemObjectInfo(mem, CL_MEM_TYPE, sizeof(type), &type, NULL) ==
		       CL_SUCCESS &&
	       type == CL_MEM_OBJECT_BUFFER;
}

/* An image at the place of an import's bytes. Takes over the reference. */
static cl_mem image_over(cl_context context, cl_mem_flags flags, const cl_image_format *format,
			 const cl_image_desc *wanted, struct layer_import *import, cl_int *ret_code)
{
	cl_image_desc desc = *wanted;
	size_t offset = 0, size = 0, needed = layer_image_size(format, &desc);
	cl_mem buffer = wanted->mem_object, mem;
	cl_mem_flags from = flags_of(buffer);

	if (!may_inherit(from, flags)) {
		layer_import_put(import);
		*ret_code = CL_INVALID_VALUE;
		return NULL;
	}
	if (!layer_pixel_size(format)) {
		layer_import_put(import);
		*ret_code = CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
		return NULL;
	}
	layer_next.clGetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof(offset), &offset, NULL);
	layer_next.clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof(size), &size, NULL);
	if (!needed || needed > size || offset > import->size || needed > import->size - offset) {
		layer_import_put(import);
		*ret_code = CL_INVALID_IMAGE_DESCRIPTOR;
		return NULL;
	}
	flags = inherited_flags(from, flags);
	desc.mem_object = NULL;
	mem = layer_next.clCreateImage(context,
				       native_flags(import, flags & ~(cl_mem_flags)PTR_FLAGS),
				       format, &desc, (char *)import->address + offset, ret_code);
	if (!mem) {
		layer_import_put(import);
		return NULL;
	}
	return inherit(mem, import, flags, buffer, ret_code);
}

cl_mem CL_API_CALL layer_create_image(cl_context context, cl_mem_flags flags,
				      const cl_image_format *format, const cl_image_desc *desc,
				      void *host, cl_int *errcode_ret)
{
	struct layer_import *import = NULL;
	cl_int code;
	cl_mem mem;

	mem = layer_next.clCreateImage(context, flags, format, desc, host, &code);
	if (!layer_idle() && desc && desc->mem_object)
		import = layer_mem_import(desc->mem_object);
	if (import && mem)
		mem = inherit(mem, import, inherited_flags(flags_of(desc->mem_object), flags), NULL,
			      &code);
	else if (import && format && !host && desc->image_type == CL_MEM_OBJECT_IMAGE2D &&
		 is_buffer(desc->mem_object) && code != CL_OUT_OF_HOST_MEMORY &&
		 layer_context_shares_images(context))
		mem = image_over(context, flags, format, desc, import, &code);
	else if (import)
		layer_import_put(import);
	if (errcode_ret)
		*errcode_ret = code;
	return mem;
}
