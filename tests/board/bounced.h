/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One buffer and one device on a machine that bounces: by the kernel's calls alone, and through libshm.
 * Both begin with every byte 0x01 for the CPU and for the device.
 */
#ifndef BOUNCED_H
#define BOUNCED_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include <shm/shm.h>

#include "heap_memory.h"
#include "importer.h"
#include "importer_device.h"
#include "shm_test.h"

#define BYTES ((size_t)65536)

static const char *const heaps[] = { "system", "reserved" };

#define HEAPS SHM_TEST_COUNT(heaps)

/* Fails with the library's reason unless the call answers 0. */
#define must(call)                                                         \
	do {                                                               \
		if (call)                                                  \
			fail_msg("%s: %s", #call, metal_shm_last_error()); \
	} while (0)

/* ---- by hand ---- */

struct hand {
	int fd, device;
	unsigned char *bytes;
	size_t size;
};

/* DMA_BUF_SYNC_START or _END, with _READ, _WRITE or _RW. */
static inline void hand_sync(const struct hand *hand, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	assert_int_equal(ioctl(hand->fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
}

/* Else nothing that follows shows anything. */
static inline void must_bounce(const struct board_attachment *attachment)
{
	assert_true(attachment->pieces > 0);
	assert_int_equal(attachment->bounced, attachment->pieces);
}

static inline void hand_open(struct hand *hand, const char *heap, size_t size, unsigned char value)
{
	struct board_attachment attachment;

	hand->fd = heap_memory(heap, size, O_RDWR);
	hand->size = size;
	hand->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, hand->fd, 0);
	assert_ptr_not_equal(hand->bytes, MAP_FAILED);
	hand->device = importer_attach(hand->fd, &attachment);
	must_bounce(&attachment);
	hand_sync(hand, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	memset(hand->bytes, value, size);
	hand_sync(hand, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static inline void hand_close(const struct hand *hand)
{
	if (hand->device >= 0)
		close(hand->device);
	munmap(hand->bytes, hand->size);
	close(hand->fd);
}

static inline unsigned char device_sees(int device, size_t at)
{
	unsigned char byte;

	assert_int_equal(pread(device, &byte, 1, (off_t)at), 1);
	return byte;
}

static inline void device_writes(int device, size_t at, unsigned char byte)
{
	assert_int_equal(pwrite(device, &byte, 1, (off_t)at), 1);
}

/* ---- through libshm ---- */

struct side {
	struct metal_device *src;
	struct importer_device device;
	struct metal_generic_shm *shm;
	unsigned char *bytes;
};

static inline void side_open(struct side *side, const char *heap, size_t size)
{
	char name[64];

	snprintf(name, sizeof(name), "heap:%s", heap);
	must(metal_shm_device_open(name, &side->src));
	importer_device_open(&side->device, "importer");
	side->shm = metal_shm_allocate(size, side->src, METAL_SHM_DMABUF);
	if (!side->shm)
		fail_msg("%s: %s", name, metal_shm_last_error());
	side->bytes = metal_shm_map(side->shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(side->bytes);
	memset(side->bytes, 0x01, size);
}

static inline void side_close(struct side *side)
{
	metal_shm_free(side->shm, side->src);
	importer_device_close(&side->device);
	metal_shm_device_close(side->src);
}

/* What is attached works on copies: the buffer's, or those of a part's shadow. */
static inline void side_attach(struct side *side, struct metal_generic_shm *shm,
			       enum metal_shm_view_mode mode)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, side->device.dev);

	if (!view)
		fail_msg("attach: %s", metal_shm_last_error());
	assert_int_equal(metal_shm_view_mode(view), mode);
	must_bounce(importer_device_look(&side->device, shm));
}

static inline void side_detach(struct side *side, struct metal_generic_shm *shm)
{
	metal_shm_detach(metal_shm_view(shm, side->device.dev), side->device.dev);
}

/* A part, attached. */
static inline struct metal_generic_shm *side_part(struct side *side, size_t offset, size_t size)
{
	struct metal_generic_shm *part = metal_shm_sub(side->shm, offset, size, 0);

	assert_non_null(part);
	side_attach(side, part, METAL_SHM_VIEW_SHADOW);
	return part;
}

static inline void side_end_part(struct side *side, struct metal_generic_shm *part)
{
	side_detach(side, part);
	metal_shm_free(part, NULL);
}

static inline unsigned char side_device_sees(const struct side *side, struct metal_generic_shm *shm,
					     size_t at)
{
	unsigned char byte;

	importer_device_read(&side->device, shm, at, &byte, 1);
	return byte;
}

static inline void side_device_writes(const struct side *side, struct metal_generic_shm *shm,
				      size_t at, unsigned char byte)
{
	importer_device_write(&side->device, shm, at, &byte, 1);
}

#endif
