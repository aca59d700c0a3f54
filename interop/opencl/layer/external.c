/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cl_khr_external_memory and cl_khr_external_memory_dma_buf (OpenCL-Docs, OpenCL extensions). From
 * acquire to release all access goes through OpenCL, the host's as well: START and END stand there.
 *
 * The specification hands the descriptor over to the implementation; those there are leave it open, and
 * programs close it or use it further. So does this one: it keeps a duplicate. To close what a program
 * closes as well could hit a descriptor of someone else's.
 */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"

#define ANY_HOST_PTR (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)

struct handle {
	bool found, listed; /* the descriptor, the devices */
	int fd;
	size_t count; /* of values in the list, the ending 0 included */
};

static bool is_in(cl_device_id device, const cl_device_id *devices, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (devices[i] == device)
			return true;
	return false;
}

/* Steps over a device list. Each device has to be one of the context's that can import. */
static cl_int read_devices(cl_context context, const cl_mem_properties **list)
{
	cl_device_id *devices, device;
	cl_int code = CL_SUCCESS;
	size_t count;

	if (layer_context_devices(context, &devices, &count) != CL_SUCCESS)
		return CL_INVALID_CONTEXT;
	for (; **list != CL_DEVICE_HANDLE_LIST_END_KHR; ++*list) {
		device = (cl_device_id)(uintptr_t) * *list;
		if (!is_in(device, devices, count) || !layer_device_shares(device))
			code = CL_INVALID_DEVICE;
	}
	++*list;
	free(devices);
	return code;
}

static bool names_dmabuf(const cl_mem_properties *properties)
{
	for (; properties && *properties; properties++) {
		if (*properties == CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR)
			return true;
		properties++;
		if (properties[-1] == CL_DEVICE_HANDLE_LIST_KHR)
			while (*properties != CL_DEVICE_HANDLE_LIST_END_KHR)
				properties++;
	}
	return false;
}

static cl_int read_properties(cl_context context, const cl_mem_properties *properties,
			      struct handle *handle)
{
	const cl_mem_properties *next = properties;
	cl_int code = CL_SUCCESS, devices = CL_SUCCESS, read;

	while (*next) {
		switch (*next++) {
		case CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR:
			if (handle->found)
				code = CL_INVALID_PROPERTY;
			handle->found = true;
			handle->fd = (int)*next++;
			break;
		case CL_DEVICE_HANDLE_LIST_KHR:
			if (handle->listed)
				code = CL_INVALID_PROPERTY;
			handle->listed = true;
			read = read_devices(context, &next);
			if (devices == CL_SUCCESS)
				devices = read;
			break;
		default:
			return CL_INVALID_PROPERTY;
		}
	}
	handle->count = (size_t)(next - properties) + 1;
	if (devices == CL_SUCCESS && !handle->listed && !layer_context_shares(context))
		devices = CL_INVALID_DEVICE;
	return code == CL_SUCCESS ? devices : code;
}

/* Whether the implementation has to be left to it: nothing of ours is asked, or it can do it itself. */
static bool is_native(cl_context context, const cl_mem_properties *properties)
{
	cl_device_id *devices;
	bool native = false;
	size_t count;

	if (!names_dmabuf(properties) ||
	    layer_context_devices(context, &devices, &count) != CL_SUCCESS)
		return true;
	for (size_t i = 0; i < count; i++)
		native |= layer_device_imports_dmabuf(devices[i]);
	free(devices);
	return native;
}

/* In the order of the specification's list. */
static cl_int check(cl_context context, const cl_mem_properties *properties, cl_mem_flags flags,
		    size_t size, const void *host, struct handle *handle)
{
	cl_int code;

	*handle = (struct handle){ .fd = -1 };
	code = read_properties(context, properties, handle);
	if (code != CL_SUCCESS)
		return code;
	if (flags & ANY_HOST_PTR || !layer_flags_are_valid(flags))
		return CL_INVALID_VALUE;
	if (!size)
		return CL_INVALID_BUFFER_SIZE;
	return host ? CL_INVALID_HOST_PTR : CL_SUCCESS;
}

