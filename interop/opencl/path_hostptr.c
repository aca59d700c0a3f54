/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CL_MEM_USE_HOST_PTR over a mapping. A runtime may keep a copy of such a buffer elsewhere; the proof
 * finds out.
 */
#include "internal.h"

static int hostptr_usable(const struct shm__cl *cl, int fd)
{
	(void)fd;
	if (!cl->on_cpu && !cl->unified)
		return metal_shm_set_error(ENOTSUP, "the device's memory is not the host's");
	return 0;
}

static int hostptr_import(struct shm__cl *cl, const struct shm__cl_bytes *bytes, cl_mem *ret_mem)
{
	cl_mem_flags flags = bytes->writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_int code = CL_SUCCESS;
	cl_mem mem;

	mem = clCreateBuffer(cl->context, flags | CL_MEM_USE_HOST_PTR, bytes->size, bytes->address,
			     &code);
	if (!mem)
		return shm__cl_error(code, "clCreateBuffer");
	*ret_mem = mem;
	return 0;
}

const struct shm__cl_path shm__cl_path_hostptr = {
	.id = METAL_SHM_OPENCL_HOST_PTR,
	.maps = true,
	.shares = true,
	.usable = hostptr_usable,
	.import = hostptr_import,
};
