/* SPDX-License-Identifier: BSD-3-Clause */
/* A display in software: an importer of libshm that shows XR24 frames where nobody looks. */
#ifndef PICTURE_H
#define PICTURE_H

#include <shm/frame.h>

#include "demo.h"

int picture_open(struct metal_device **ret_display);

/*
 * Show a frame. Like a real display it keeps the frame, in place, until the next one is shown. Waits
 * for the work that others still have with it, at most 10 seconds.
 */
int picture_present(struct metal_device *display, struct metal_generic_shm *shm);

/* What is shown, through the display's own mapping: valid until the next present. 0 or -ENODATA. */
int picture_shown(struct metal_device *display, struct demo_pixels *ret_pixels);

/* Show nothing and let the last frame go. */
int picture_off(struct metal_device *display);

#endif
