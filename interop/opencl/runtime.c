/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking the OpenCL runtime: platforms, devices, what they can do, what their errors mean. */
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "layer/private.h"

#define MAX_PLATFORMS 32
#define MAX_DEVICES   32

static const struct {
	cl_int code;
	int error;
	const char *name;
} codes[] = {
	{ CL_DEVICE_NOT_FOUND, ENODEV, "CL_DEVICE_NOT_FOUND" },
	{ CL_DEVICE_NOT_AVAILABLE, ENODEV, "CL_DEVICE_NOT_AVAILABLE" },
	{ CL_COMPILER_NOT_AVAILABLE, ENOTSUP, "CL_COMPILER_NOT_AVAILABLE" },
	{ CL_MEM_OBJECT_ALLOCATION_FAILURE, ENOMEM, "CL_MEM_OBJECT_ALLOCATION_FAILURE" },
	{ CL_OUT_OF_RESOURCES, ENOMEM, "CL_OUT_OF_RESOURCES" },
	{ CL_OUT_OF_HOST_MEMORY, ENOMEM, "CL_OUT_OF_HOST_MEMORY" },
	{ CL_IMAGE_FORMAT_NOT_SUPPORTED, ENOTSUP, "CL_IMAGE_FORMAT_NOT_SUPPORTED" },
	{ CL_BUILD_PROGRAM_FAILURE, ENOTSUP, "CL_BUILD_PROGRAM_FAILURE" },
	{ CL_MISALIGNED_SUB_BUFFER_OFFSET, ENOTSUP, "CL_MISALIGNED_SUB_BUFFER_OFFSET" },
	{ CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, EIO,
	  "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST" },
	{ CL_INVALID_VALUE, EINVAL, "CL_INVALID_VALUE" },
	{ CL_INVALID_DEVICE, EINVAL, "CL_INVALID_DEVICE" },
	{ CL_INVALID_CONTEXT, EINVAL, "CL_INVALID_CONTEXT" },
	{ CL_INVALID_COMMAND_QUEUE, EINVAL, "CL_INVALID_COMMAND_QUEUE" },
	{ CL_INVALID_HOST_PTR, EINVAL, "CL_INVALID_HOST_PTR" },
	{ CL_INVALID_MEM_OBJECT, EINVAL, "CL_INVALID_MEM_OBJECT" },
	{ CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, ENOTSUP, "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR" },
	{ CL_INVALID_IMAGE_DESCRIPTOR, ENOTSUP, "CL_INVALID_IMAGE_DESCRIPTOR" },
	{ CL_INVALID_IMAGE_SIZE, ENOTSUP, "CL_INVALID_IMAGE_SIZE" },
	{ CL_INVALID_EVENT_WAIT_LIST, EINVAL, "CL_INVALID_EVENT_WAIT_LIST" },
	{ CL_INVALID_EVENT, EINVAL, "CL_INVALID_EVENT" },
	{ CL_INVALID_OPERATION, ENOTSUP, "CL_INVALID_OPERATION" },
	{ CL_INVALID_BUFFER_SIZE, EINVAL, "CL_INVALID_BUFFER_SIZE" },
	{ CL_INVALID_PROPERTY, EINVAL, "CL_INVALID_PROPERTY" },
	{ CL_PLATFORM_NOT_FOUND_KHR, ENODEV, "CL_PLATFORM_NOT_FOUND_KHR" },
};

int shm__cl_error(cl_int code, const char *call)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return metal_shm_set_error(codes[i].error, "%s: %s", call, codes[i].name);
	return metal_shm_set_error(EINVAL, "%s: OpenCL error %d", call, (int)code);
}

