/* SPDX-License-Identifier: BSD-3-Clause */
/* cl_arm_import_memory: the device maps the DMA-BUF, or refuses; it never copies. */
#include "internal.h"
#include "layer/private.h"

static int arm_usable(const struct shm__cl *cl, int fd)
{
	if (!cl->import_arm)
		return metal_shm_set_error(ENOTSUP, "no cl_arm_import_memory_dma_buf");
	if (fd < 0)
		return metal_shm_set_error(ENOTSUP, "not a DMA-BUF");
	return 0;
}

/*
 * Consistency with the host is left at its default, ours: the core issues the cache operations when
 * bytes change hands. Our own layer, which would bracket each command, is told so.
 */
static int arm_import(struct shm__cl *cl, const struct shm__cl_bytes *bytes, cl_mem *ret_mem)
{
	const cl_import_properties_arm properties[] = {
		CL_IMPORT_TYPE_ARM,
		CL_IMPORT_TYPE_DMA_BUF_ARM,
		cl->layer ? LIBSHM_CL_IMPORT_SYNCED : 0,
		1,
		0,
	};
	cl_mem_flags flags = bytes->writable ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY;
	cl_int code = CL_SUCCESS;
	int fd = bytes->fd;
	cl_mem mem;

	mem = cl->import_arm(cl->context, flags, properties, &fd, bytes->size, &code);
	if (!mem)
		return shm__cl_error(code, "clImportMemoryARM");
	*ret_mem = mem;
	return 0;
}

const struct shm__cl_path shm__cl_path_arm = {
	.id = METAL_SHM_OPENCL_ARM_IMPORT,
	.shares = true,
	.usable = arm_usable,
	.import = arm_import,
};
