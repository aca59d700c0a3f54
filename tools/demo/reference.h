/* SPDX-License-Identifier: BSD-3-Clause */
/* filter.cl once more in plain C, to check it against. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdint.h>

#include "demo.h"

/* The colour of a YUYV pixel as 0x00RRGGBB, unfiltered. */
uint32_t reference_colour(const struct demo_pixels *yuyv, uint32_t x, uint32_t y);

/* What the filter makes of the pixel at x, y, as 0x00RRGGBB. */
uint32_t reference_filter(const struct demo_pixels *yuyv, uint32_t x, uint32_t y);

#endif
