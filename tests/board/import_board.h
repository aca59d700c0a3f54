/* SPDX-License-Identifier: BSD-3-Clause */
/* /dev/shm_importer by the kernel's calls alone, and physical addresses to compare its answers with. */
#ifndef IMPORT_BOARD_H
#define IMPORT_BOARD_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "module.h"
#include "shm_test.h"
#include "uapi/shm_importer.h"

/* A descriptor that is bound to a remoteproc; the module is loaded if it was not. */
static inline int import_open_of(const char *name)
{
	struct shm_import_bind bind = { 0 };
	int importer;

	strncpy(bind.name, name, sizeof(bind.name) - 1);
	module_load("shm_importer", "");
	importer = open(SHM_IMPORTER_NODE, O_RDWR | O_CLOEXEC);
	if (importer < 0 || ioctl(importer, SHM_IMPORT_BIND, &bind))
		fail_msg(SHM_IMPORTER_NODE ": %s", strerror(errno));
	return importer;
}

/* To the board's coprocessor. */
static inline int import_open(void)
{
	return import_open_of("board");
}

/* 0 or -errno. */
static inline int import_try(int importer, int dmabuf, uint32_t access,
			     struct shm_import_attach *ret_attach)
{
	struct shm_import_attach attach = { .fd = dmabuf, .access = access };

	if (ioctl(importer, SHM_IMPORT_ATTACH, &attach))
		return -errno;
	*ret_attach = attach;
	return 0;
}

/* For reading and writing. */
static inline struct shm_import_attach import_attach(int importer, int dmabuf)
{
	struct shm_import_attach attach = { 0 };
	int error = import_try(importer, dmabuf, SHM_IMPORT_READ | SHM_IMPORT_WRITE, &attach);

	if (error)
		fail_msg("attach: %s", strerror(-error));
	return attach;
}

/* How many were written, or -errno. */
static inline int import_segments(int importer, uint64_t id, uint32_t first, uint32_t count,
				  struct shm_import_segment *ret_segments)
{
	struct shm_import_segments wanted = {
		.id = id, .segments = (uintptr_t)ret_segments, .first = first, .count = count
	};

	return ioctl(importer, SHM_IMPORT_SEGMENTS, &wanted) ? -errno : (int)wanted.count;
}

/* The address of one that has a single segment. */
static inline uint64_t import_address(int importer, uint64_t id)
{
	struct shm_import_segment segments[2] = { 0 };

	assert_int_equal(import_segments(importer, id, 0, 2, segments), 1);
	return segments[0].address;
}

static inline int import_release(int importer, uint64_t id, uint32_t flags)
{
	struct shm_import_release release = { .id = id, .flags = flags };

	return ioctl(importer, SHM_IMPORT_RELEASE, &release) ? -errno : 0;
}

static inline struct shm_import_status import_status(int importer)
{
	struct shm_import_status status = { 0 };

	assert_int_equal(ioctl(importer, SHM_IMPORT_STATUS, &status), 0);
	return status;
}

/* The first that is held after this id, or -errno. */
static inline int import_held(int importer, uint64_t after, struct shm_import_held *ret_held)
{
	struct shm_import_held held = { .id = after };

	if (ioctl(importer, SHM_IMPORT_HELD, &held))
		return -errno;
	*ret_held = held;
	return 0;
}

/* Of a page that is mapped and was touched; needs root. */
static inline uint64_t physical_address(const void *page)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_true(pagemap >= 0);
	assert_int_equal(pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)page / 4096 * 8)),
			 sizeof(entry));
	close(pagemap);
	entry &= (UINT64_C(1) << 55) - 1;
	assert_int_not_equal(entry, 0);
	return entry * 4096;
}

#endif
