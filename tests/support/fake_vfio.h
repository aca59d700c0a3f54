/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake_vfio.h
 * VFIO as the library asks it, for what a driver can't be made to do: it fails where a test says so.
 *
 * The program's own open(), readlink() and the like lead /sys and /dev/vfio to a folder of the test's, and
 * its ioctl() answers. Devices are 0000:00:01.0 in group 1, and 0000:00:02.0 and 0000:00:02.1 in group 2.
 */
#ifndef FAKE_VFIO_H
#define FAKE_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/shm.h>

#define FAKE_ONE  "0000:00:01.0"
#define FAKE_TWO  "0000:00:02.0"
#define FAKE_PAIR "0000:00:02.1"
#define FAKE_MAPS 64

struct fake_map {
	uint64_t iova, size, vaddr;
	uint32_t flags;
	int container;
};

/** Set before the call that shall go so. */
struct fake_vfio {
	unsigned long fail; /**< the ioctl that fails */
	int error;          /**< with this errno, a positive one */
	unsigned passes;    /**< after as many that don't */

	int version;
	bool type1, viable, no_ranges, lonely; /**< lonely: a container takes one group alone */
	uint64_t page_sizes;
	uint64_t window[2][2];  /**< first and last address */
	uint64_t unmapped_less; /**< bytes that VFIO_IOMMU_UNMAP_DMA doesn't undo */
	uint32_t vectors;       /**< of MSI */
	uint32_t region_flags;

	/* What it was asked. */
	struct fake_map map[FAKE_MAPS]; /**< size 0: none */
	unsigned containers, unsets, masks;
	int event[4];
	unsigned events;
};

/** As it is when nothing fails, all devices bound to vfio-pci. */
struct fake_vfio *fake_vfio_new(void);
void fake_vfio_end(void);

/** Give a device a driver; NULL: none. */
void fake_vfio_bind(const char *pci, const char *driver);
/** Take something away below the folder, or call a group. */
void fake_vfio_remove(const char *path);
void fake_vfio_name_group(const char *group, const char *name);

/** Raise an interrupt. */
void fake_vfio_raise(unsigned vector);

/** How many mappings there are. */
unsigned fake_vfio_mapped(void);

#endif
