/* SPDX-License-Identifier: BSD-3-Clause */
/* Between libshm's OpenCL adapter and libshm's OpenCL layer. */
#ifndef SHM_OPENCL_LAYER_PRIVATE_H
#define SHM_OPENCL_LAYER_PRIVATE_H

/*
 * A property of clImportMemoryARM: with value 1 the importer issues DMA_BUF_IOCTL_SYNC itself and the
 * layer must not. Only the layer knows it, so it is passed only where LIBSHM_CL_LAYER_EXTENSION is
 * among the device's extensions: an implementation of cl_arm_import_memory would refuse it.
 */
#define LIBSHM_CL_IMPORT_SYNCED   0x6c73686d
#define LIBSHM_CL_LAYER_EXTENSION "cl_libshm_import_layer"

#endif
