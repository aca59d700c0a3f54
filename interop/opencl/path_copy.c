/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A buffer of the device's own that the bytes are copied to and from, for callers that asked for it.
 * It is filled before work that only writes, too: a partial write must not bring foreign bytes back.
 */
#include "internal.h"

static int copy_usable(const struct shm__cl *cl, int fd)
{
	(void)fd;
	if (!(cl->flags & METAL_SHM_OPENCL_ALLOW_COPY))
		return metal_shm_set_error(ENOTSUP, "not asked for");
	return 0;
}

static int copy_import(struct shm__cl *cl, const struct shm__cl_bytes *bytes, cl_mem *ret_mem)
{
	cl_mem_flags flags = bytes->writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_int code = CL_SUCCESS;
	cl_mem mem;

	mem = clCreateBuffer(cl->context, flags, bytes->size, NULL, &code);
	if (!mem)
		return shm__cl_error(code, "clCreateBuffer");
	*ret_mem = mem;
	return 0;
}

static cl_int copy_acquire(struct shm__cl *cl, cl_command_queue queue,
			   const struct shm__cl_transfer *transfer, cl_uint num_events,
			   const cl_event *wait_list, cl_event *ret_event)
{
	(void)cl;
	return clEnqueueWriteBuffer(queue, transfer->mem, CL_FALSE, 0, transfer->size,
				    transfer->address, num_events, wait_list, ret_event);
}

static cl_int copy_release(struct shm__cl *cl, cl_command_queue queue,
			   const struct shm__cl_transfer *transfer, cl_uint num_events,
			   const cl_event *wait_list, cl_event *ret_event)
{
	(void)cl;
	if (!(transfer->dir & METAL_SHM_DIR_DEV_W))
		return clEnqueueMarkerWithWaitList(queue, num_events, wait_list, ret_event);
	return clEnqueueReadBuffer(queue, transfer->mem, CL_FALSE, 0, transfer->size,
				   transfer->address, num_events, wait_list, ret_event);
}

const struct shm__cl_path shm__cl_path_copy = {
	.id = METAL_SHM_OPENCL_COPY,
	.maps = true,
	.usable = copy_usable,
	.import = copy_import,
	.acquire = copy_acquire,
	.release = copy_release,
};
