/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * @file shm_importer.h
 * For other kernel modules: what a coprocessor calls the memory of a DMA-BUF. uapi/shm_importer.h tells what
 * attachments, runs and holding are. Every function may sleep; none may be called with rproc->lock held, as
 * in an operation of a remoteproc or its subdevice.
 */
#ifndef SHM_IMPORTER_H
#define SHM_IMPORTER_H

#include <linux/types.h>

#include "uapi/shm_importer.h"

struct dma_buf;
struct rproc;
struct shm_import;

/**
 * Attach a DMA-BUF to a coprocessor.
 *
 * @rproc:  the caller's; it need not outlive the attachment
 * @buffer: the caller's reference stays; the attachment takes its own
 * @access: SHM_IMPORT_READ, SHM_IMPORT_WRITE or both
 *
 * Returns what shm_import_release() ends, or an ERR_PTR as of SHM_IMPORT_ATTACH.
 */
struct shm_import *shm_import_attach(struct rproc *rproc, struct dma_buf *buffer, u32 access);

/**
 * One segment's address.
 *
 * Returns 0; -ENOENT: there are not so many; -ESTALE: the run is over.
 */
int shm_import_segment(struct shm_import *import, u32 index,
		       struct shm_import_segment *ret_segment);

/**
 * End an attachment. @import may not be used afterwards.
 *
 * @unshared: the coprocessor said that it doesn't use it any more. False: it is held where that may be
 */
void shm_import_release(struct shm_import *import, bool unshared);

#endif