/* A descriptor that can't be imported is a wrong value of its property. */
static cl_int import_external(const struct handle *handle, size_t size,
			      const cl_mem_properties *properties, struct layer_mem *record)
{
	cl_int code;

	record->properties = calloc(handle->count, sizeof(*properties));
	if (!record->properties)
		return CL_OUT_OF_HOST_MEMORY;
	memcpy(record->properties, properties, handle->count * sizeof(*properties));
	record->property_count = handle->count;
	code = layer_import_fd(handle->fd, size, &record->import);
	if (code == CL_SUCCESS) {
		record->import->external = true;
		return CL_SUCCESS;
	}
	free(record->properties);
	return code == CL_INVALID_OPERATION ? CL_INVALID_PROPERTY : code;
}

cl_mem CL_API_CALL layer_create_buffer_with_properties(cl_context context,
						       const cl_mem_properties *properties,
						       cl_mem_flags flags, size_t size, void *host,
						       cl_int *errcode_ret)
{
	struct layer_mem record = { .flags = flags };
	struct handle handle;
	cl_mem mem = NULL;
	cl_int code;

	if (is_native(context, properties))
		return layer_next.clCreateBufferWithProperties(context, properties, flags, size,
							       host, errcode_ret);
	code = check(context, properties, flags, size, host, &handle);
	if (code == CL_SUCCESS)
		code = import_external(&handle, size, properties, &record);
	if (code == CL_SUCCESS)
		mem = layer_make_buffer(context, &record, size, &code);
	if (errcode_ret)
		*errcode_ret = code;
	return mem;
}

cl_mem CL_API_CALL layer_create_image_with_properties(
	cl_context context, const cl_mem_properties *properties, cl_mem_flags flags,
	const cl_image_format *format, const cl_image_desc *wanted, void *host, cl_int *errcode_ret)
{
	struct layer_mem record = { .flags = flags };
	struct handle handle;
	cl_image_desc desc;
	cl_mem mem = NULL;
	size_t size = 0;
	cl_int code;

	if (is_native(context, properties))
		return layer_next.clCreateImageWithProperties(context, properties, flags, format,
							      wanted, host, errcode_ret);
	code = check(context, properties, flags, 1, NULL, &handle);
	if (code == CL_SUCCESS && (!format || !layer_pixel_size(format)))
		code = CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
	if (code == CL_SUCCESS && wanted && !wanted->mem_object) {
		desc = *wanted;
		size = layer_image_size(format, &desc);
	}
	if (code == CL_SUCCESS && !size)
		code = CL_INVALID_IMAGE_DESCRIPTOR;
	if (code == CL_SUCCESS && host)
		code = CL_INVALID_HOST_PTR;
	if (code == CL_SUCCESS && !layer_context_shares_images(context))
		code = CL_IMAGE_FORMAT_NOT_SUPPORTED;
	if (code == CL_SUCCESS)
		code = import_external(&handle, size, properties, &record);
	if (code == CL_INVALID_BUFFER_SIZE)
		code = CL_INVALID_IMAGE_DESCRIPTOR;
	if (code == CL_SUCCESS)
		mem = layer_make_image(context, &record, format, &desc, &code);
	if (errcode_ret)
		*errcode_ret = code;
	return mem;
}

/* An event that is complete. */
static cl_int new_completed(cl_command_queue queue, cl_event *ret_event)
{
	cl_context context;
	cl_int code;

	code = layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context,
						NULL);
	if (code == CL_SUCCESS)
		*ret_event = layer_next.clCreateUserEvent(context, &code);
	if (code == CL_SUCCESS)
		code = layer_next.clSetUserEventStatus(*ret_event, CL_COMPLETE);
	return code;
}

/*
 * The command itself does nothing: it is over when what it waits for is. In an out-of-order queue of
 * PoCL 3.1 markers wait for all that was enqueued before, whatever their list says, so there is one only
 * where it has to wait for several things.
 */
