/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that a test plays: kmod/board_importer.c, whose module is loaded when it is first wanted. */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attachment.h"
#include "module.h"
#include "shm_test.h"

/* A device of its own that holds nothing yet. -1: errno. */
static inline int importer_open(void)
{
	const char *node = "/dev/" BOARD_IMPORTER;
	int device = open(node, O_RDWR | O_CLOEXEC);

	if (device < 0 && errno == ENOENT) {
		module_load("board_importer", "");
		device = open(node, O_RDWR | O_CLOEXEC);
	}
	return device;
}

/* Attached and mapped until the descriptor that is answered is closed. */
static inline int importer_attach(int dmabuf, struct board_attachment *ret_attachment)
{
	struct board_attachment wanted = { .fd = dmabuf };
	int device = importer_open();

	if (device < 0)
		fail_msg("/dev/" BOARD_IMPORTER ": %s", strerror(errno));
	if (ioctl(device, BOARD_ATTACH, &wanted))
		fail_msg("attach: %s", strerror(errno));
	*ret_attachment = wanted;
	return device;
}

/* What the device sees now, and what it writes. */
static inline void importer_read(int device, void *ret_bytes, size_t size)
{
	assert_int_equal(pread(device, ret_bytes, size, 0), size);
}

static inline void importer_write(int device, const void *bytes, size_t size)
{
	assert_int_equal(pwrite(device, bytes, size, 0), size);
}

#endif
