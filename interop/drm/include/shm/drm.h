/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file drm.h
 * Displays: a DRM card's CRTC shows buffers of libshm, and its memory can be allocated.
 *
 * A device stands for one CRTC with its connector and primary plane, driven by atomic commits, and
 * for the card's dumb buffers: it uses memory and gives it. "drm:PATH" opens one through
 * metal_shm_device_open(); "drm:PATH,writeback" and "drm:PATH,memory" set the flags below.
 *
 * A frame that was presented belongs to the display until the next one has replaced it on the
 * screen, or metal_shm_drm_off(): a pool needs one frame more than its other devices do. The flip
 * events that say so are read by metal_shm_device_dispatch() and by each call here that waits.
 *
 * Buffers are shown whole: they need a frame (a pool of frames, or metal_shm_frame_set() before
 * metal_shm_attach()) and must be true DMA-BUFs. Its mode is the one of the connector that has the
 * frame's size; virtual connectors take any size; elsewhere a smaller frame is shown unscaled in the
 * middle of the preferred mode, where the plane can.
 *
 * The first present takes the CRTC over, closing the device puts back what was there before, the
 * other planes and connectors of the CRTC included. When the program dies the kernel takes its
 * pictures off the screen, and its console comes back if no other program has the card open.
 *
 * The conventions of shm.h hold. -ENODEV from any call: the card is gone, or the device closed.
 */
#ifndef METAL_SHM_DRM_H
#define METAL_SHM_DRM_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Read pictures back: metal_shm_drm_present_writeback() works, through the CRTC's writeback
 *  connector; beside the display where the driver can do both, without it where it can't (vkms). */
#define METAL_SHM_DRM_WRITEBACK (1u << 0)
/** Only give memory: no display is looked for, and nobody's is disturbed. */
#define METAL_SHM_DRM_MEMORY (1u << 1)

/** What to open. Set struct_size; 0 elsewhere lets the library choose. */
struct metal_shm_drm_options {
	uint32_t struct_size;
	uint32_t flags;     /**< METAL_SHM_DRM_* */
	uint32_t connector; /**< object id; 0: the first that is connected */
	uint32_t crtc;      /**< object id; 0: the connector's present one, else a free one */
	uint32_t plane;     /**< object id; 0: the CRTC's primary plane */
	uint32_t width;     /**< of the mode, pixels; with height; 0: the frame's size */
	uint32_t height;    /**< of the mode, lines */
	uint32_t reserved;  /**< 0 */
};

/**
 * Open a card and what it shows on.
 *
 * The program must become the card's master: no compositor may have it, or it brings a lease
 * through metal_shm_drm_open_fd().
 *
 * @param path     the card, as /dev/dri/card0
 * @param ret_dev  receives the device; end it with metal_shm_device_close(), which waits for the
 *                 display for some frames at most
 * @return 0; -EINVAL NULL, or the path is not a DRM node; -ENOENT no such path; -EACCES not
 *         permitted (the reason names the group that is); -ENOTSUP a render node, a card without a
 *         display, without atomic commits or without PRIME import; -ENXIO nothing is connected;
 *         -EBUSY another program is its master; -ENOMEM; or the kernel's error
 */
int metal_shm_drm_open(const char *path, struct metal_device **ret_dev);

/**
 * metal_shm_drm_open() with choices.
 *
 * @param path     as there
 * @param options  NULL for none
 * @param ret_dev  as there
 * @return as there; -EINVAL also for unknown flags or a width without a height; -ENOENT also for an
 *         object id that the card doesn't have, or that doesn't go with the others; -ENXIO also when
 *         a writeback connector was asked for and there is none
 */
int metal_shm_drm_open_options(const char *path, const struct metal_shm_drm_options *options,
			       struct metal_device **ret_dev);

/**
 * Open a display on a descriptor of the caller's: of a card, or a lease.
 *
 * The descriptor becomes non-blocking and close-on-exec. Buffers must not be imported through a
 * duplicate of it: the kernel doesn't count GEM handles, the library counts only its own.
 *
 * @param take_fd    a DRM primary node or lease; the library's from the call on, closed on failure
 * @param connector  object id, or 0: the first that is connected
 * @param crtc       object id, or 0: the connector's
 * @param plane      object id, or 0: the CRTC's primary plane
 * @param ret_dev    as for metal_shm_drm_open()
 * @return as metal_shm_drm_open_options(); -EBADF @p take_fd is not open; -EINVAL it is something
 *         else than a DRM node
 */
int metal_shm_drm_open_fd(int take_fd, uint32_t connector, uint32_t crtc, uint32_t plane,
			  struct metal_device **ret_dev);

/**
 * metal_shm_drm_open_fd() with all choices.
 *
 * @param take_fd  as there
 * @param options  NULL for none
 * @param ret_dev  as for metal_shm_drm_open()
 * @return as metal_shm_drm_open_fd()
 */
int metal_shm_drm_open_fd_options(int take_fd, const struct metal_shm_drm_options *options,
				  struct metal_device **ret_dev);

/**
 * The mode that is shown, or the one that a frame without a size of its own would get.
 *
 * @param dev          a display
 * @param ret_width    pixels; may be NULL, as the others
 * @param ret_height   lines
 * @param ret_refresh  millihertz
 * @return 0; -EINVAL not a display
 */
int metal_shm_drm_mode(struct metal_device *dev, uint32_t *ret_width, uint32_t *ret_height,
		       uint32_t *ret_refresh);

