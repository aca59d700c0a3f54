/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

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
