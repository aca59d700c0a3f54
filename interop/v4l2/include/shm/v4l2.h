/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file v4l2.h
 * V4L2 devices for libshm: cameras, video outputs and memory-to-memory devices, on buffers that
 * libshm allocated (V4L2_MEMORY_DMABUF, single- and multi-planar API).
 *
 * Each queue of a V4L2 device is one struct metal_device: a camera is one, a memory-to-memory device
 * is two. A buffer that is attached keeps its index for as long as it is attached, and is always
 * queued with the same index and descriptor, so the driver maps it once.
 *
 * A camera refills itself: metal_shm_v4l2_start() queues the idle frames of its pool, and each frame
 * that metal_shm_free() gives back is queued again. An output is filled by the program:
 * metal_shm_pool_get(), write, metal_shm_v4l2_queue(), metal_shm_free().
 *
 * Frames are taken from metal_shm_v4l2_wait(). A program with its own loop polls
 * metal_shm_device_poll_fd(), and on an event calls metal_shm_v4l2_wait() with a timeout of 0 until
 * it answers -ETIMEDOUT. Other calls that wait may fetch frames too, which then stay in the device
 * until metal_shm_v4l2_wait() asks: such a program asks after these as well.
 *
 * A V4L2 device is opened by metal_shm_device_open("v4l2:PATH") as well: capture if it captures, else
 * output.
 *
 * The conventions of shm.h hold. Every descriptor is close-on-exec and non-blocking.
 */
#ifndef METAL_SHM_V4L2_H
#define METAL_SHM_V4L2_H

#include <shm/frame.h>
#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is wrong with a frame or a queue: struct metal_shm_v4l2_info's error. */
enum metal_shm_v4l2_error {
	METAL_SHM_V4L2_GOOD = 0,
	METAL_SHM_V4L2_FLAGGED,    /**< the driver flagged the frame: its content is damaged */
	METAL_SHM_V4L2_SHORT,      /**< fewer bytes than the picture has */
	METAL_SHM_V4L2_MOVED,      /**< the picture doesn't start at the buffer's first byte */
	METAL_SHM_V4L2_NOT_QUEUED, /**< a frame that was given back could not be queued again */
	METAL_SHM_V4L2_BROKEN,     /**< the queue ended by a fatal error: stop it and start again */
};

/** What the driver says of a frame. Set struct_size before the call. */
struct metal_shm_v4l2_info {
	uint32_t struct_size;
	uint32_t sequence;     /**< counts the frames of the device, those that were lost too */
	uint64_t timestamp_ns; /**< of the driver; flags say which clock it is */
	uint64_t bytes_used;   /**< bytes of the buffer that are filled */
	uint32_t error;        /**< an enum metal_shm_v4l2_error */
	uint32_t field;        /**< V4L2_FIELD_NONE or V4L2_FIELD_INTERLACED... of videodev2.h */
	uint32_t flags;        /**< V4L2_BUF_FLAG_* of videodev2.h */
	uint32_t index;        /**< of the buffer in the driver */
};

/** struct metal_shm_v4l2_work: metal_shm_v4l2_wait() returns the frame when the driver is done. */
#define METAL_SHM_V4L2_REPORT (1u << 0)

/** What is queued on an output. A field left 0 is the usual. Set struct_size before the call. */
struct metal_shm_v4l2_work {
	uint32_t struct_size;
	uint32_t flags;        /**< METAL_SHM_V4L2_REPORT or 0 */
	uint64_t bytes_used;   /**< bytes that are filled; 0: the whole frame */
	uint64_t timestamp_ns; /**< handed on to the captured frame by drivers that copy it */
};

/**
 * Open a camera, or whatever captures.
 *
 * @param path         a node, e.g. "/dev/video0"
 * @param ret_capture  receives the device; end it with metal_shm_device_close()
 * @return 0; -EINVAL NULL; -ENOENT no such node; -EACCES not permitted (the reason names the node's
 *         owner, mode and group); -ENODEV not a V4L2 device, or its hardware is gone; -ENOTSUP it
 *         doesn't capture, is a memory-to-memory device, doesn't stream or imports no DMA-BUFs;
 *         -ENOMEM, -EMFILE, -ENFILE; or the error of the system call
 */
int metal_shm_v4l2_open(const char *path, struct metal_device **ret_capture);