static cl_int enqueue_nothing(const struct layer_bracket *b)
{
	if (!b->wait_count != !b->wait_list)
		return CL_INVALID_EVENT_WAIT_LIST;
	if (!b->command || b->wait_count > 1 || !layer_queue_is_unordered(b->queue))
		return layer_next.clEnqueueMarkerWithWaitList(b->queue, b->wait_count, b->wait_list,
							      b->event);
	if (!b->wait_count)
		return new_completed(b->queue, b->event);
	if (layer_next.clRetainEvent(b->wait_list[0]) != CL_SUCCESS)
		return CL_INVALID_EVENT_WAIT_LIST;
	*b->event = b->wait_list[0];
	return CL_SUCCESS;
}

/* A copy of the devices that may use it, as the program listed them; NULL where all may. */
static cl_mem_properties *listed_devices(cl_mem mem)
{
	const struct layer_mem *record;
	cl_mem_properties *copy = NULL;
	size_t i = 0;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record && record->properties) {
		while (record->properties[i] && record->properties[i] != CL_DEVICE_HANDLE_LIST_KHR)
			i += 2;
		if (record->properties[i])
			copy = calloc(record->property_count, sizeof(copy[0]));
		if (copy)
			memcpy(copy, record->properties + i + 1,
			       (record->property_count - i - 1) * sizeof(copy[0]));
	}
	pthread_mutex_unlock(&layer_objects_lock);
	return copy;
}

static bool queue_may(cl_command_queue queue, cl_mem mem)
{
	cl_context ours = NULL, its = NULL;
	cl_device_id device = NULL;
	cl_mem_properties *listed;
	bool may;

	layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(ours), &ours, NULL);
	layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(device), &device, NULL);
	layer_next.clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof(its), &its, NULL);
	if (ours != its)
		return false;
	listed = listed_devices(mem);
	may = !listed;
	for (size_t i = 0; listed && listed[i] != CL_DEVICE_HANDLE_LIST_END_KHR; i++)
		may |= (cl_device_id)(uintptr_t)listed[i] == device;
	free(listed);
	return may;
}

static cl_int hand_over(cl_command_type type, enum layer_mode mode, cl_command_queue queue,
			cl_uint count, const cl_mem *mems, cl_uint wait_count,
			const cl_event *wait_list, cl_event *event)
{
	struct layer_import *import;
	struct layer_bracket b;
	cl_int code;

	if (!queue)
		return CL_INVALID_COMMAND_QUEUE;
	layer_begin(&b, queue, type, CL_FALSE, wait_count, wait_list, event);
	if (!count != !mems)
		layer_refuse(&b, CL_INVALID_VALUE);
	for (cl_uint i = 0; mems && i < count; i++) {
		import = layer_mem_import(mems[i]);
		if (!import || !import->external)
			layer_refuse(&b, CL_INVALID_MEM_OBJECT);
		else if (!queue_may(queue, mems[i]))
			layer_refuse(&b, CL_INVALID_COMMAND_QUEUE);
		else if (!layer_import_is_whole(import))
			layer_refuse(&b, CL_OUT_OF_RESOURCES);
		if (import)
			layer_touch_import(&b, import, import->writable);
	}
	code = layer_open(&b, mode);
	if (code == CL_SUCCESS)
		code = layer_close(&b, enqueue_nothing(&b));
	return code;
}

cl_int CL_API_CALL layer_enqueue_acquire_external(cl_command_queue queue, cl_uint count,
						  const cl_mem *mems, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event)
{
	return hand_over(CL_COMMAND_ACQUIRE_EXTERNAL_MEM_OBJECTS_KHR, LAYER_BEGIN, queue, count,
			 mems, wait_count, wait_list, event);
}

cl_int CL_API_CALL layer_enqueue_release_external(cl_command_queue queue, cl_uint count,
						  const cl_mem *mems, cl_uint wait_count,
						  const cl_event *wait_list, cl_event *event)
{
	return hand_over(CL_COMMAND_RELEASE_EXTERNAL_MEM_OBJECTS_KHR, LAYER_FINISH, queue, count,
			 mems, wait_count, wait_list, event);
}
