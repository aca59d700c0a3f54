/* SPDX-License-Identifier: BSD-3-Clause */
/* What the software camera sees: colour bars that wander, a ball and a box that bounce, two numbers in bits. */
#ifndef SCENE_H
#define SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/frame.h>

#include "demo.h"

/* The bits are legible from here on. */
#define SCENE_LEAST_WIDTH  128
#define SCENE_LEAST_HEIGHT 96

/* Draw YUYV; bytes is the start of the plane. */
void scene_draw(uint8_t *bytes, const struct metal_shm_frame *frame, uint32_t sequence,
		uint32_t nonce);

/* Read both numbers from an XR24 picture that shows the scene, filtered or not. */
void scene_read(const struct demo_pixels *picture, uint32_t *ret_sequence, uint32_t *ret_nonce);

#endif