/* The device's text, for the caller to free(); NULL when it has none. */
static char *device_text(cl_device_id device, cl_device_info info)
{
	size_t size = 0;
	char *text;

	if (clGetDeviceInfo(device, info, 0, NULL, &size) != CL_SUCCESS || !size)
		return NULL;
	text = malloc(size);
	if (text && clGetDeviceInfo(device, info, size, text, NULL) != CL_SUCCESS) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Whole words: cl_arm_import_memory is the beginning of other extensions' names. */
bool shm__cl_has_extension(cl_device_id device, const char *extension)
{
	char *text = device_text(device, CL_DEVICE_EXTENSIONS), *rest = text, *word;
	bool found = false;

	while (!found && rest && (word = strsep(&rest, " ")) != NULL)
		found = !strcmp(word, extension);
	free(text);
	return found;
}

static bool is_called(cl_device_id device, const char *name)
{
	char *text;
	bool called;

	if (!name[0])
		return true;
	text = device_text(device, CL_DEVICE_NAME);
	called = text && strstr(text, name);
	free(text);
	return called;
}

/* The first of a type on any platform: platforms without a device are common. */
static bool find_of_type(cl_device_type type, const char *name, const cl_platform_id platforms[],
			 cl_uint platform_count, cl_device_id *ret_device)
{
	cl_device_id devices[MAX_DEVICES];

	for (cl_uint i = 0; i < platform_count; i++) {
		cl_uint count = 0;

		if (clGetDeviceIDs(platforms[i], type, MAX_DEVICES, devices, &count) != CL_SUCCESS)
			continue;
		for (cl_uint j = 0; j < count && j < MAX_DEVICES; j++) {
			if (!is_called(devices[j], name))
				continue;
			*ret_device = devices[j];
			return true;
		}
	}
	return false;
}

/* Some runtimes (rusticl) call none of their devices the default. */
int shm__cl_find_device(const char *name, cl_device_id *ret_device)
{
	cl_platform_id platforms[MAX_PLATFORMS];
	cl_uint count = 0;

	if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS || !count)
		return metal_shm_set_error(ENODEV, "no OpenCL platform: install an OpenCL runtime, "
						   "e.g. pocl-opencl-icd");
	if (count > MAX_PLATFORMS)
		count = MAX_PLATFORMS;
	if (find_of_type(CL_DEVICE_TYPE_DEFAULT, name, platforms, count, ret_device) ||
	    find_of_type(CL_DEVICE_TYPE_ALL, name, platforms, count, ret_device))
		return 0;
	return metal_shm_set_error(ENODEV,
				   name[0] ? "no OpenCL device is called '%s'"
					   : "no OpenCL platform has a device%s",
				   name);
}

/* In order. By the call that runtimes before 2.0 have too. */
cl_command_queue shm__cl_queue_create(cl_context context, cl_device_id device, cl_int *ret_code)
{
	return clCreateCommandQueue(context, device, 0, ret_code);
}

static bool imports_dmabuf(cl_device_id device)
{
	cl_external_memory_handle_type_khr types[32];
	size_t size = 0;

	if (clGetDeviceInfo(device, CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR,
			    sizeof(types), types, &size) != CL_SUCCESS)
		return false;
	for (size_t i = 0; i < size / sizeof(types[0]); i++)
		if (types[i] == CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR)
			return true;
	return false;
}

/* ISO C has no conversion from an object's pointer to a function's. */
static void find_function(cl_platform_id platform, const char *name, void *ret_function)
{
	void *address = clGetExtensionFunctionAddressForPlatform(platform, name);

	memcpy(ret_function, &address, sizeof(address));
}

static void find_extensions(struct shm__cl *cl)
{
	if (shm__cl_has_extension(cl->device, "cl_arm_import_memory_dma_buf"))
		find_function(cl->platform, "clImportMemoryARM", &cl->import_arm);
	cl->layer = shm__cl_has_extension(cl->device, LIBSHM_CL_LAYER_EXTENSION);
	if (!imports_dmabuf(cl->device))
		return;
	find_function(cl->platform, "clEnqueueAcquireExternalMemObjectsKHR", &cl->acquire_khr);
	find_function(cl->platform, "clEnqueueReleaseExternalMemObjectsKHR", &cl->release_khr);
	if (!cl->release_khr)
		cl->acquire_khr = NULL;
}

/* A query that the device doesn't know leaves the value 0. */
static cl_uint device_uint(cl_device_id device, cl_device_info info)
{
	cl_uint value = 0;

	if (clGetDeviceInfo(device, info, sizeof(value), &value, NULL) != CL_SUCCESS)
		value = 0;
	return value;
}

/* Fill what the device says of itself. */
int shm__cl_describe(struct shm__cl *cl)
{
	cl_device_type type = 0;
	cl_uint bits;
	cl_int code;

	code = clGetDeviceInfo(cl->device, CL_DEVICE_PLATFORM, sizeof(cl->platform), &cl->platform,
			       NULL);
	if (code == CL_SUCCESS)
		code = clGetDeviceInfo(cl->device, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "clGetDeviceInfo");
	cl->on_cpu = type & CL_DEVICE_TYPE_CPU;
	cl->unified = device_uint(cl->device, CL_DEVICE_HOST_UNIFIED_MEMORY);
	cl->images = device_uint(cl->device, CL_DEVICE_IMAGE_SUPPORT);
	cl->pitch_pixels = device_uint(cl->device, CL_DEVICE_IMAGE_PITCH_ALIGNMENT);
	bits = device_uint(cl->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN);
	cl->base_alignment = bits >= 8 ? bits / 8 : 1;
	find_extensions(cl);
	return 0;
}
