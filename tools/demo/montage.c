/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "font.h"
#include "montage.h"
#include "pixels.h"
#include "reference.h"

#define PAPER  0x14171c
#define STRIP  0x252a32
#define INK    0xf2f4f7
#define FADED  0x98a2b3
#define ACCENT 0xf0b429

struct sheet {
	uint8_t *rgb;
	uint32_t width, height;
};

/* Everything follows from the size of a panel. */
struct layout {
	uint32_t margin, gap, dot, strip;
	uint32_t panel_width, panel_height;
};

static struct layout layout_of(const struct demo_pixels *pixels)
{
	uint32_t dot = pixels->width / 240 ? pixels->width / 240 : 1;

	return (struct layout){
		.margin = 10 * dot,
		.gap = 16 * dot,
		.dot = dot,
		.strip = 20 * dot,
		.panel_width = pixels->width,
		.panel_height = pixels->height,
	};
}

static void put(const struct sheet *sheet, uint32_t x, uint32_t y, uint32_t colour)
{
	uint8_t *pixel;

	if (x >= sheet->width || y >= sheet->height)
		return;
	pixel = sheet->rgb + ((size_t)y * sheet->width + x) * 3;
	pixel[0] = (uint8_t)(colour >> 16);
	pixel[1] = (uint8_t)(colour >> 8);
	pixel[2] = (uint8_t)colour;
}

static void fill(const struct sheet *sheet, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
		 uint32_t colour)
{
	for (uint32_t line = y; line < y + height; line++)
		for (uint32_t at = x; at < x + width; at++)
			put(sheet, at, line, colour);
}

static uint32_t text_width(const char *text, uint32_t dot)
{
	return (uint32_t)strlen(text) * FONT_ADVANCE * dot;
}

static void draw_text(const struct sheet *sheet, uint32_t x, uint32_t y, uint32_t dot,
		      const char *text, uint32_t colour)
{
	for (; *text; text++, x += FONT_ADVANCE * dot)
		for (unsigned row = 0; row < FONT_HEIGHT; row++)
			for (unsigned column = 0; column < FONT_WIDTH; column++)
				if (font_dot(*text, column, row))
					fill(sheet, x + column * dot, y + row * dot, dot, dot,
					     colour);
}

/* A triangle that points to the right. */
static void draw_arrow(const struct sheet *sheet, uint32_t x, uint32_t y, uint32_t size)
{
	for (uint32_t column = 0; column < size; column++)
		fill(sheet, x + column, y + column, 1, 2 * (size - column), ACCENT);
}

static uint32_t colour_at(const struct demo_pixels *pixels, uint32_t x, uint32_t y)
{
	if (pixels->fourcc == DEMO_YUYV)
		return reference_colour(pixels, x, y);
	return pixels_colour(pixels, x, y);
}

static void draw_pixels(const struct sheet *sheet, uint32_t left, uint32_t top,
			const struct demo_pixels *pixels)
{
	for (uint32_t y = 0; y < pixels->height; y++)
		for (uint32_t x = 0; x < pixels->width; x++)
			put(sheet, left + x, top + y, colour_at(pixels, x, y));
}

/* 16 times the logarithm to the base of 2, in straight pieces: a bar for each count that is not 0. */
static uint32_t logarithm(uint32_t number)
{
	uint32_t whole = 0;

	while (number >> (whole + 1))
		whole++;
	return 16 * (whole + 1) + (uint32_t)(((uint64_t)number << 4 >> whole) & 15);
}

static void draw_bars(const struct sheet *sheet, uint32_t left, uint32_t bottom, uint32_t width,
		      uint32_t height, const uint32_t *histogram)
{
	uint32_t most = 1;

	for (unsigned i = 0; i < 256; i++)
		most = histogram[i] > most ? histogram[i] : most;
	for (uint32_t x = 0; x < width; x++) {
		uint32_t n = histogram[(uint64_t)x * 256 / width];
		uint32_t bar = n ? height * logarithm(n) / logarithm(most) : 0;

		fill(sheet, left + x, bottom - bar, 1, bar, ACCENT);
	}
}

