/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "dsp_image.h"

#define CELL 4u

/* By rows; light comes from the lower right. */
static const int8_t kernel[9] = { -2, -1, 0, -1, 1, 1, 0, 1, 2 };

bool dsp_fits(const struct dsp_image *image, uint64_t size)
{
	uint64_t line;

	if ((image->bytes != 1 && image->bytes != 4) || image->width < DSP_SIGN_WIDTH ||
	    image->width > DSP_WIDTH_MAX || image->height < DSP_SIGN_HEIGHT)
		return false;
	line = (uint64_t)image->width * image->bytes;
	return image->stride >= line &&
	       (uint64_t)image->stride * (image->height - 1) + line <= size;
}

static uint8_t clamp(int value)
{
	return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* One line, of the three as they were. */
static void filter_line(const struct dsp_image *image, const uint8_t *const from[3], uint8_t *to)
{
	size_t step = image->bytes, colours = step == 4 ? 3 : 1;

	for (size_t x = 0; x < image->width; x++) {
		size_t left = (x ? x - 1 : x) * step, here = x * step;
		size_t right = (x + 1 < image->width ? x + 1 : x) * step;

		for (size_t i = 0; i < colours; i++) {
			int sum = 0;

			for (size_t row = 0; row < 3; row++)
				sum += kernel[3 * row] * from[row][left + i] +
				       kernel[3 * row + 1] * from[row][here + i] +
				       kernel[3 * row + 2] * from[row][right + i];
			to[here + i] = clamp(sum);
		}
	}
}

/* The line below is still as it was; of this one and that above copies are kept. */
void dsp_filter(const struct dsp_image *image, uint8_t lines[2][DSP_LINE_SIZE])
{
	size_t size = (size_t)image->width * image->bytes;

	memcpy(lines[1], image->pixels, size);
	for (uint32_t y = 0; y < image->height; y++) {
		uint8_t *line = image->pixels + (size_t)y * image->stride;
		uint8_t *above = lines[(y + 1) & 1], *here = lines[y & 1];
		const uint8_t *from[3] = { above, here, line + image->stride };

		memcpy(here, line, size);
		if (y + 1 == image->height)
			from[2] = here;
		filter_line(image, from, line);
	}
}

static uint8_t brightness(const uint8_t *pixel, uint32_t bytes)
{
	if (bytes == 1)
		return pixel[0];
	return (uint8_t)((29u * pixel[0] + 150u * pixel[1] + 77u * pixel[2]) >> 8);
}

void dsp_count(const struct dsp_image *image, uint32_t histogram[256])
{
	memset(histogram, 0, 256 * sizeof(histogram[0]));
	for (uint32_t y = 0; y < image->height; y++) {
		const uint8_t *line = image->pixels + (size_t)y * image->stride;

		for (uint32_t x = 0; x < image->width; x++)
			histogram[brightness(line + (size_t)x * image->bytes, image->bytes)]++;
	}
}

static uint8_t *corner(const struct dsp_image *image, uint32_t x, uint32_t y)
{
	return image->pixels + (size_t)(image->height - DSP_SIGN_HEIGHT + y) * image->stride +
	       (size_t)(image->width - DSP_SIGN_WIDTH + x) * image->bytes;
}

static uint32_t cell_of(uint32_t x, uint32_t y)
{
	return y / CELL * (DSP_SIGN_WIDTH / CELL) + x / CELL;
}

void dsp_sign(const struct dsp_image *image, uint16_t number)
{
	uint32_t word = number | DSP_SIGN_MARK << 16;

	for (uint32_t y = 0; y < DSP_SIGN_HEIGHT; y++)
		for (uint32_t x = 0; x < DSP_SIGN_WIDTH; x++)
			memset(corner(image, x, y), word >> cell_of(x, y) & 1 ? 0xff : 0,
			       image->bytes == 4 ? 3 : 1);
}

bool dsp_signed(const struct dsp_image *image, uint16_t *ret_number)
{
	uint32_t word = 0;

	/* by the middle of each cell */
	for (uint32_t y = CELL / 2; y < DSP_SIGN_HEIGHT; y += CELL)
		for (uint32_t x = CELL / 2; x < DSP_SIGN_WIDTH; x += CELL)
			if (brightness(corner(image, x, y), image->bytes) >= 128)
				word |= UINT32_C(1) << cell_of(x, y);
	*ret_number = (uint16_t)word;
	return word >> 16 == DSP_SIGN_MARK;
}
