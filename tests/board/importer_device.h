/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board's importer as a device of libshm: what is attached to it is mapped for DMA by a module
 * (kmod/board_importer.c), and the test plays the device by reading and writing what that sees.
 */
#ifndef IMPORTER_DEVICE_H
#define IMPORTER_DEVICE_H

#include <stdbool.h>

#include <shm/device.h>

#include "attachment.h"

struct importer_device {
	struct metal_device *dev;
	bool fences; /* puts fences on what is attached from now on */
	unsigned views;
};

void importer_device_open(struct importer_device *device, const char *name);
/* Nothing is attached any more. */
void importer_device_close(struct importer_device *device);

/* What the module said of a handle's view. */
const struct board_attachment *importer_device_look(const struct importer_device *device,
						    struct metal_generic_shm *shm);

/* What the device does; the offset is from the start of the handle's range. */
void importer_device_read(const struct importer_device *device, struct metal_generic_shm *shm,
			  size_t offset, void *ret_bytes, size_t size);
void importer_device_write(const struct importer_device *device, struct metal_generic_shm *shm,
			   size_t offset, const void *bytes, size_t size);

/* The device puts a fence on what it works on, DMA_BUF_SYNC_READ or _WRITE, until end_fence(). */
int importer_device_fence(const struct importer_device *device, struct metal_generic_shm *shm,
			  uint32_t access);

#endif
