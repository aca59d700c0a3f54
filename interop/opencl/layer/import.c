/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cl_arm_import_memory, version 1.1.0 (Khronos OpenCL registry, extensions/arm): HOST and DMA_BUF.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "calls.h"
#include "layer.h"
#include "private.h"

/* Nothing is ever mapped below: such a pointer is a descriptor given by value, as some clients do. */
#define LOWEST_ADDRESS 65536

typedef cl_mem(CL_API_CALL *import_fn)(cl_context, cl_mem_flags, const cl_import_properties_arm *,
				       void *, size_t, cl_int *);

struct wish {
	bool dmabuf;
	bool protected;
	bool synced;
};

static bool at_most_one(cl_mem_flags flags)
{
	return !(flags & (flags - 1));
}

bool layer_flags_are_valid(cl_mem_flags flags)
{
	return !(flags & ~(cl_mem_flags)(LAYER_ACCESS_FLAGS | LAYER_HOST_FLAGS)) &&
	       at_most_one(flags & LAYER_ACCESS_FLAGS) && at_most_one(flags & LAYER_HOST_FLAGS);
}

/* Bit of each property that was there, to find those that come twice. */
enum { SEEN_TYPE = 1, SEEN_PROTECTED = 2, SEEN_CONSISTENCY = 4, SEEN_SYNCED = 8 };

static cl_int read_property(cl_import_properties_arm name, cl_import_properties_arm value,
			    unsigned *seen, struct wish *wish)
{
	unsigned bit;

	switch (name) {
	case CL_IMPORT_TYPE_ARM:
		if (value != CL_IMPORT_TYPE_HOST_ARM && value != CL_IMPORT_TYPE_DMA_BUF_ARM)
			return CL_INVALID_PROPERTY;
		wish->dmabuf = value == CL_IMPORT_TYPE_DMA_BUF_ARM;
		bit = SEEN_TYPE;
		break;
	case CL_IMPORT_TYPE_PROTECTED_ARM:
		if (value != CL_FALSE && value != CL_TRUE)
			return CL_INVALID_PROPERTY;
		wish->protected = value;
		bit = SEEN_PROTECTED;
		break;
	case CL_IMPORT_DMA_BUF_DATA_CONSISTENCY_WITH_HOST_ARM:
		/* The device is the host: both values ask for what is done anyway. */
		if (value != CL_FALSE && value != CL_TRUE)
			return CL_INVALID_PROPERTY;
		bit = SEEN_CONSISTENCY;
		break;
	case LIBSHM_CL_IMPORT_SYNCED:
		if (value != 0 && value != 1)
			return CL_INVALID_PROPERTY;
		wish->synced = value;
		bit = SEEN_SYNCED;
		break;
	default:
		return CL_INVALID_PROPERTY;
	}
	if (*seen & bit)
		return CL_INVALID_PROPERTY;
	*seen |= bit;
	return CL_SUCCESS;
}

static cl_int read_properties(const cl_import_properties_arm *properties, struct wish *wish)
{
	unsigned seen = 0;
	cl_int code = CL_SUCCESS;

	*wish = (struct wish){ 0 };
	for (; code == CL_SUCCESS && properties && properties[0]; properties += 2)
		code = read_property(properties[0], properties[1], &seen, wish);
	if (code == CL_SUCCESS && !wish->dmabuf &&
	    (wish->protected || (seen & (SEEN_CONSISTENCY | SEEN_SYNCED))))
		code = CL_INVALID_PROPERTY;
	return code;
}

/* Where the kernel won't tell, the program is believed. */
static bool is_readable(const void *address, size_t size)
{
	int copy;
	struct iovec here = { &copy, size }, there = { (void *)(uintptr_t)address, size };

	errno = 0; /* a part that could be read leaves it as it was */
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size ||
	       errno == EPERM || errno == ENOSYS;
}

/* Whether there are pages behind all of it, touched yet or not. */
static bool is_mapped(const void *address, size_t size)
{
	unsigned char present[1024]; /* a byte for each page */
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)address & ~(page - 1);
	uintptr_t end = (uintptr_t)address + size;
	size_t length;

	for (; at < end; at += length) {
		length = end - at < page * sizeof(present) ? end - at : page * sizeof(present);
		if (mincore((void *)at, length, present))
			return false;
	}
	return true;
}

static cl_int import_host(void *memory, size_t size, struct layer_import **ret_import)
{
	cl_int code = layer_import_host(memory, size, ret_import);

	if (code != CL_SUCCESS || is_mapped(memory, size))
		return code;
	layer_import_put(*ret_import);
	return CL_INVALID_OPERATION;
}

