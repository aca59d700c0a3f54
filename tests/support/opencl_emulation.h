/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An OpenCL runtime that misbehaves or can more than it does, by standing before libOpenCL's functions:
 * buffers that are secretly copies, calls that fail, callbacks that never come, and the two import
 * extensions over mmap. Include it in one file of a program.
 */
#ifndef OPENCL_EMULATION_H
#define OPENCL_EMULATION_H

#include <dlfcn.h>
#include <linux/dma-buf.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "opencl_fixture.h"

#include <CL/cl_ext.h>

static struct emulation {
	bool copies_buffers, copies_images; /* CL_MEM_USE_HOST_PTR is quietly a copy */
	bool copies_imports;
	bool reads_fresh, writes_through; /* the last copied buffer, around each kernel */
	cl_mem copied;
	void *copied_from;
	size_t copied_size;
	bool defers_callbacks; /* until long after the device was closed */
	bool arm, khr;         /* has the extension */
	bool arm_host_only;    /* has its half for host memory */
	bool dmabufs;          /* every memfd passes for a DMA-BUF of an unknown exporter */
	unsigned fail_at;      /* which call from now on fails; 0: none */
	unsigned failed;       /* calls that did */
	unsigned arm_imports, khr_imports;
	unsigned acquires, releases; /* of the khr extension */
	unsigned starts, ends;       /* DMA_BUF_IOCTL_SYNC */
	unsigned deferred;
	struct {
		cl_event event;
		void(CL_CALLBACK *notify)(cl_event, cl_int, void *);
		void *user;
	} callbacks[8];
} emu;

#define REAL(function)                                     \
	static __typeof__(&function) real;                 \
	if (!real) {                                       \
		void *found = dlsym(RTLD_NEXT, #function); \
		memcpy(&real, &found, sizeof(real));       \
	}

static bool fails(void)
{
	if (!emu.fail_at || --emu.fail_at)
		return false;
	emu.failed++;
	return true;
}

static cl_mem_flags quietly_copied(cl_mem_flags flags, bool copies)
{
	if (!copies || !(flags & CL_MEM_USE_HOST_PTR))
		return flags;
	return (flags & ~(cl_mem_flags)CL_MEM_USE_HOST_PTR) | CL_MEM_COPY_HOST_PTR;
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
		      cl_int *ret_code)
{
	REAL(clCreateBuffer);
	if (fails()) {
		*ret_code = CL_OUT_OF_RESOURCES;
		return NULL;
	}
	if (emu.copies_buffers && (flags & CL_MEM_USE_HOST_PTR)) {
		emu.copied = real(context, quietly_copied(flags, true), size, host_ptr, ret_code);
		emu.copied_from = host_ptr;
		emu.copied_size = size;
		return emu.copied;
	}
	return real(context, flags, size, host_ptr, ret_code);
}

cl_mem clCreateImage(cl_context context, cl_mem_flags flags, const cl_image_format *format,
		     const cl_image_desc *desc, void *host_ptr, cl_int *ret_code)
{
	REAL(clCreateImage);
	if (fails()) {
		*ret_code = CL_OUT_OF_RESOURCES;
		return NULL;
	}
	return real(context, quietly_copied(flags, emu.copies_images), format, desc, host_ptr,
		    ret_code);
}

cl_mem clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type,
			 const void *info, cl_int *ret_code)
{
	REAL(clCreateSubBuffer);
	if (fails()) {
		*ret_code = CL_OUT_OF_RESOURCES;
		return NULL;
	}
	return real(buffer, flags, type, info, ret_code);
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **strings,
				     const size_t *lengths, cl_int *ret_code)
{
	REAL(clCreateProgramWithSource);
	if (fails()) {
		*ret_code = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	return real(context, count, strings, lengths, ret_code);
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *ret_code)
{
	REAL(clCreateKernel);
	if (fails()) {
		*ret_code = CL_OUT_OF_HOST_MEMORY;
		return NULL;
	}
	return real(program, name, ret_code);
}

cl_int clSetMemObjectDestructorCallback(cl_mem mem, void(CL_CALLBACK *notify)(cl_mem, void *),
					void *user)
{
	REAL(clSetMemObjectDestructorCallback);
	return fails() ? CL_OUT_OF_HOST_MEMORY : real(mem, notify, user);
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset,
			   size_t size, void *address, cl_uint n, const cl_event *waits,
			   cl_event *event)
{
	REAL(clEnqueueReadBuffer);
	if (fails())
		return CL_OUT_OF_RESOURCES;
	return real(queue, mem, blocking, offset, size, address, n, waits, event);
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
			      const size_t *offset, const size_t *global, const size_t *local,
			      cl_uint n, const cl_event *waits, cl_event *event)
{
	cl_int code;

	REAL(clEnqueueNDRangeKernel);
	if (fails())
		return CL_OUT_OF_RESOURCES;
	if (emu.reads_fresh)
		clEnqueueWriteBuffer(queue, emu.copied, CL_TRUE, 0, emu.copied_size,
				     emu.copied_from, 0, NULL, NULL);
	code = real(queue, kernel, dimensions, offset, global, local, n, waits, event);
	if (emu.writes_through)
		clEnqueueReadBuffer(queue, emu.copied, CL_TRUE, 0, emu.copied_size, emu.copied_from,
				    0, NULL, NULL);
	return code;
}

cl_int clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint n, const cl_event *waits,
				   cl_event *event)
{
	REAL(clEnqueueMarkerWithWaitList);
	return fails() ? CL_OUT_OF_RESOURCES : real(queue, n, waits, event);
}

