/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cl_khr_external_memory with DMA-BUFs. Use outside of an acquire and its release is undefined, so
 * both are enqueued. The descriptor stays ours; the import keeps the DMA-BUF by itself.
 */
#include "internal.h"

static int khr_usable(const struct shm__cl *cl, int fd)
{
	if (!cl->acquire_khr)
		return metal_shm_set_error(ENOTSUP, "no cl_khr_external_memory_dma_buf");
	if (fd < 0)
		return metal_shm_set_error(ENOTSUP, "not a DMA-BUF");
	return 0;
}

static int khr_import(struct shm__cl *cl, const struct shm__cl_bytes *bytes, cl_mem *ret_mem)
{
	cl_mem_properties properties[] = {
		CL_EXTERNAL_MEMORY_HANDLE_DMA_BUF_KHR,
		(cl_mem_properties)bytes->fd,
		0, /* ends the list where the context has one device */
		(cl_mem_properties)(uintptr_t)cl->device,
		CL_DEVICE_HANDLE_LIST_END_KHR,
		0,
	};
	cl_mem_flags flags = bytes->writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_int code = CL_SUCCESS;
	cl_mem mem;

	if (cl->several)
		properties[2] = CL_DEVICE_HANDLE_LIST_KHR;
	mem = clCreateBufferWithProperties(cl->context, properties, flags, bytes->size, NULL,
					   &code);
	if (!mem)
		return shm__cl_error(code, "clCreateBufferWithProperties");
	*ret_mem = mem;
	return 0;
}

static cl_int khr_acquire(struct shm__cl *cl, cl_command_queue queue,
			  const struct shm__cl_transfer *transfer, cl_uint num_events,
			  const cl_event *wait_list, cl_event *ret_event)
{
	return cl->acquire_khr(queue, 1, &transfer->mem, num_events, wait_list, ret_event);
}

static cl_int khr_release(struct shm__cl *cl, cl_command_queue queue,
			  const struct shm__cl_transfer *transfer, cl_uint num_events,
			  const cl_event *wait_list, cl_event *ret_event)
{
	return cl->release_khr(queue, 1, &transfer->mem, num_events, wait_list, ret_event);
}

const struct shm__cl_path shm__cl_path_khr = {
	.id = METAL_SHM_OPENCL_KHR_EXTERNAL,
	.shares = true,
	.usable = khr_usable,
	.import = khr_import,
	.acquire = khr_acquire,
	.release = khr_release,
};
