/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cl_khr_command_buffer: what is recorded once is run by the runtime alone, as often as the program
 * likes, with no room for START and END in between. So commands that touch imports are refused with
 * CL_INVALID_OPERATION when they are recorded, whether they would want a bracket or not: a program
 * finds out at its desk and not on the board. All else is the implementation's.
 *
 * The functions come from the extension lookup alone, in one of two shapes: revision 0.9.5 put a list
 * of properties before the arguments of all commands but kernels, which had one from the beginning.
 * clCommandSVM...KHR is left out, as clEnqueueSVM... is: an import is no memory of clSVMAlloc's.
 */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"

#define EXTENSION       "cl_khr_command_buffer"
#define WITH_PROPERTIES CL_MAKE_VERSION(0, 9, 5)

typedef const cl_properties *properties_list;

static cl_platform_id platform_of(cl_context context)
{
	cl_platform_id platform = NULL;
	cl_device_id *devices;
	size_t count = 0;

	if (layer_context_devices(context, &devices, &count) != CL_SUCCESS)
		return NULL;
	if (count)
		layer_next.clGetDeviceInfo(devices[0], CL_DEVICE_PLATFORM, sizeof(platform),
					   &platform, NULL);
	free(devices);
	return platform;
}

/* A command buffer tells its platform through an object of a command, as a queue may be missing. */
static cl_int find(cl_context context, const char *name, void *ret_next, size_t size)
{
	cl_platform_id platform = platform_of(context);
	void *address = NULL;

	if (platform)
		address = layer_next.clGetExtensionFunctionAddressForPlatform(platform, name);
	memcpy(ret_next, &address, size);
	return address ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

static bool is_import(cl_mem mem)
{
	struct layer_import *import = mem && !layer_idle() ? layer_mem_import(mem) : NULL;

	if (import)
		layer_import_put(import);
	return import;
}

static cl_int next_for_mems(cl_mem a, cl_mem b, const char *name, void *ret_next, size_t size)
{
	cl_context context;
	cl_int code;

	if (is_import(a) || is_import(b))
		return CL_INVALID_OPERATION;
	code = layer_next.clGetMemObjectInfo(a, CL_MEM_CONTEXT, sizeof(context), &context, NULL);
	return code == CL_SUCCESS ? find(context, name, ret_next, size) : code;
}

static cl_int next_for_kernel(cl_kernel kernel, const char *name, void *ret_next, size_t size)
{
	cl_context context;
	cl_int code;

	if (!layer_idle() && layer_kernel_has_import(kernel))
		return CL_INVALID_OPERATION;
	code = layer_next.clGetKernelInfo(kernel, CL_KERNEL_CONTEXT, sizeof(context), &context,
					  NULL);
	return code == CL_SUCCESS ? find(context, name, ret_next, size) : code;
}

#define LIST(...) __VA_ARGS__

/* Both shapes of a command: what it touches, and the arguments of its own. */
#define COMMAND(command, a, b, parameters, arguments)                                             \
	static cl_int CL_API_CALL old_##command(                                                  \
		cl_command_buffer_khr commands, cl_command_queue queue, LIST parameters,          \
		cl_uint wait_count, const cl_sync_point_khr *wait_list, cl_sync_point_khr *point, \
		cl_mutable_command_khr *handle)                                                   \
	{                                                                                         \
		__typeof__(&old_##command) next;                                                  \
		cl_int code =                                                                     \
			next_for_mems(a, b, "clCommand" #command "KHR", &next, sizeof(next));     \
                                                                                                  \
		if (code != CL_SUCCESS)                                                           \
			return code;                                                              \
		return next(commands, queue, LIST arguments, wait_count, wait_list, point,        \
			    handle);                                                              \
	}                                                                                         \
	static cl_int CL_API_CALL new_##command(                                                  \
		cl_command_buffer_khr commands, cl_command_queue queue,                           \
		properties_list properties, LIST parameters, cl_uint wait_count,                  \
		const cl_sync_point_khr *wait_list, cl_sync_point_khr *point,                     \
		cl_mutable_command_khr *handle)                                                   \
	{                                                                                         \
		__typeof__(&new_##command) next;                                                  \
		cl_int code =                                                                     \
			next_for_mems(a, b, "clCommand" #command "KHR", &next, sizeof(next));     \
                                                                                                  \
		if (code != CL_SUCCESS)                                                           \
			return code;                                                              \
		return next(commands, queue, properties, LIST arguments, wait_count, wait_list,   \
			    point, handle);                                                       \
	}

COMMAND(CopyBuffer, src, dst,
	(cl_mem src, cl_mem dst, size_t src_offset, size_t dst_offset, size_t size),
	(src, dst, src_offset, dst_offset, size))
COMMAND(CopyBufferRect, src, dst,
	(cl_mem src, cl_mem dst, const size_t *src_origin, const size_t *dst_origin,
	 const size_t *region, size_t src_row, size_t src_slice, size_t dst_row, size_t dst_slice),
	(src, dst, src_origin, dst_origin, region, src_row, src_slice, dst_row, dst_slice))
COMMAND(CopyBufferToImage, src, dst,
	(cl_mem src, cl_mem dst, size_t offset, const size_t *origin, const size_t *region),
	(src, dst, offset, origin, region))
COMMAND(CopyImageToBuffer, src, dst,
	(cl_mem src, cl_mem dst, const size_t *origin, const size_t *region, size_t offset),
	(src, dst, origin, region, offset))
COMMAND(CopyImage, src, dst,
	(cl_mem src, cl_mem dst, const size_t *src_origin, const size_t *dst_origin,
	 const size_t *region),
	(src, dst, src_origin, dst_origin, region))
COMMAND(FillBuffer, buffer, NULL,
	(cl_mem buffer, const void *pattern, size_t pattern_size, size_t offset, size_t size),
	(buffer, pattern, pattern_size, offset, size))
COMMAND(FillImage, image, NULL,
	(cl_mem image, const void *color, const size_t *origin, const size_t *region),
	(image, color, origin, region))

static cl_int CL_API_CALL ndrange_kernel(cl_command_buffer_khr commands, cl_command_queue queue,
					 properties_list properties, cl_kernel kernel,
					 cl_uint dimensions, const size_t *offset,
					 const size_t *global, const size_t *local,
					 cl_uint wait_count, const cl_sync_point_khr *wait_list,
					 cl_sync_point_khr *point, cl_mutable_command_khr *handle)
{
	__typeof__(&ndrange_kernel) next;
	cl_int code = next_for_kernel(kernel, "clCommandNDRangeKernelKHR", &next, sizeof(next));

	if (code != CL_SUCCESS)
		return code;
	return next(commands, queue, properties, kernel, dimensions, offset, global, local,
		    wait_count, wait_list, point, handle);
}

typedef void (*function)(void);

#define BOTH(command)                                                                        \
	{                                                                                    \
		"clCommand" #command "KHR", (function)old_##command, (function)new_##command \
	}

static const struct {
	const char *name;
	function old, new;
} functions[] = {
	BOTH(CopyBuffer),
	BOTH(CopyBufferRect),
	BOTH(CopyBufferToImage),
	BOTH(CopyImageToBuffer),
	BOTH(CopyImage),
	BOTH(FillBuffer),
	BOTH(FillImage),
	{ "clCommandNDRangeKernelKHR", (function)ndrange_kernel, (function)ndrange_kernel },
};

/* Of the first device that has the extension; 0 where none tells. */
static cl_version version_of(cl_platform_id platform)
{
	cl_device_id devices[64];
	cl_version version = 0;
	cl_uint count = 0;

	if (layer_next.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 64, devices, &count) !=
	    CL_SUCCESS)
		return 0;
	for (cl_uint i = 0; i < count && i < 64 && !version; i++)
		version = layer_device_version(devices[i], EXTENSION);
	return version;
}

void *layer_command_buffer_function(cl_platform_id platform, const char *name)
{
	void *address = NULL;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strcmp(name, functions[i].name) != 0)
			continue;
		if (version_of(platform) < WITH_PROPERTIES)
			memcpy(&address, &functions[i].old, sizeof(address));
		else
			memcpy(&address, &functions[i].new, sizeof(address));
	}
	return address;
}
