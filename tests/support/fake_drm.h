/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake_drm.h
 * A DRM driver in the program itself, for what no real driver does on demand.
 *
 * It answers the ioctl() calls on one descriptor, from which flip events are read. It has a CRTC, a
 * connector, a writeback connector, a primary and an overlay plane, checks commits as the kernel
 * does, and counts what it was given. Its dumb buffers are memfds. There is one of it.
 */
#ifndef FAKE_DRM_H
#define FAKE_DRM_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/drm.h>
#include <shm/frame.h>

#define FAKE_DRM_CRTC      10u
#define FAKE_DRM_CONNECTOR 20u
#define FAKE_DRM_WRITEBACK 21u
#define FAKE_DRM_PRIMARY   30u
#define FAKE_DRM_OVERLAY   31u

/** Its properties, whose ids are these numbers. */
enum fake_drm_property {
	FAKE_ACTIVE = 1,
	FAKE_MODE_ID,
	FAKE_OUT_FENCE_PTR,
	FAKE_CRTC_ID,
	FAKE_WRITEBACK_FB_ID,
	FAKE_WRITEBACK_OUT_FENCE_PTR,
	FAKE_WRITEBACK_PIXEL_FORMATS,
	FAKE_FB_ID,
	FAKE_IN_FENCE_FD,
	FAKE_SRC_X,
	FAKE_SRC_Y,
	FAKE_SRC_W,
	FAKE_SRC_H,
	FAKE_CRTC_X,
	FAKE_CRTC_Y,
	FAKE_CRTC_W,
	FAKE_CRTC_H,
	FAKE_IN_FORMATS,
	FAKE_TYPE,
	FAKE_PROPERTIES,
};

/** What the driver is like; fake_drm_new() makes it ordinary. */
struct fake_drm {
	const char *driver;     /**< its name */
	bool display;           /**< it has one */
	bool atomic;            /**< and commits to it atomically */
	bool import;            /**< DMA-BUFs */
	bool dumb;              /**< gives memory */
	bool modifiers;         /**< the plane lists them */
	bool connected;         /**< a monitor is there */
	bool virtual_connector; /**< that takes any mode */
	bool writeback;         /**< there is such a connector */
	bool clones;            /**< it goes beside the other one */
	bool covers;            /**< the plane must cover the CRTC */
	bool fences;            /**< there are fence properties */
	bool master;            /**< the descriptor is the card's master */
	bool may_be_master;     /**< or can become it */
	bool refuses_commits;   /**< real ones, after all tests */
	bool busy_modeset;      /**< setting a mode must be waited for */
	bool flips;             /**< by itself; else by fake_drm_flip() */
	bool written;           /**< writebacks are done at once; else by fake_drm_written() */
	bool gone;              /**< every call fails with ENODEV */
	uint32_t alignment;     /**< of strides */

	unsigned long fail; /**< request that fails next */
	int error;          /**< with this errno */
	int fail_nth;       /**< > 0: counts down with each call, at 0 that call fails */

	/* read by tests */
	unsigned calls;         /**< ioctl() calls */
	unsigned commits;       /**< real ones */
	unsigned tests;         /**< those that were only to be checked */
	unsigned removed_shown; /**< framebuffers removed while they were on the screen */
	unsigned handles, framebuffers, blobs;
	uint64_t value[64][FAKE_PROPERTIES]; /**< by object id */
};

/** The driver, ordinary again: XR24, AR24 and RG16, 1024x768 (preferred), 640x480, 1920x1080. */
struct fake_drm *fake_drm_new(void);

/** Its descriptor, a new one for the next device. */
int fake_drm_fd(void);

/** Open a display on it. 0 or -errno. */
int fake_drm_open(struct metal_device **ret_dev);

/** The same with choices. */
int fake_drm_open_options(const struct metal_shm_drm_options *options,
			  struct metal_device **ret_dev);

/** End it: the case fails if handles, framebuffers, blobs or events are left. */
void fake_drm_end(void);

/** Show what was committed last. False when nothing waits. */
bool fake_drm_flip(void);

/** Finish the writeback under way, with a negative errno or 0. */
void fake_drm_written(int status);

/** A framebuffer of another program, which it shows, with an overlay. */
void fake_drm_show_other(void);

/** That program removes its framebuffer, which stays on the screen. */
void fake_drm_remove_other(void);

/** Take the frame off the screen, as the kernel does when its framebuffer is removed. */
void fake_drm_take_off(void);

/** End it without a look at what is left. */
void fake_drm_forget(void);

/** An event that is no answer to any commit of the library's. */
void fake_drm_send_foreign(void);

/** Make what the library keeps for a thread that waits: a descriptor, counted as no case's. */
void fake_drm_warm_up(void);

/** The mode that the CRTC is set to: its width, 0 for none. */
uint32_t fake_drm_mode_width(void);

#endif