/**
 * Open a video output.
 *
 * @param path        a node, e.g. "/dev/video1"
 * @param ret_output  receives the device; end it with metal_shm_device_close()
 * @return as metal_shm_v4l2_open(); -ENOTSUP it has no output
 */
int metal_shm_v4l2_open_output(const char *path, struct metal_device **ret_output);

/**
 * Open a memory-to-memory device (a scaler, converter or codec) as the two devices that it is.
 *
 * Both share one descriptor, which is closed when both are ended.
 *
 * @param path         a node, e.g. "/dev/video2"
 * @param ret_output   receives the device that reads the buffers which the program fills
 * @param ret_capture  receives the device that writes the results
 * @return as metal_shm_v4l2_open(); -ENOTSUP it is no memory-to-memory device. On failure neither is
 *         opened
 */
int metal_shm_v4l2_open_m2m(const char *path, struct metal_device **ret_output,
			    struct metal_device **ret_capture);

/**
 * Make devices of a descriptor that the program opened, which may have set its inputs and controls.
 *
 * The descriptor is made non-blocking and close-on-exec. No queue of it may have buffers.
 *
 * @param take_fd      a V4L2 node opened for reading and writing; libshm's on success, the caller's
 *                     on failure
 * @param ret_output   receives the device of the output queue; NULL if it isn't wanted
 * @param ret_capture  receives the device of the capture queue; NULL if it isn't wanted
 * @return as metal_shm_v4l2_open(); -EINVAL both NULL; -EBADF not open; -EACCES not opened for
 *         reading and writing
 */
int metal_shm_v4l2_open_fd(int take_fd, struct metal_device **ret_output,
			   struct metal_device **ret_capture);

/**
 * The descriptor of a device, for what libshm leaves to the program: inputs, controls, events.
 *
 * @param dev  a V4L2 device
 * @return a descriptor that stays the device's, and leads nowhere once a device that is gone was
 *         stopped; -EINVAL not a V4L2 device
 */
int metal_shm_v4l2_fd(const struct metal_device *dev);

/**
 * Ask for a frame interval.
 *
 * Remembered, and set by each metal_shm_v4l2_start() after the format, which drivers let reset it.
 * The driver takes the nearest that it has.
 *
 * @param dev          a V4L2 device that is not started
 * @param numerator    of the interval in seconds, at least 1
 * @param denominator  of the interval in seconds, at least 1: 1/25 is 25 frames a second
 * @return 0; -EINVAL not a V4L2 device, or a 0; -EBUSY it is started
 */
int metal_shm_v4l2_set_interval(struct metal_device *dev, uint32_t numerator, uint32_t denominator);

/**
 * Start streaming frames of a pool.
 *
 * Sets the pool's format and checks that the driver answers that very layout. A capture device queues
 * the pool's idle frames and from then on each frame that becomes idle. Buffers attached to @p dev
 * but not of this pool may be queued too, if they were attached before.
 *
 * @param dev   a V4L2 device that is not started
 * @param pool  a pool of frames attached to @p dev. If it is destroyed before the stop, each of its
 *              frames ends as it comes back
 * @return 0; -EINVAL not a V4L2 device, not a pool, no frame of the pool is attached to @p dev (it was
 *         made for other devices), or @p dev captures and is no device of the pool;
 *         -ENODATA the pool's buffers have no format; -EBUSY started before, another program streams, or
 *         another device feeds from the pool; -ENOTSUP the driver wants another layout than the
 *         pool has, can't set the interval that was asked for, or wants more buffers than the pool
 *         has; -ENOSPC it takes fewer buffers than are attached; -EIO it doesn't start; -ENODEV it
 *         is gone; or the error of the system call (the reason names it). On failure the device is
 *         as before, but for its format
 */
int metal_shm_v4l2_start(struct metal_device *dev, struct metal_shm_pool *pool);

/**
 * Stop streaming.
 *
 * Gives the ownership of all queued buffers back, drops frames that nobody took and makes the driver
 * let go of the memory. A call that waits in another thread ends with -EINVAL. Closing the device
 * does the same.
 *
 * @param dev  a V4L2 device; nothing happens if it is not started
 * @return 0, also when the device is gone (its node is then closed, once both queues of a
 *         memory-to-memory device are stopped: nothing else makes the driver let go of the memory);
 *         -EINVAL not a V4L2 device; or the error of the system call, with everything undone that
 *         can be
 */
int metal_shm_v4l2_stop(struct metal_device *dev);

