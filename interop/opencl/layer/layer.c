/* SPDX-License-Identifier: BSD-3-Clause */
/* The two functions that a loader asks a layer for, and the table of calls that the layer answers. */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"

#define ENTRIES ((cl_uint)(sizeof(struct _cl_icd_dispatch) / sizeof(void *)))

struct _cl_icd_dispatch layer_next;
atomic_uint layer_cares;

static atomic_bool initialised;
static bool forced;

/* The loader fills what is left out with the next layer's. */
static const struct _cl_icd_dispatch calls = {
	.clGetPlatformInfo = layer_get_platform_info,
	.clGetDeviceInfo = layer_get_device_info,
	.clCreateCommandQueue = layer_create_command_queue,
	.clCreateCommandQueueWithProperties = layer_create_command_queue_with_properties,
	.clRetainCommandQueue = layer_retain_command_queue,
	.clReleaseCommandQueue = layer_release_command_queue,
	.clCreateBuffer = layer_create_buffer,
	.clRetainMemObject = layer_retain_mem_object,
	.clReleaseMemObject = layer_release_mem_object,
	.clGetMemObjectInfo = layer_get_mem_object_info,
	.clGetImageInfo = layer_get_image_info,
	.clCreateKernel = layer_create_kernel,
	.clCreateKernelsInProgram = layer_create_kernels_in_program,
	.clRetainKernel = layer_retain_kernel,
	.clReleaseKernel = layer_release_kernel,
	.clSetKernelArg = layer_set_kernel_arg,
	.clGetEventInfo = layer_get_event_info,
	.clRetainEvent = layer_retain_event,
	.clReleaseEvent = layer_release_event,
	.clGetEventProfilingInfo = layer_get_event_profiling_info,
	.clEnqueueReadBuffer = layer_enqueue_read_buffer,
	.clEnqueueWriteBuffer = layer_enqueue_write_buffer,
	.clEnqueueCopyBuffer = layer_enqueue_copy_buffer,
	.clEnqueueReadImage = layer_enqueue_read_image,
	.clEnqueueWriteImage = layer_enqueue_write_image,
	.clEnqueueCopyImage = layer_enqueue_copy_image,
	.clEnqueueCopyImageToBuffer = layer_enqueue_copy_image_to_buffer,
	.clEnqueueCopyBufferToImage = layer_enqueue_copy_buffer_to_image,
	.clEnqueueMapBuffer = layer_enqueue_map_buffer,
	.clEnqueueMapImage = layer_enqueue_map_image,
	.clEnqueueUnmapMemObject = layer_enqueue_unmap_mem_object,
	.clEnqueueNDRangeKernel = layer_enqueue_ndrange_kernel,
	.clEnqueueTask = layer_enqueue_task,
	.clEnqueueNativeKernel = layer_enqueue_native_kernel,
	.clEnqueueWaitForEvents = layer_enqueue_wait_for_events,
	.clEnqueueBarrier = layer_enqueue_barrier,
	.clGetExtensionFunctionAddress = layer_get_extension_function_address,
	.clSetEventCallback = layer_set_event_callback,
	.clCreateSubBuffer = layer_create_sub_buffer,
	.clSetUserEventStatus = layer_set_user_event_status,
	.clEnqueueReadBufferRect = layer_enqueue_read_buffer_rect,
	.clEnqueueWriteBufferRect = layer_enqueue_write_buffer_rect,
	.clEnqueueCopyBufferRect = layer_enqueue_copy_buffer_rect,
	.clCreateImage = layer_create_image,
	.clEnqueueFillBuffer = layer_enqueue_fill_buffer,
	.clEnqueueFillImage = layer_enqueue_fill_image,
	.clEnqueueMigrateMemObjects = layer_enqueue_migrate_mem_objects,
	.clEnqueueBarrierWithWaitList = layer_enqueue_barrier_with_wait_list,
	.clGetExtensionFunctionAddressForPlatform =
		layer_get_extension_function_address_for_platform,
	.clSetKernelArgSVMPointer = layer_set_kernel_arg_svm_pointer,
	.clCloneKernel = layer_clone_kernel,
	.clCreateBufferWithProperties = layer_create_buffer_with_properties,
	.clCreateImageWithProperties = layer_create_image_with_properties,
};

bool layer_forced(void)
{
	return forced;
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value,
					       size_t *ret_size)
{
	static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
	static const char title[] = "libshm import layer";

	switch (name) {
	case CL_LAYER_API_VERSION:
		return layer_answer(&version, sizeof(version), size, value, ret_size);
	case CL_LAYER_NAME:
		return layer_answer(title, sizeof(title), size, value, ret_size);
	default:
		return CL_INVALID_VALUE;
	}
}

/* A loader whose table is shorter than ours is of an older OpenCL and can't take it. */
CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target,
					    cl_uint *ret_count,
					    const cl_icd_dispatch **ret_dispatch)
{
	const char *force = secure_getenv("LIBSHM_CL_FORCE");

	if (!target || !ret_count || !ret_dispatch || count < ENTRIES)
		return CL_INVALID_VALUE;
	/* Listed twice: what comes next would be ourselves, for ever. */
	if (atomic_exchange(&initialised, true))
		return CL_INVALID_OPERATION;
	layer_guard_forks();
	forced = force && !strcmp(force, "1");
	layer_next = *target;
	*ret_count = ENTRIES;
	*ret_dispatch = &calls;
	return CL_SUCCESS;
}
