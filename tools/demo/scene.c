/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "font.h"
#include "scene.h"

#define BITS 32

struct colour {
	uint8_t y, u, v;
};

/* 75 % bars, BT.601 in its limited range. */
static const struct colour bars[] = {
	{ 180, 128, 128 }, { 162, 44, 142 }, { 131, 156, 44 }, { 112, 72, 58 },
	{ 84, 184, 198 },  { 65, 100, 212 }, { 35, 212, 114 }, { 16, 128, 128 },
};
static const struct colour white = { 235, 128, 128 };
static const struct colour black = { 16, 128, 128 };
static const struct colour amber = { 170, 50, 175 };

struct canvas {
	uint8_t *bytes;
	uint32_t stride, width, height;
};

/* Two pixels share their colour: x and width are taken as even. */
static void fill(const struct canvas *canvas, uint32_t x, uint32_t y, uint32_t width,
		 uint32_t height, struct colour colour)
{
	const uint8_t pair[4] = { colour.y, colour.u, colour.y, colour.v };

	for (uint32_t line = y; line < y + height && line < canvas->height; line++) {
		uint8_t *row = canvas->bytes + (size_t)line * canvas->stride;

		for (uint32_t at = x & ~1u; at < x + width && at + 1 < canvas->width; at += 2)
			memcpy(row + (size_t)at * 2, pair, sizeof(pair));
	}
}

/* The line that the area repeats is drawn once. */
static void repeat_line(const struct canvas *canvas, uint32_t y, uint32_t end)
{
	const uint8_t *first = canvas->bytes + (size_t)y * canvas->stride;

	for (uint32_t line = y + 1; line < end; line++)
		memcpy(canvas->bytes + (size_t)line * canvas->stride, first,
		       (size_t)canvas->width * 2);
}

static void draw_bars(const struct canvas *canvas, uint32_t end, uint32_t sequence)
{
	const uint32_t count = sizeof(bars) / sizeof(bars[0]);
	uint32_t shift = sequence * 4 % canvas->width;

	for (uint32_t x = 0; x < canvas->width; x += 2)
		fill(canvas, x, 0, 2, 1, bars[(x + shift) % canvas->width * count / canvas->width]);
	repeat_line(canvas, 0, end);
}

static void draw_ramp(const struct canvas *canvas, uint32_t y, uint32_t end, uint32_t sequence)
{
	for (uint32_t x = 0; x < canvas->width; x += 2) {
		uint32_t at = (canvas->width + x - sequence * 2 % canvas->width) % canvas->width;
		struct colour colour = {
			.y = (uint8_t)(16 + at * 219 / canvas->width),
			.u = (uint8_t)(160 - at * 64 / canvas->width),
			.v = (uint8_t)(96 + at * 64 / canvas->width),
		};

		fill(canvas, x, y, 2, 1, colour);
	}
	repeat_line(canvas, y, end);
}

static void draw_text(const struct canvas *canvas, uint32_t x, uint32_t y, uint32_t dot,
		      const char *text, struct colour colour)
{
	for (; *text; text++, x += FONT_ADVANCE * dot)
		for (unsigned row = 0; row < FONT_HEIGHT; row++)
			for (unsigned column = 0; column < FONT_WIDTH; column++)
				if (font_dot(*text, column, row))
					fill(canvas, x + column * dot, y + row * dot, dot, dot,
					     colour);
}

/* To and fro between 0 and range. */
static uint32_t bounce(uint32_t steps, uint32_t range)
{
	uint32_t at = range ? steps % (2 * range) : 0;

	return at < range ? at : 2 * range - at;
}

static void draw_box(const struct canvas *canvas, uint32_t room, uint32_t sequence)
{
	uint32_t dot = canvas->width / 160 * 2, border = dot;
	uint32_t width, height, x, y;
	char text[12];

	if (!dot)
		dot = border = 2;
	snprintf(text, sizeof(text), "%04u", (unsigned)(sequence % 10000));
	width = (uint32_t)strlen(text) * FONT_ADVANCE * dot + 3 * dot;
	height = (FONT_HEIGHT + 4) * dot;
	if (width > canvas->width || height > room)
		return;
	x = bounce(sequence * 6, canvas->width - width) & ~1u;
	y = bounce(sequence * 4, room - height);
	fill(canvas, x, y, width, height, white);
	fill(canvas, x + border, y + border, width - 2 * border, height - 2 * border, amber);
	draw_text(canvas, x + 2 * dot, y + 2 * dot, dot, text, black);
}

/* A ball under a lamp: its light falls off from the upper left. */
static void draw_ball(const struct canvas *canvas, uint32_t room, uint32_t sequence)
{
	int radius = (int)room / 5, size = 2 * radius;
	int x = (int)bounce(sequence * 5 + canvas->width / 8, canvas->width - (uint32_t)size);
	int y = (int)bounce(sequence * 7 + room / 6, room - (uint32_t)size);

	for (int row = 0; row < size; row++) {
		for (int column = 0; column + 1 < size; column += 2) {
			int dx = column - radius, dy = row - radius;
			int lx = dx + radius / 3, ly = dy + radius / 3;
			int far = (lx * lx + ly * ly) * 150 / (radius * radius);
			struct colour colour = { (uint8_t)(far < 190 ? 225 - far : 35), 108, 190 };

			if (dx * dx + dy * dy < radius * radius)
				fill(canvas, (uint32_t)(x + column), (uint32_t)(y + row), 2, 1,
				     colour);
		}
	}
}

/* Where the bits stand: two rows of them at the bottom. */
static uint32_t bits_top(uint32_t height, unsigned row)
{
	return height - (2 - row) * (height / 24);
}

static void draw_bits(const struct canvas *canvas, unsigned row, uint32_t bits)
{
	for (uint32_t bit = 0; bit < BITS; bit++) {
		uint32_t x = (bit * canvas->width / BITS) & ~1u;
		uint32_t end = ((bit + 1) * canvas->width / BITS) & ~1u;

		fill(canvas, x, bits_top(canvas->height, row), end - x, 1,
		     bits >> (BITS - 1 - bit) & 1 ? white : black);
	}
	repeat_line(canvas, bits_top(canvas->height, row),
		    row ? canvas->height : bits_top(canvas->height, 1));
}

void scene_draw(uint8_t *bytes, const struct metal_shm_frame *frame, uint32_t sequence,
		uint32_t nonce)
{
	const struct canvas canvas = { bytes, frame->plane[0].stride, frame->width, frame->height };
	uint32_t ramp = frame->height * 3 / 4, end = bits_top(frame->height, 0);

	draw_bars(&canvas, ramp, sequence);
	draw_ramp(&canvas, ramp, end, sequence);
	draw_ball(&canvas, end, sequence);
	draw_box(&canvas, end, sequence);
	draw_bits(&canvas, 0, nonce);
	draw_bits(&canvas, 1, sequence);
}

static uint32_t read_bits(const struct demo_pixels *picture, unsigned row)
{
	uint32_t y = bits_top(picture->height, row) + picture->height / 48, bits = 0;

	for (uint32_t bit = 0; bit < BITS; bit++) {
		uint32_t x = (2 * bit + 1) * picture->width / (2 * BITS);
		const uint8_t *pixel = picture->bytes + (size_t)y * picture->stride + (size_t)x * 4;

		bits = bits << 1 | (pixel[0] + pixel[1] + pixel[2] > 150);
	}
	return bits;
}

void scene_read(const struct demo_pixels *picture, uint32_t *ret_sequence, uint32_t *ret_nonce)
{
	*ret_nonce = read_bits(picture, 0);
	*ret_sequence = read_bits(picture, 1);
}
