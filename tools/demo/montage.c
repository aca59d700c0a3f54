/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include <shm/device.h>

#include "font.h"
#include "montage.h"
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

static uint32_t colour_at(const struct montage_panel *panel, uint32_t x, uint32_t y)
{
	const struct demo_pixels *pixels = &panel->pixels;
	const uint8_t *pixel = pixels->bytes + (size_t)y * pixels->stride + (size_t)x * 4;

	if (panel->fourcc == DEMO_YUYV)
		return reference_colour(pixels, x, y);
	return (uint32_t)pixel[2] << 16 | (uint32_t)pixel[1] << 8 | pixel[0];
}

static void draw_panel(const struct sheet *sheet, const struct layout *layout, uint32_t left,
		       const struct montage_panel *panel)
{
	uint32_t top = layout->margin, strip = top + layout->panel_height;
	uint32_t middle = strip + (layout->strip - FONT_HEIGHT * layout->dot) / 2;
	uint32_t detail = text_width(panel->detail, layout->dot);
	uint32_t inset = 5 * layout->dot;

	for (uint32_t y = 0; y < layout->panel_height; y++)
		for (uint32_t x = 0; x < layout->panel_width; x++)
			put(sheet, left + x, top + y, colour_at(panel, x, y));
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
	};

	errno = 0;
	if (!png_image_write_to_file(&image, path, 0, sheet->rgb, 0, NULL))
		return metal_shm_set_error(errno ? errno : EIO, "%s: %s", path, image.message);
	return 0;
}

int montage_write(const char *path, const struct montage_panel panel[MONTAGE_PANELS])
{
	struct layout layout = layout_of(&panel[0].pixels);
	struct sheet sheet = {
		.width = 2 * layout.margin + MONTAGE_PANELS * layout.panel_width +
			 (MONTAGE_PANELS - 1) * layout.gap,
		.height = 2 * layout.margin + layout.panel_height + layout.strip,
	};
	uint32_t arrow = layout.gap * 3 / 8;
	int error;

	sheet.rgb = calloc(sheet.width, (size_t)sheet.height * 3);
	if (!sheet.rgb)
		return metal_shm_set_error(ENOMEM, "no memory for %s", path);
	fill(&sheet, 0, 0, sheet.width, sheet.height, PAPER);
	for (uint32_t i = 0; i < MONTAGE_PANELS; i++) {
		uint32_t left = layout.margin + i * (layout.panel_width + layout.gap);

		draw_panel(&sheet, &layout, left, &panel[i]);
		if (i)
			draw_arrow(&sheet, left - (layout.gap + arrow) / 2,
				   layout.margin + layout.panel_height / 2 - arrow, arrow);
	}
	error = write_png(path, &sheet);
	free(sheet.rgb);
	return error;
}
