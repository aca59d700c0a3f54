/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PIXELS_H
#define PIXELS_H

#include "demo.h"

/*
 * A frame's bytes, in place, for the CPU to read, once nobody writes them any more: 0, -ETIMEDOUT, or
 * what sync_for_cpu and map answer. For checks and the picture at the end; no stage needs it.
 */
int pixels_read(struct metal_generic_shm *shm, int64_t timeout_ns, struct demo_pixels *ret_pixels);

/* The same, copied, so that it outlives what becomes of the frame, until pixels_drop(). */
int pixels_keep(struct metal_generic_shm *shm, int64_t timeout_ns, struct demo_pixels *ret_pixels);
void pixels_drop(struct demo_pixels *pixels);

/* Bytes of a pixel. */
uint32_t pixels_size(uint32_t fourcc);

/* 0x00RRGGBB: the fourth byte of XR24 means nothing, and a display need not keep it. */
uint32_t pixels_colour(const struct demo_pixels *xr24, uint32_t x, uint32_t y);

#endif