/**
 * Queue a buffer.
 *
 * Hands it to the device: waits until other devices are done with it. The program's reference stays
 * its own. On a capture device metal_shm_v4l2_wait() returns the buffer when it is filled; on an
 * output it goes back to its pool by itself when the driver is done, or is reported if
 * metal_shm_v4l2_queue_work() asked for that.
 *
 * @param dev  a V4L2 device that is started
 * @param shm  any handle of a buffer attached to it
 * @return 0; -EINVAL not a V4L2 device, not a handle, not started, or smaller than the frames;
 *         -ENOTCONN not attached; -EACCES the device would write memory that was imported read-only;
 *         -EBUSY queued already, not fetched yet by metal_shm_v4l2_wait(), or attached after the start;
 *         -EIO the queue is broken, or the last holder failed; -ENODEV the device is gone; -ENOTSUP
 *         the driver can't use the memory; or the error of the system call
 */
int metal_shm_v4l2_queue(struct metal_device *dev, struct metal_generic_shm *shm);

/**
 * Queue a buffer on an output and say what is in it.
 *
 * @param dev   as for metal_shm_v4l2_queue()
 * @param shm   as there
 * @param work  NULL for the usual
 * @return as there; -EINVAL also for unknown flags, more bytes than the buffer has, or work on a
 *         capture device
 */
int metal_shm_v4l2_queue_work(struct metal_device *dev, struct metal_generic_shm *shm,
			      const struct metal_shm_v4l2_work *work);

/**
 * Wait for the next frame.
 *
 * A capture device answers frames in the order of the driver; several threads that wait on one device
 * share them. A frame that is not good is queued again by the call and never answered. An output
 * answers the frames that were queued with METAL_SHM_V4L2_REPORT, damaged ones too.
 *
 * @param dev         a V4L2 device that is started
 * @param timeout_ns  nanoseconds; 0 asks without waiting; METAL_SHM_FOREVER. A signal that interrupts
 *                    may make it up to twice as long
 * @param ret_info    receives what the driver says of the frame, also with -EIO; may be NULL
 * @param ret_shm     receives the buffer with one reference, ended with metal_shm_free()
 * @return 0; -ETIMEDOUT no frame in time (the reason tells if none was queued); -EIO, with the error
 *         of @p ret_info: the frame is damaged or short, a frame could not be queued again (the next
 *         call tries once more), or the queue is broken; -ENODEV the device is gone; -ENODATA an
 *         output has no frame to report; -EPIPE a codec has answered its last frame; -EINVAL not a
 *         V4L2 device, not started, or stopped meanwhile; -EMFILE no descriptor left to wait with
 */
int metal_shm_v4l2_wait(struct metal_device *dev, int64_t timeout_ns,
			struct metal_shm_v4l2_info *ret_info, struct metal_generic_shm **ret_shm);

/**
 * The index of a buffer in the driver, the same from attach to detach.
 *
 * @param dev        a V4L2 device
 * @param shm        any handle of a buffer attached to it
 * @param ret_index  receives V4L2's buffer index
 * @return 0; -EINVAL; -ENOTCONN not attached
 */
int metal_shm_v4l2_index(struct metal_device *dev, struct metal_generic_shm *shm,
			 uint32_t *ret_index);

/**
 * The V4L2 pixel format that has the same bytes as a DRM format.
 *
 * The codes of the two name the same letters for different things: DRM's R8 is V4L2's GREY, DRM's
 * RG24 is V4L2's BGR3. Only formats with all planes in one memory are named.
 *
 * @param fourcc           DRM's code
 * @param ret_pixelformat  receives V4L2_PIX_FMT_*
 * @return 0; -ENOTSUP V4L2 has none, or libshm doesn't know it; -EINVAL
 */
int metal_shm_v4l2_pixelformat(uint32_t fourcc, uint32_t *ret_pixelformat);

/**
 * The DRM format that has the same bytes as a V4L2 pixel format.
 *
 * @param pixelformat  V4L2_PIX_FMT_*
 * @param ret_fourcc   receives DRM's code
 * @return 0; -ENOTSUP DRM has none, libshm doesn't know it, or its planes lie in several memories;
 *         -EINVAL
 */
int metal_shm_v4l2_fourcc(uint32_t pixelformat, uint32_t *ret_fourcc);

#ifdef __cplusplus
}
#endif
#endif
