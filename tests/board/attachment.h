/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between tests and kmod/board_importer.c, a device that does nothing but hold a DMA-BUF. Each opening of
 * BOARD_IMPORTER is one attachment at most; closing it ends that. pread() and pwrite() are the device:
 * they reach the bytes at the addresses that it was given, whatever the CPU's caches or copies say.
 */
#ifndef BOARD_ATTACHMENT_H
#define BOARD_ATTACHMENT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BOARD_IMPORTER "board-importer"

struct board_attachment {
	__s32 fd; /* in: a DMA-BUF, which stays the caller's */
	__u32 pieces;
	__u32 bounced; /* pieces that are copies of the memory, not the memory */
	__u32 reserved;
	__u64 size;
	__u64 address; /* of the first piece, as the device has it */
};

/* EBUSY: there is one already. */
#define BOARD_ATTACH _IOWR('b', 0xc1, struct board_attachment)
#define BOARD_DETACH _IO('b', 0xc2)

#endif