cl_int clSetEventCallback(cl_event event, cl_int type,
			  void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *user)
{
	REAL(clSetEventCallback);
	if (fails())
		return CL_OUT_OF_HOST_MEMORY;
	if (!emu.defers_callbacks || emu.deferred == 8)
		return real(event, type, notify, user);
	clRetainEvent(event);
	emu.callbacks[emu.deferred].event = event;
	emu.callbacks[emu.deferred].notify = notify;
	emu.callbacks[emu.deferred++].user = user;
	return CL_SUCCESS;
}

struct emulated_mapping {
	void *address;
	size_t size;
};

static void CL_CALLBACK unmap_import(cl_mem mem, void *user)
{
	struct emulated_mapping *mapping = user;

	(void)mem;
	munmap(mapping->address, mapping->size);
	free(mapping);
}

static cl_mem import_by_mmap(cl_context context, cl_mem_flags flags, int fd, size_t size,
			     cl_int *ret_code)
{
	bool copies = emu.copies_buffers;
	int prot = flags & CL_MEM_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	struct emulated_mapping *mapping = calloc(1, sizeof(*mapping));
	cl_mem mem;

	mapping->size = size;
	mapping->address = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (mapping->address == MAP_FAILED) {
		free(mapping);
		*ret_code = CL_INVALID_OPERATION;
		return NULL;
	}
	emu.copies_buffers = emu.copies_imports;
	mem = clCreateBuffer(context, flags | CL_MEM_USE_HOST_PTR, size, mapping->address,
			     ret_code);
	emu.copies_buffers = copies;
	if (mem && clSetMemObjectDestructorCallback(mem, unmap_import, mapping) != CL_SUCCESS) {
		clReleaseMemObject(mem);
		*ret_code = CL_OUT_OF_RESOURCES;
		mem = NULL;
	}
	if (!mem)
		unmap_import(NULL, mapping);
	return mem;
}

static cl_mem emulated_import_arm(cl_context context, cl_mem_flags flags,
				  const cl_import_properties_arm *properties, void *memory,
				  size_t size, cl_int *ret_code)
{
	const int *fd = memory;

	if (properties[0] != CL_IMPORT_TYPE_ARM || properties[1] != CL_IMPORT_TYPE_DMA_BUF_ARM ||
	    properties[2]) {
		*ret_code = CL_INVALID_PROPERTY;
		return NULL;
	}
	emu.arm_imports++;
	return import_by_mmap(context, flags, *fd, size, ret_code);
}

cl_mem clCreateBufferWithProperties(cl_context context, const cl_mem_properties *properties,
				    cl_mem_flags flags, size_t size, void *host_ptr,
				    cl_int *ret_code)
{
	const cl_mem_flags host =
		CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;

	*ret_code = CL_SUCCESS;
	if (flags & host)
		*ret_code = CL_INVALID_VALUE;
	else if (host_ptr)
		*ret_code = CL_INVALID_HOST_PTR;
	else if (properties[0] != CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR || properties[2])
		*ret_code = CL_INVALID_PROPERTY;
	if (*ret_code != CL_SUCCESS)
		return NULL;
	emu.khr_imports++;
	return import_by_mmap(context, flags, (int)properties[1], size, ret_code);
}