static cl_int read_fd(const void *memory, int *ret_fd)
{
	if ((uintptr_t)memory < LOWEST_ADDRESS) {
		*ret_fd = (int)(uintptr_t)memory;
	} else {
		if (!is_readable(memory, sizeof(*ret_fd)))
			return CL_INVALID_VALUE;
		memcpy(ret_fd, memory, sizeof(*ret_fd));
	}
	return fcntl(*ret_fd, F_GETFD) < 0 ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_mem import_memory(cl_context context, cl_mem_flags flags, const struct wish *wish,
			    void *memory, size_t size, cl_int *ret_code)
{
	struct layer_import *import;
	int fd;

	if (!wish->dmabuf) {
		*ret_code = import_host(memory, size, &import);
	} else {
		*ret_code = read_fd(memory, &fd);
		if (*ret_code == CL_SUCCESS)
			*ret_code = layer_import_fd(fd, size, &import);
	}
	if (*ret_code != CL_SUCCESS)
		return NULL;
	if (wish->synced)
		import->bracketed = false;
	return layer_make_buffer(context, &(struct layer_mem){ .import = import, .flags = flags },
				 size, ret_code);
}

/* The implementation's own function where one of the context's devices has it; NULL else. */
static import_fn native_import(cl_device_id device)
{
	cl_platform_id platform;
	import_fn function = NULL;
	void *address;

	if (!layer_device_has(device, "cl_arm_import_memory") ||
	    layer_next.clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof(platform), &platform,
				       NULL) != CL_SUCCESS)
		return NULL;
	address =
		layer_next.clGetExtensionFunctionAddressForPlatform(platform, "clImportMemoryARM");
	memcpy(&function, &address, sizeof(function));
	return function;
}

cl_int layer_context_devices(cl_context context, cl_device_id **ret_devices, size_t *ret_count)
{
	cl_device_id *devices;
	size_t size = 0;
	cl_int code;

	code = layer_next.clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size);
	if (code != CL_SUCCESS)
		return code;
	devices = malloc(size ? size : 1);
	if (!devices)
		return CL_OUT_OF_HOST_MEMORY;
	code = layer_next.clGetContextInfo(context, CL_CONTEXT_DEVICES, size, devices, NULL);
	if (code != CL_SUCCESS) {
		free(devices);
		return code;
	}
	*ret_devices = devices;
	*ret_count = size / sizeof(devices[0]);
	return CL_SUCCESS;
}

/* CL_SUCCESS if all devices work on host memory in place. */
static cl_int devices_can(cl_context context, import_fn *ret_native)
{
	cl_device_id *devices;
	size_t count = 0;
	cl_int code = layer_context_devices(context, &devices, &count);

	*ret_native = NULL;
	if (code != CL_SUCCESS)
		return code == CL_OUT_OF_HOST_MEMORY ? code : CL_INVALID_CONTEXT;
	for (size_t i = 0; i < count && !*ret_native; i++) {
		*ret_native = native_import(devices[i]);
		if (!*ret_native && !layer_device_shares(devices[i]))
			code = CL_INVALID_OPERATION;
	}
	free(devices);
	return *ret_native ? CL_SUCCESS : code;
}

/* In the order of the specification's list. What devices can't do is said last. */
static cl_mem import_checked(cl_context context, cl_mem_flags flags,
			     const cl_import_properties_arm *properties, void *memory, size_t size,
			     cl_int possible, cl_int *ret_code)
{
	struct wish wish;

	if (!layer_flags_are_valid(flags))
		*ret_code = CL_INVALID_VALUE;
	else if (!size)
		*ret_code = CL_INVALID_BUFFER_SIZE;
	else
		*ret_code = read_properties(properties, &wish);
	if (*ret_code == CL_SUCCESS && !memory)
		*ret_code = CL_INVALID_VALUE;
	/* A CPU can't work on memory that it may not see. */
	if (*ret_code == CL_SUCCESS && wish.protected)
		*ret_code = CL_INVALID_OPERATION;
	if (*ret_code == CL_SUCCESS)
		*ret_code = possible;
	return *ret_code == CL_SUCCESS
		       ? import_memory(context, flags, &wish, memory, size, ret_code)
		       : NULL;
}

cl_mem CL_API_CALL layer_import_memory_arm(cl_context context, cl_mem_flags flags,
					   const cl_import_properties_arm *properties, void *memory,
					   size_t size, cl_int *errcode_ret)
{
	cl_int code, possible = CL_INVALID_CONTEXT;
	import_fn native = NULL;
	cl_mem mem = NULL;

	if (context)
		possible = devices_can(context, &native);
	if (native)
		return native(context, flags, properties, memory, size, errcode_ret);
	flags &= ~(cl_mem_flags)CL_MEM_USE_HOST_PTR; /* allowed, and of no effect */
	code = possible == CL_INVALID_OPERATION ? CL_SUCCESS : possible;
	if (code == CL_SUCCESS)
		mem = import_checked(context, flags, properties, memory, size, possible, &code);
	if (errcode_ret)
		*errcode_ret = code;
	return mem;
}