static void draw_chart(const struct sheet *sheet, const struct layout *layout, uint32_t left,
		       uint32_t top, const struct montage_chart *chart)
{
	uint32_t inset = 8 * layout->dot, down = (FONT_HEIGHT + 5) * layout->dot;
	uint32_t bottom = top + layout->panel_height, end = top + inset;

	fill(sheet, left, top, layout->panel_width, layout->panel_height, STRIP);
	for (unsigned i = 0; i < MONTAGE_LINES && chart->line[i][0]; i++, end += down)
		draw_text(sheet, left + inset, end, layout->dot, chart->line[i], i ? INK : ACCENT);
	if (end + down < bottom)
		draw_bars(sheet, left, bottom, layout->panel_width, bottom - end - inset,
			  chart->histogram);
}

static void draw_panel(const struct sheet *sheet, const struct layout *layout, uint32_t left,
		       uint32_t top, const struct montage_panel *panel)
{
	uint32_t strip = top + layout->panel_height;
	uint32_t middle = strip + (layout->strip - FONT_HEIGHT * layout->dot) / 2;
	uint32_t detail = text_width(panel->detail, layout->dot);
	uint32_t inset = 5 * layout->dot;

	if (panel->chart.histogram)
		draw_chart(sheet, layout, left, top, &panel->chart);
	else
		draw_pixels(sheet, left, top, &panel->pixels);
	fill(sheet, left, strip, layout->panel_width, layout->strip, STRIP);
	draw_text(sheet, left + inset, middle, layout->dot, panel->title, INK);
	if (text_width(panel->title, layout->dot) + detail + 3 * inset <= layout->panel_width)
		draw_text(sheet, left + layout->panel_width - inset - detail, middle, layout->dot,
			  panel->detail, FADED);
}

static int write_png(const char *path, const struct sheet *sheet)
{
	png_image image = {
		.version = PNG_IMAGE_VERSION,
		.width = sheet->width,
		.height = sheet->height,
		.format = PNG_FORMAT_RGB,
		.flags =
			PNG_IMAGE_FLAG_FAST, /* lines as they are: flat colours are small like that */
	};

	errno = 0;
	if (!png_image_write_to_file(&image, path, 0, sheet->rgb, 0, NULL))
		return metal_shm_set_error(errno ? errno : EIO, "%s: %s", path, image.message);
	return 0;
}

/* Up to three stand in a row, four two by two. */
int montage_write(const char *path, const struct montage_panel panel[], uint32_t count)
{
	struct layout layout = layout_of(&panel[0].pixels);
	uint32_t columns = count > 3 ? 2 : count, rows = (count + columns - 1) / columns;
	uint32_t across = layout.panel_width + layout.gap;
	uint32_t down = layout.panel_height + layout.strip + layout.gap;
	struct sheet sheet = {
		.width = 2 * layout.margin + columns * across - layout.gap,
		.height = 2 * layout.margin + rows * down - layout.gap,
	};
	uint32_t arrow = layout.gap * 3 / 8;
	int error;

	sheet.rgb = calloc(sheet.width, (size_t)sheet.height * 3);
	if (!sheet.rgb)
		return metal_shm_set_error(ENOMEM, "no memory for %s", path);
	fill(&sheet, 0, 0, sheet.width, sheet.height, PAPER);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t left = layout.margin + i % columns * across;
		uint32_t top = layout.margin + i / columns * down;

		draw_panel(&sheet, &layout, left, top, &panel[i]);
		if (i % columns && !panel[i].chart.histogram)
			draw_arrow(&sheet, left - (layout.gap + arrow) / 2,
				   top + layout.panel_height / 2 - arrow, arrow);
	}
	error = write_png(path, &sheet);
	free(sheet.rgb);
	return error;
}