static cl_int emulated_acquire(cl_command_queue queue, cl_uint count, const cl_mem *mems, cl_uint n,
			       const cl_event *waits, cl_event *event)
{
	(void)count;
	(void)mems;
	emu.acquires++;
	return clEnqueueMarkerWithWaitList(queue, n, waits, event);
}

static cl_int emulated_release(cl_command_queue queue, cl_uint count, const cl_mem *mems, cl_uint n,
			       const cl_event *waits, cl_event *event)
{
	(void)count;
	(void)mems;
	emu.releases++;
	return clEnqueueMarkerWithWaitList(queue, n, waits, event);
}

void *clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *name)
{
	void *address = NULL;
	cl_mem (*import)(cl_context, cl_mem_flags, const cl_import_properties_arm *, void *, size_t,
			 cl_int *) = emulated_import_arm;
	clEnqueueAcquireExternalMemObjectsKHR_fn acquire = emulated_acquire,
						 release = emulated_release;

	(void)platform;
	if ((emu.arm || emu.arm_host_only) && !strcmp(name, "clImportMemoryARM"))
		memcpy(&address, &import, sizeof(address));
	else if (emu.khr && !strcmp(name, "clEnqueueAcquireExternalMemObjectsKHR"))
		memcpy(&address, &acquire, sizeof(address));
	else if (emu.khr && !strcmp(name, "clEnqueueReleaseExternalMemObjectsKHR"))
		memcpy(&address, &release, sizeof(address));
	return address;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info info, size_t size, void *value,
		       size_t *ret_size)
{
	static const char extensions[] = "cl_arm_import_memory_host cl_arm_import_memory_dma_buf";
	static const cl_external_memory_handle_type_khr types[] = {
		CL_EXTERNAL_MEMORY_HANDLE_OPAQUE_FD_KHR, CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR
	};
	const void *answer = NULL;
	size_t length = 0;

	REAL(clGetDeviceInfo);
	if (emu.arm && info == CL_DEVICE_EXTENSIONS) {
		answer = extensions;
		length = sizeof(extensions);
	} else if (emu.arm_host_only && info == CL_DEVICE_EXTENSIONS) {
		answer = "cl_arm_import_memory cl_arm_import_memory_host";
		length = strlen(answer) + 1;
	} else if (emu.khr && info == CL_DEVICE_EXTERNAL_MEMORY_IMPORT_HANDLE_TYPES_KHR) {
		answer = types;
		length = sizeof(types);
	} else {
		return real(device, info, size, value, ret_size);
	}
	if (value && size < length)
		return CL_INVALID_VALUE;
	if (value)
		memcpy(value, answer, length);
	if (ret_size)
		*ret_size = length;
	return CL_SUCCESS;
}

ssize_t readlink(const char *path, char *target, size_t size)
{
	ssize_t n;

	REAL(readlink);
	n = real(path, target, size);
	if (!emu.dmabufs || n < 7 || strncmp(target, "/memfd:", 7) != 0)
		return n;
	n = (ssize_t)strlen("/dmabuf:");
	memcpy(target, "/dmabuf:", (size_t)n);
	return n;
}

int ioctl(int fd, unsigned long request, ...)
{
	const struct dma_buf_sync *sync;
	va_list arguments;
	void *argument;

	REAL(ioctl);
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (!emu.dmabufs || request != DMA_BUF_IOCTL_SYNC)
		return real(fd, request, argument);
	sync = argument;
	*(sync->flags & DMA_BUF_SYNC_END ? &emu.ends : &emu.starts) += 1;
	return 0;
}

static inline int emulation_setup(void **state)
{
	emu = (struct emulation){ 0 };
	return fixture_setup(state);
}

static inline int emulation_teardown(void **state)
{
	int error = fixture_teardown(state);

	for (unsigned i = 0; i < emu.deferred; i++) {
		emu.callbacks[i].notify(emu.callbacks[i].event, CL_COMPLETE, emu.callbacks[i].user);
		clReleaseEvent(emu.callbacks[i].event);
	}
	emu = (struct emulation){ 0 };
	return error;
}

#define emulation_case(name) \
	cmocka_unit_test_setup_teardown(name, emulation_setup, emulation_teardown)

#endif
