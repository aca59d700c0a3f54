/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the module shm_importer. */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/remoteproc.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "shm_importer.h"

/*
 * One remoteproc, from the first time that somebody asked for it until its driver is unbound.
 *
 * Locks, outer first: the parent's device_lock(), coprocessors_lock, rproc->lock, lock.
 */
struct coprocessor {
	struct kref references; /* one of its own until it is gone, one for each file */
	struct list_head node;
	struct rproc *rproc; /* NULL: it is gone */
	struct device *parent;
	struct rproc_subdev subdev;
	struct work_struct settle;
	wait_queue_head_t ended;

	u64 window, window_end; /* addresses for the IOMMU; the same: none */

	struct mutex lock; /* all below */
	bool gone;         /* no driver: nothing is mapped any more */
	bool running;
	bool crashed;
	u64 run;     /* counts starts */
	u64 ends;    /* counts ends of any kind, for poll() */
	u64 stopped; /* in this run and those before the core doesn't use anything any more */
	u64 attached, held;
	struct xarray imports; /* by id; marked: held */
};

#define IMPORT_HELD XA_MARK_0

struct shm_import {
	struct coprocessor *coprocessor;
	const void *owner; /* NULL: held */
	unsigned long id;
	u64 run;
	u32 access;
	kuid_t uid;
	pid_t pid;
	char program[16];

	struct dma_buf *buffer;
	struct dma_buf_attachment *attachment;
	struct sg_table *table; /* NULL: no longer mapped */
	enum dma_data_direction direction;
	u64 iova; /* with size_mapped: in the domain of the coprocessor */
	size_t size_mapped;

	u32 flags;
	u32 count;
	struct shm_import_segment *segments;
};

/* ---- coprocessor.c: who they are and how they live ---- */

/* By its name or its device's. A reference, or an ERR_PTR. */
struct coprocessor *coprocessor_find(const char *name);

/* The one of a remoteproc, made if need be. A reference, or an ERR_PTR. */
struct coprocessor *coprocessor_get(struct rproc *rproc);
void coprocessor_put(struct coprocessor *coprocessor);

/* With each of them in turn, those included that are lost, for a listing. */
void coprocessor_each(void (*tell)(struct coprocessor *coprocessor, void *data), void *data);

/* At the module's end, when there is neither file nor import. */
void coprocessor_forget_all(void);

u64 coprocessor_limit(void);

/* ---- import.c: attachments, each call with the coprocessor's lock unless it says otherwise ---- */

/* A new one of the running coprocessor, or an ERR_PTR. */
struct shm_import *import_new(struct coprocessor *coprocessor, struct dma_buf *buffer, u32 access,
			      const void *owner);

/* Ends its owner's part of it: freed, or held. */
void import_release(struct shm_import *import, bool unshared);

/* Frees those held ones whose run is over for good. */
void import_drop_stopped(struct coprocessor *coprocessor);

/* Takes every one out of the IOMMU, whose domain is about to go. */
void import_leave_domain(struct coprocessor *coprocessor);

/* Unmaps every one that the core doesn't use, since the device goes; the owners' stay, void. True: all. */
bool import_unmap_all(struct coprocessor *coprocessor);

/* ---- mapping.c: how a device sees a DMA-BUF ---- */

int mapping_init(void);
void mapping_exit(void);

/*
 * Segments may be as long as they are, unless its driver says otherwise. A core uses addresses, not descriptors with
 * so many bits for a length, which the DMA API takes for granted of those that say nothing: 64 KiB.
 */
void mapping_prepare(struct device *device);

/* COHERENT and IOMMU of a coprocessor, and the highest address that it has. */
u32 mapping_flags(const struct coprocessor *coprocessor);
u64 mapping_highest(const struct coprocessor *coprocessor);

/* Fills in what stands below "program"; nothing is left behind where it fails. */
int mapping_make(struct shm_import *import, struct dma_buf *buffer);
void mapping_leave_domain(struct shm_import *import);
void mapping_end(struct shm_import *import);

#endif
