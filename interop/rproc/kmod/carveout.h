/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the module shm_carveout. */
#ifndef CARVEOUT_H
#define CARVEOUT_H

#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct device;
struct dma_buf;

/* One piece of physical memory that was set aside, with a node. It stays until the module goes. */
struct region {
	struct list_head node;
	struct miscdevice misc;
	char name[32];
	char label[64]; /* in /sys/class/misc, where all kinds of names are */
	char path[64];  /* of its node below /dev */
	phys_addr_t start;
	size_t pages;
	u32 flags;
	bool requested; /* from the kernel's resources */
	void *memory;   /* NULL: secure */

	const char *devices[8]; /* that may attach, of secure memory */
	int device_count;

	struct mutex lock;
	unsigned long *used; /* a bit for each page */
};

/* ---- carveout_buffer.c ---- */

/* A zeroed one of whole pages, or an ERR_PTR. */
struct dma_buf *buffer_new(struct region *region, size_t size, int fd_flags);

#endif
