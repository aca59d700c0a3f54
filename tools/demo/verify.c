/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reference.h"
#include "scene.h"
#include "verify.h"

static bool __attribute__((format(printf, 3, 4)))
wrong(struct verify *verify, const struct demo_frame_info *info, const char *format, ...)
{
	int n = snprintf(verify->wrong, sizeof(verify->wrong),
			 "frame %u (sequence %u): ", verify->frames + 1, info->sequence);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verify->wrong + n, sizeof(verify->wrong) - (size_t)n, format, arguments);
	va_end(arguments);
	return false;
}

/* FNV-1a, a word at a time: it only has to tell one picture from the next. */
static uint64_t content_of(const struct demo_pixels *yuyv)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325), word;

	for (uint32_t y = 0; y < yuyv->height; y++) {
		const uint8_t *line = yuyv->bytes + (size_t)y * yuyv->stride;

		for (size_t at = 0; at + sizeof(word) <= (size_t)yuyv->width * 2;
		     at += sizeof(word)) {
			memcpy(&word, line + at, sizeof(word));
			hash = (hash ^ word) * UINT64_C(0x100000001b3);
			hash ^= hash >> 32;
		}
	}
	return hash;
}

/* The fourth byte of XR24 means nothing, and a display need not keep it. */
static uint32_t displayed_colour(const struct demo_pixels *xr24, uint32_t x, uint32_t y)
{
	const uint8_t *pixel = xr24->bytes + (size_t)y * xr24->stride + (size_t)x * 4;

	return (uint32_t)pixel[2] << 16 | (uint32_t)pixel[1] << 8 | pixel[0];
}

static bool same_picture(struct verify *verify, const struct demo_frame_info *info,
			 const struct demo_pixels *captured, const struct demo_pixels *displayed)
{
	if (displayed->width != captured->width || displayed->height != captured->height)
		return wrong(verify, info, "%ux%u was captured and %ux%u displayed",
			     captured->width, captured->height, displayed->width,
			     displayed->height);
	for (uint32_t y = 0; y < captured->height; y++) {
		for (uint32_t x = 0; x < captured->width; x++) {
			uint32_t want = reference_filter(captured, x, y);
			uint32_t have = displayed_colour(displayed, x, y);

			if (want != have)
				return wrong(verify, info,
					     "the display shows %06x at %u,%u where the reference "
					     "has %06x",
					     have, x, y, want);
		}
	}
	return true;
}

static bool same_numbers(struct verify *verify, const struct demo_frame_info *info,
			 const struct demo_pixels *displayed)
{
	uint32_t sequence, nonce;

	scene_read(displayed, &sequence, &nonce);
	if (nonce != verify->nonce)
		return wrong(verify, info, "the nonce %08x is displayed as %08x", verify->nonce,
			     nonce);
	if (sequence != info->sequence)
		return wrong(verify, info, "the picture of sequence %u is displayed", sequence);
	return true;
}

bool verify_frame(struct verify *verify, const struct demo_frame_info *info,
		  const struct demo_pixels *captured, const struct demo_pixels *displayed)
{
	uint64_t content = content_of(captured);

	if (verify->frames && (int32_t)(info->sequence - verify->sequence) <= 0)
		return wrong(verify, info, "it follows sequence %u", verify->sequence);
	if (verify->frames && content == verify->content)
		return wrong(verify, info, "the camera's picture is that of sequence %u",
			     verify->sequence);
	if (!same_picture(verify, info, captured, displayed))
		return false;
	if (verify->has_nonce && !same_numbers(verify, info, displayed))
		return false;
	verify->content = content;
	verify->sequence = info->sequence;
	verify->frames++;
	return true;
}
