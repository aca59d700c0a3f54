/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PIXELS_H
#define PIXELS_H

#include "demo.h"

/*
 * A frame's bytes, in place, for the CPU to read, once nobody writes them any more: 0, -ETIMEDOUT, or
 * what sync_for_cpu and map answer. For checks and the picture at the end; no stage needs it.
 */
int pixels_read(struct metal_generic_shm *shm, int64_t timeout_ns, struct demo_pixels *ret_pixels);

#endif
