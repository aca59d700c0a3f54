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

/* A byte of the picture, and how many follow it in one place. */
static uint8_t *place_of(const struct dsp_image *image, uint64_t offset, size_t *ret_run)
{
	const struct dsp_piece *piece = image->pieces;

	*ret_run = SIZE_MAX;
	if (image->pixels)
		return image->pixels + offset;
	for (; offset >= piece->size; piece++)
		offset -= piece->size;
	*ret_run = piece->size - (size_t)offset;
	return piece->bytes + offset;
}

static uint8_t *line_of(const struct dsp_image *image, uint32_t y, bool *ret_whole)
{
	size_t run;
	uint8_t *line = place_of(image, (uint64_t)y * image->stride, &run);

	*ret_whole = run >= (size_t)image->width * image->bytes;
	return line;
}

static void read_line(const struct dsp_image *image, uint32_t y, uint8_t *to)
{
	size_t left = (size_t)image->width * image->bytes, run;

	for (uint64_t at = (uint64_t)y * image->stride; left; at += run, to += run, left -= run) {
		const uint8_t *from = place_of(image, at, &run);

		run = run < left ? run : left;
		memcpy(to, from, run);
	}
}

static void write_line(const struct dsp_image *image, uint32_t y, const uint8_t *from)
{
	size_t left = (size_t)image->width * image->bytes, run;

	for (uint64_t at = (uint64_t)y * image->stride; left; at += run, from += run, left -= run) {
		uint8_t *to = place_of(image, at, &run);

		run = run < left ? run : left;
		memcpy(to, from, run);
	}
}

/* Of three lines, as they were, there are copies; a line that lies in several places is made in a fourth. */
void dsp_filter(const struct dsp_image *image, uint8_t lines[DSP_LINES][DSP_LINE_SIZE])
{
	size_t size = (size_t)image->width * image->bytes;

	read_line(image, 0, lines[0]);
	for (uint32_t y = 0; y < image->height; y++) {
		uint8_t *above = lines[(y + 2) % 3], *here = lines[y % 3],
			*below = lines[(y + 1) % 3];
		const uint8_t *from[3] = { y ? above : here, here, below };
		bool whole;
		uint8_t *line = line_of(image, y, &whole);

		if (y + 1 < image->height)
			read_line(image, y + 1, below);
		else
			from[2] = here;
		if (whole) {
			filter_line(image, from, line);
			continue;
		}
		memcpy(lines[3], here, size);
		filter_line(image, from, lines[3]);
		write_line(image, y, lines[3]);
	}
}

static uint8_t brightness(const uint8_t *pixel, uint32_t bytes)
{
	if (bytes == 1)
		return pixel[0];
	return (uint8_t)((29u * pixel[0] + 150u * pixel[1] + 77u * pixel[2]) >> 8);
}

void dsp_count(const struct dsp_image *image, uint8_t lines[DSP_LINES][DSP_LINE_SIZE],
	       uint32_t histogram[256])
{
	memset(histogram, 0, 256 * sizeof(histogram[0]));
	for (uint32_t y = 0; y < image->height; y++) {
		bool whole;
		const uint8_t *line = line_of(image, y, &whole);

		if (!whole) {
			read_line(image, y, lines[0]);
			line = lines[0];
		}
		for (uint32_t x = 0; x < image->width; x++)
			histogram[brightness(line + (size_t)x * image->bytes, image->bytes)]++;
	}
}

/* A byte of the corner's pixel at x, y. */
static uint8_t *corner(const struct dsp_image *image, uint32_t x, uint32_t y, uint32_t byte)
{
	uint64_t offset = (uint64_t)(image->height - DSP_SIGN_HEIGHT + y) * image->stride;
	size_t run;

	offset += (uint64_t)(image->width - DSP_SIGN_WIDTH + x) * image->bytes + byte;
	return place_of(image, offset, &run);
}

static uint32_t cell_of(uint32_t x, uint32_t y)
{
	return y / CELL * (DSP_SIGN_WIDTH / CELL) + x / CELL;
}

void dsp_sign(const struct dsp_image *image, uint16_t number)
{
	uint32_t word = number | DSP_SIGN_MARK << 16, colours = image->bytes == 4 ? 3 : 1;

	for (uint32_t y = 0; y < DSP_SIGN_HEIGHT; y++)
		for (uint32_t x = 0; x < DSP_SIGN_WIDTH; x++)
			for (uint32_t i = 0; i < colours; i++)
				*corner(image, x, y, i) = word >> cell_of(x, y) & 1 ? 0xff : 0;
}

static uint8_t corner_brightness(const struct dsp_image *image, uint32_t x, uint32_t y)
{
	uint8_t pixel[4] = { 0 };

	for (uint32_t i = 0; i < image->bytes; i++)
		pixel[i] = *corner(image, x, y, i);
	return brightness(pixel, image->bytes);
}

bool dsp_signed(const struct dsp_image *image, uint16_t *ret_number)
{
	uint32_t word = 0;

	/* by the middle of each cell */
	for (uint32_t y = CELL / 2; y < DSP_SIGN_HEIGHT; y += CELL)
		for (uint32_t x = CELL / 2; x < DSP_SIGN_WIDTH; x += CELL)
			if (corner_brightness(image, x, y) >= 128)
				word |= UINT32_C(1) << cell_of(x, y);
	*ret_number = (uint16_t)word;
	return word >> 16 == DSP_SIGN_MARK;
}