/**
 * Show a frame.
 *
 * Hands the bytes over for reading and commits, without waiting for the screen. Waits for the flip
 * before, and for a writeback under way, at most 10 seconds each. Consumes no reference. Its
 * steady cost is one commit, and one read of the flip event before it.
 *
 * @param dev  a display
 * @param shm  any handle of a frame attached to @p dev
 * @return 0; -EINVAL not a display, no frame, or the driver refuses it; -ENOTSUP the plane doesn't
 *         have the frame's format, or no mode has its size; -ENOTCONN never attached; -EACCES
 *         another program became the card's master (a VT switch); -ETIMEDOUT the frame before is
 *         still not shown; as metal_shm_sync_for_device(). On failure the display shows what it
 *         showed, and the bytes are nobody's work
 */
int metal_shm_drm_present(struct metal_device *dev, struct metal_generic_shm *shm);

/**
 * metal_shm_drm_present() with fences, for producers and consumers outside libshm.
 *
 * @param dev              as there
 * @param shm              as there
 * @param borrow_in_fence  a sync_file that the display waits for before it reads, or -1
 * @param ret_out_fence    receives a sync_file that signals when the frame is on the screen, to be
 *                         closed by the caller; may be NULL
 * @return as there; -EINVAL also where @p borrow_in_fence is not a sync_file; -ENOTSUP also where the
 *         driver has no such fences; -EMFILE
 */
int metal_shm_drm_present_fenced(struct metal_device *dev, struct metal_generic_shm *shm,
				 int borrow_in_fence, int *ret_out_fence);

/**
 * metal_shm_drm_present() that also writes the whole picture of the CRTC into a buffer.
 *
 * @p into is the device's for writing until that is done, which metal_shm_device_dispatch() and
 * metal_shm_sync_for_cpu() find out. One at a time: the next commit waits for it.
 *
 * @param dev   a display opened with METAL_SHM_DRM_WRITEBACK
 * @param shm   as there
 * @param into  another frame attached to @p dev, of the mode's size and a format of the writeback
 *              connector
 * @return as there; -EINVAL also where both are one buffer or @p into has the wrong size; -ENOTSUP
 *         also for a device without the flag, and for a format that can't be written
 */
int metal_shm_drm_present_writeback(struct metal_device *dev, struct metal_generic_shm *shm,
				    struct metal_generic_shm *into);

/**
 * Wait until the frame that was presented last is on the screen.
 *
 * @param dev         a display
 * @param timeout_ns  nanoseconds; 0 polls; METAL_SHM_FOREVER
 * @return 0, also when none was presented; -EINVAL not a display; -ETIMEDOUT
 */
int metal_shm_drm_wait(struct metal_device *dev, int64_t timeout_ns);

/** When a frame came to the screen. Set struct_size before the call. */
struct metal_shm_drm_flip {
	uint32_t struct_size;
	uint32_t sequence; /**< the CRTC's frame counter; 0 where a commit set the mode (vkms) */
	uint64_t time_ns;  /**< CLOCK_MONOTONIC; 0 likewise */
	uint64_t count;    /**< frames shown by this device so far */
};

/**
 * The last flip that was seen.
 *
 * @param dev  a display
 * @param ret  struct_size set by the caller, the rest filled; fields beyond its size are left out
 * @return 0; -EINVAL
 */
int metal_shm_drm_last_flip(struct metal_device *dev, struct metal_shm_drm_flip *ret);

/**
 * Turn the CRTC off and give back the frames that it has.
 *
 * Waits for a flip under way. The next present turns it on again. Needed before memory that is on
 * the screen can be reused or goes; closing the device does it too.
 *
 * @param dev  a display
 * @return 0, also when nothing was shown; -EINVAL not a display; -EACCES another program is the
 *         card's master; -ETIMEDOUT a flip or a writeback was not done in 10 seconds; or the
 *         kernel's error
 */
int metal_shm_drm_off(struct metal_device *dev);

/**
 * The framebuffer that the card has for a frame.
 *
 * @param dev     a display
 * @param shm     any handle of a frame attached to @p dev
 * @param ret_fb  receives the object id, valid until the frame is detached
 * @return 0; -EINVAL not a display, or the buffer has no frame; -ENOTCONN never attached
 */
int metal_shm_drm_framebuffer(struct metal_device *dev, struct metal_generic_shm *shm,
			      uint32_t *ret_fb);

/** At most this many values of a CRTC's checksum. */
#define METAL_SHM_DRM_CRC_VALUES 10

/** A checksum that the hardware makes of a displayed frame. Set struct_size before the call. */
struct metal_shm_drm_crc {
	uint32_t struct_size;
	uint32_t frame; /**< the CRTC's frame counter; 0 where the driver has none */
	uint32_t n;     /**< values that follow, at least 1 */
	uint32_t value[METAL_SHM_DRM_CRC_VALUES];
};

/**
 * Read the checksum of what is on the screen, from debugfs.
 *
 * Waits until the last frame presented is shown and the CRTC has scanned it out. What a value means
 * is the driver's; equal pictures have equal values. For tests: debugfs belongs to root.
 *
 * @param dev         a display
 * @param timeout_ns  nanoseconds; METAL_SHM_FOREVER
 * @param ret         struct_size set by the caller, the rest filled; fields beyond its size are left
 *                    out
 * @return 0; -EINVAL; -ENODATA nothing is shown; -ENOTSUP no debugfs, or the driver makes none;
 *         -EACCES not permitted; -EBUSY another program reads them; -ETIMEDOUT
 */
int metal_shm_drm_crc(struct metal_device *dev, int64_t timeout_ns, struct metal_shm_drm_crc *ret);

#ifdef __cplusplus
}
#endif
#endif
