/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "dsp_image.h"
#include "reference.h"

static int luma(const struct demo_pixels *yuyv, uint32_t x, uint32_t y)
{
	return yuyv->bytes[(size_t)y * yuyv->stride + (size_t)x * 2];
}

static uint32_t channel(int value)
{
	if (value < 0)
		return 0;
	return value > 65535 ? 255 : (uint32_t)value / 256;
}

uint32_t reference_colour(const struct demo_pixels *yuyv, uint32_t x, uint32_t y)
{
	const uint8_t *pair = yuyv->bytes + (size_t)y * yuyv->stride + (size_t)(x / 2) * 4;
	int light = 298 * (luma(yuyv, x, y) - 16) + 128;
	int u = pair[1] - 128, v = pair[3] - 128;

	return channel(light + 409 * v) << 16 | channel(light - 100 * u - 208 * v) << 8 |
	       channel(light + 516 * u);
}

static uint32_t lit(uint32_t colour, uint32_t outline)
{
	uint32_t light = colour / 64 * 48 + outline;

	return light > 255 ? 255 : light;
}

uint32_t reference_filter(const struct demo_pixels *yuyv, uint32_t x, uint32_t y)
{
	uint32_t left = x ? x - 1 : 0, right = x + 1 < yuyv->width ? x + 1 : x;
	uint32_t above = y ? y - 1 : 0, below = y + 1 < yuyv->height ? y + 1 : y;
	uint32_t colour = reference_colour(yuyv, x, y);
	int outline = 2 * (abs(luma(yuyv, right, y) - luma(yuyv, left, y)) +
			   abs(luma(yuyv, x, below) - luma(yuyv, x, above)));

	if (outline > 255)
		outline = 255;
	if (outline <= 24)
		outline = 0;
	return lit(colour >> 16, (uint32_t)outline) << 16 |
	       lit(colour >> 8 & 0xff, (uint32_t)outline) << 8 |
	       lit(colour & 0xff, (uint32_t)outline);
}

int reference_open(const struct demo_options *options, struct reference *ret_reference)
{
	struct reference reference = {
		.opencl = options->opencl,
		.dsp = options->dsp,
		.pixels = {
			.stride = options->width * 4,
			.width = options->width,
			.height = options->height,
			.fourcc = DEMO_XR24,
		},
	};

	reference.bytes = calloc(options->height, reference.pixels.stride);
	if (!reference.bytes)
		return metal_shm_set_error(ENOMEM, "no memory for a picture to compare with");
	reference.pixels.bytes = reference.bytes;
	*ret_reference = reference;
	return 0;
}

static void filter_line(const struct demo_pixels *yuyv, uint32_t y, uint8_t *to)
{
	for (uint32_t x = 0; x < yuyv->width; x++, to += 4) {
		uint32_t colour = reference_filter(yuyv, x, y);

		to[0] = (uint8_t)colour;
		to[1] = (uint8_t)(colour >> 8);
		to[2] = (uint8_t)(colour >> 16);
	}
}

/* The DSP's own code: what is checked is that the firmware ran it on these bytes, and on all of them. */
static void work(struct reference *reference, uint16_t number)
{
	static uint8_t lines[DSP_LINES][DSP_LINE_SIZE];
	const struct dsp_image image = {
		.pixels = reference->bytes,
		.width = reference->pixels.width,
		.height = reference->pixels.height,
		.stride = reference->pixels.stride,
		.bytes = 4,
	};

	dsp_filter(&image, lines);
	dsp_count(&image, lines, reference->histogram);
	dsp_sign(&image, number);
}

void reference_make(struct reference *reference, const struct demo_pixels *captured,
		    uint16_t number)
{
	size_t line = reference->pixels.stride;

	for (uint32_t y = 0; y < captured->height; y++) {
		uint8_t *to = reference->bytes + y * line;

		if (reference->opencl)
			filter_line(captured, y, to);
		else
			memcpy(to, captured->bytes + (size_t)y * captured->stride, line);
	}
	if (reference->dsp)
		work(reference, number);
}

void reference_close(struct reference *reference)
{
	free(reference->bytes);
	*reference = (struct reference){ .bytes = NULL };
}
