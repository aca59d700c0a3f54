/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file frame.h
 * Pictures in buffers: negotiated among devices before a byte is allocated, pooled afterwards.
 *
 * The conventions of shm.h hold.
 */
#ifndef METAL_SHM_FRAME_H
#define METAL_SHM_FRAME_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct metal_shm_pool;

/** A pixel format by its four characters, as in DRM's drm_fourcc.h. */
#define METAL_SHM_FOURCC(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/** Any modifier that all devices share; negotiation chooses (DRM_FORMAT_MOD_INVALID). */
#define METAL_SHM_MODIFIER_ANY UINT64_C(0x00ffffffffffffff)

/** At most this many planes. */
#define METAL_SHM_MAX_PLANES 4

/** One plane of a frame. */
struct metal_shm_plane {
	uint64_t offset;   /**< bytes from the start of the buffer */
	uint32_t stride;   /**< bytes from one line to the next */
	uint32_t reserved; /**< 0 */
};

/** What a buffer's bytes mean as a picture. All planes lie in one buffer. */
struct metal_shm_frame {
	uint32_t fourcc;      /**< DRM's code, e.g. XR24 */
	uint32_t width;       /**< pixels, 1 to 65535 */
	uint32_t height;      /**< lines, 1 to 65535 */
	uint32_t plane_count; /**< 0 before negotiation */
	uint64_t modifier;    /**< DRM's modifier; 0 is linear */
	uint64_t size;        /**< bytes of the buffer; 0 before negotiation */
	struct metal_shm_plane plane[METAL_SHM_MAX_PLANES];
	uint64_t reserved[2]; /**< 0 */
};

/** How a pixel format lies in memory. */
struct metal_shm_format {
	uint32_t fourcc;
	uint32_t plane_count;                       /**< 1 to METAL_SHM_MAX_PLANES */
	uint8_t bytes[METAL_SHM_MAX_PLANES];        /**< of one block of the plane */
	uint8_t block_width[METAL_SHM_MAX_PLANES];  /**< pixels of the picture a block covers */
	uint8_t block_height[METAL_SHM_MAX_PLANES]; /**< lines of the picture a block covers */
};

/**
 * Describe a pixel format.
 *
 * Known: XR24, AR24, XB24, AB24, RG16, RG24, BG24, YUYV, UYVY, NV12, NV21, NV16, YU12, R8.
 *
 * @param fourcc      DRM's code
 * @param ret_format  receives the description
 * @return 0; -ENOTSUP a format that libshm doesn't know; -EINVAL
 */
int metal_shm_format_of(uint32_t fourcc, struct metal_shm_format *ret_format);

/**
 * Find the layout of a frame that every device accepts, without allocating.
 *
 * Merges what each device asks (stride and its alignment, offsets, total size, modifiers), asks
 * each about the result, and repeats until all agree.
 *
 * @param frame  fourcc, width and height set by the caller; modifier 0 for linear, or
 *               METAL_SHM_MODIFIER_ANY. plane[0].stride may give a least stride. On success planes,
 *               modifier and size are filled; on failure it is unchanged
 * @param devs   @p n devices; those that have no opinion on frames are passed over
 * @param n      how many, 0 to 64
 * @return 0; -EINVAL NULL, a size of 0 or above 65535, not a device; -EOVERFLOW; -ENOTSUP a format
 *         that a device doesn't have, or no common layout: the reason sets each side's wish against
 *         the others'; or a device's own error
 */
int metal_shm_frame_negotiate(struct metal_shm_frame *frame, struct metal_device *const devs[],
			      size_t n);

/**
 * The frame that a handle's bytes are.
 *
 * @param shm  any handle
 * @return what its pool or metal_shm_frame_set() said, valid as long as the buffer; NULL with errno
 *         EINVAL or ENODATA (none)
 */
const struct metal_shm_frame *metal_shm_frame_of(const struct metal_generic_shm *shm);

/**
 * Say what a buffer's bytes are, for buffers that no pool made (imported ones, say).
 *
 * Set it before attaching: devices read it then. Those that have no opinion on frames, as another process,
 * may have it before.
 *
 * @param shm    a buffer, or a part from its first byte on
 * @param frame  complete; every plane must lie inside @p shm. Copied
 * @return 0; -EINVAL; -ERANGE a plane ends outside; -EBUSY it is attached to a device that reads frames, or
 *         has a different frame already; -ENOMEM
 */
int metal_shm_frame_set(struct metal_generic_shm *shm, const struct metal_shm_frame *frame);

/**
 * Make a pool of equal buffers, attached to every device that uses memory.
 *
 * The memory is chosen as by metal_shm_allocate_for().
 *
 * @param size      bytes of each, at least 1
 * @param count     how many, 1 to 64
 * @param devs      @p n devices; they must outlive the pool
 * @param n         how many, 0 to 64
 * @param t         METAL_SHM_* requirements
 * @param ret_pool  receives the pool; end it with metal_shm_pool_destroy()
 * @return 0; -EINVAL; as metal_shm_allocate_for() and metal_shm_attach()
 */
int metal_shm_pool_create(size_t size, unsigned count, struct metal_device *const devs[], size_t n,
			  metal_shm_type t, struct metal_shm_pool **ret_pool);

/**
 * Make a pool of frames, attached to every device that uses memory.
 *
 * @param frame     negotiated by metal_shm_frame_negotiate() among the same devices
 * @param devs      @p n devices; they must outlive the pool
 * @param n         how many, 0 to 64
 * @param count     how many frames, 1 to 64
 * @param ret_pool  receives the pool; end it with metal_shm_pool_destroy()
 * @return 0; -EINVAL also for a frame that was not negotiated; as metal_shm_pool_create()
 */
int metal_shm_pool_create_frames(const struct metal_shm_frame *frame,
				 struct metal_device *const devs[], size_t n, unsigned count,
				 struct metal_shm_pool **ret_pool);

/**
 * Take a buffer that nobody references and no device's queued work has.
 *
 * While it waits it dispatches every device of the pool. The bytes are as their last user left them:
 * within one pool they are the same program's.
 *
 * @param pool        a pool
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return a buffer with one reference, given back by metal_shm_free(); NULL with errno EINVAL,
 *         ETIMEDOUT (the reason says who has the buffers), or a device's error
 */
struct metal_generic_shm *metal_shm_pool_get(struct metal_shm_pool *pool, int64_t timeout_ns);

/**
 * How many buffers a pool has.
 *
 * @param pool  a pool
 * @return 1 to 64; 0 with errno EINVAL for what is not a pool
 */
unsigned metal_shm_pool_count(const struct metal_shm_pool *pool);

/**
 * End a pool.
 *
 * Never blocks. Buffers that somebody still has go back when they are freed.
 *
 * @param pool  a pool, or NULL (nothing happens)
 */
void metal_shm_pool_destroy(struct metal_shm_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
