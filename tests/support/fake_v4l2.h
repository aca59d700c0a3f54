/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake_v4l2.h
 * A capture or output driver in the program itself, for what no real driver does on demand.
 *
 * It answers the ioctl() calls on one descriptor, which is readable while a frame is done, and writes
 * down what it was asked. Its memory is a memfd that is called a DMA-BUF. There is one of it.
 */
#ifndef FAKE_V4L2_H
#define FAKE_V4L2_H

#include <linux/videodev2.h>
#include <stdbool.h>

#include <shm/device.h>
#include <shm/frame.h>
#include <shm/v4l2.h>

/** What the driver is like; fake_v4l2_new() makes it ordinary. */
struct fake_v4l2 {
	uint32_t caps;          /**< V4L2_CAP_* */
	const char *driver;     /**< its name */
	uint32_t formats[8];    /**< V4L2_PIX_FMT_*, ended by 0 */
	uint32_t width, height; /**< the only size; 0: any */
	uint32_t alignment;     /**< of strides; 0: a fixed stride */
	uint32_t padding;       /**< bytes that sizeimage has beyond the lines */
	uint32_t planes, field; /**< as S_FMT answers */
	uint32_t stride;        /**< that S_FMT answers whatever was asked; 0: as TRY_FMT */
	uint32_t most_buffers;  /**< that REQBUFS gives */
	int32_t least_buffers;  /**< V4L2_CID_MIN_BUFFERS_FOR_CAPTURE; 0: has no such control */
	enum metal_shm_tri contiguous; /**< what its memory promises; YES */
	uint32_t data_offset;          /**< that a queued multi-planar buffer gets */
	bool late_offset;              /**< it gets it only when it is done */

	unsigned long fail; /**< request that fails next */
	int error;          /**< with this errno */
	int fail_nth;       /**< > 0: counts down with each call, at 0 that call fails */
	bool gone;          /**< every call fails with ENODEV */

	/* read by tests */
	char log[512];          /**< F P R<count> Q D + - for S_FMT S_PARM REQBUFS ... STREAMOFF */
	unsigned calls;         /**< ioctl() calls */
	unsigned dqbufs, qbufs; /**< those that worked */
	bool streaming;
	uint32_t buffers; /**< that REQBUFS gave */
	struct v4l2_format format;
	struct {
		int fd;
		uint32_t length;
		bool queued, done;
		uint32_t bytes_used, flags;
	} buffer[32];
	unsigned moved; /**< times that an index was queued with another descriptor or length */
};

/** The driver, ordinary again: YUYV, XR24 and NV12, any size and stride. */
struct fake_v4l2 *fake_v4l2_new(void);

/** Open it as libshm does a real one: as an output where its caps say so. 0 or -errno. */
int fake_v4l2_open(struct metal_device **ret_dev);

/** End a frame: the buffer that was queued longest is done. Its index, or -1. */
int fake_v4l2_done(uint32_t bytes_used, uint32_t flags);

/** How many frames were dequeued so far, for cases with other threads. */
unsigned fake_v4l2_dqbufs(void);

/** Be a driver that answers the index next, though nobody queued it. */
void fake_v4l2_answer(uint32_t index);

/** Unplug it: every call fails with ENODEV from now on, and whoever polls is woken. */
void fake_v4l2_unplug(void);

/** Make what the library keeps for a thread that waits: a descriptor, counted as no case's. */
void fake_v4l2_warm_up(void);

/** The device that gives its memory; ended by metal_shm_device_close(). */
struct metal_device *fake_v4l2_memory(void);

#endif
