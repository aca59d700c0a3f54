/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stages do, once more in plain C, to check them against. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdint.h>

#include "demo.h"

/* The picture that ought to be displayed. */
struct reference {
	bool opencl, dsp; /* the stages that the camera's picture goes through */
	struct demo_pixels pixels;
	uint32_t histogram[256]; /* the DSP's */
	uint8_t *bytes;
};

/* The colour of a YUYV pixel as 0x00RRGGBB, unfiltered. */
uint32_t reference_colour(const struct demo_pixels *yuyv, uint32_t x, uint32_t y);

/* What filter.cl makes of the pixel at x, y, as 0x00RRGGBB. */
uint32_t reference_filter(const struct demo_pixels *yuyv, uint32_t x, uint32_t y);

int reference_open(const struct demo_options *options, struct reference *ret_reference);

/* What the stages make of a camera's picture of the size in the options; number: the DSP's signature. */
void reference_make(struct reference *reference, const struct demo_pixels *captured,
		    uint16_t number);

void reference_close(struct reference *reference);

#endif
