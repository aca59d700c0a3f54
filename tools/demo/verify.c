/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pixels.h"
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
static uint64_t content_of(const struct demo_pixels *captured)
{
	size_t size = (size_t)captured->width * pixels_size(captured->fourcc);
	uint64_t hash = UINT64_C(0xcbf29ce484222325), word;

	for (uint32_t y = 0; y < captured->height; y++) {
		const uint8_t *line = captured->bytes + (size_t)y * captured->stride;

		for (size_t at = 0; at + sizeof(word) <= size; at += sizeof(word)) {
			memcpy(&word, line + at, sizeof(word));
			hash = (hash ^ word) * UINT64_C(0x100000001b3);
			hash ^= hash >> 32;
		}
	}
	return hash;
}

static bool same_picture(struct verify *verify, const struct demo_frame_info *info,
			 const struct demo_pixels *captured, const struct demo_pixels *displayed,
			 uint16_t number)
{
	if (displayed->width != captured->width || displayed->height != captured->height)
		return wrong(verify, info, "%ux%u was captured and %ux%u displayed",
			     captured->width, captured->height, displayed->width,
			     displayed->height);
	reference_make(&verify->reference, captured, number);
	for (uint32_t y = 0; y < captured->height; y++) {
		for (uint32_t x = 0; x < captured->width; x++) {
			uint32_t want = pixels_colour(&verify->reference.pixels, x, y);
			uint32_t have = pixels_colour(displayed, x, y);

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

int verify_open(const struct demo_options *options, struct verify *ret_verify)
{
	struct verify verify = { .has_nonce = options->has_nonce, .nonce = options->nonce };
	int error = reference_open(options, &verify.reference);

	if (!error)
		*ret_verify = verify;
	return error;
}

bool verify_frame(struct verify *verify, const struct demo_frame_info *info,
		  const struct demo_pixels *captured, const struct demo_pixels *displayed,
		  uint16_t number)
{
	uint64_t content = content_of(captured);

	if (verify->frames && (int32_t)(info->sequence - verify->sequence) <= 0)
		return wrong(verify, info, "it follows sequence %u", verify->sequence);
	if (verify->frames && content == verify->content)
		return wrong(verify, info, "the camera's picture is that of sequence %u",
			     verify->sequence);
	if (!same_picture(verify, info, captured, displayed, number))
		return false;
	if (verify->has_nonce && !same_numbers(verify, info, displayed))
		return false;
	verify->content = content;
	verify->sequence = info->sequence;
	verify->number = number;
	verify->frames++;
	return true;
}

bool verify_counters(struct verify *verify, const struct dsp_control *control, uint32_t given)
{
	const struct reference *reference = &verify->reference;

	if (control->frames != given || control->refused)
		snprintf(verify->wrong, sizeof(verify->wrong),
			 "the DSP counts %u frames and %u refused, where it was given %u",
			 control->frames, control->refused, given);
	else if (verify->frames && verify->number == (uint16_t)given &&
		 memcmp(control->histogram, reference->histogram, sizeof(reference->histogram)) !=
			 0)
		snprintf(verify->wrong, sizeof(verify->wrong),
			 "the DSP's histogram is not that of frame %u", given);
	else
		return true;
	return false;
}

bool verify_signature(struct verify *verify, const struct demo_frame_info *info,
		      const struct demo_pixels *shown, uint16_t number)
{
	const struct dsp_image image = {
		.pixels = (uint8_t *)(uintptr_t)shown->bytes,
		.width = shown->width,
		.height = shown->height,
		.stride = shown->stride,
		.bytes = 4,
	};
	uint16_t found = 0;

	if (!dsp_signed(&image, &found))
		return wrong(verify, info, "nothing shows that the DSP has done it");
	return found == number ||
	       wrong(verify, info, "the DSP signed it as %u, not %u", found, number);
}

void verify_close(struct verify *verify)
{
	reference_close(&verify->reference);
}
