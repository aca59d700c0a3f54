/* SPDX-License-Identifier: BSD-3-Clause */
/* Pixel formats: how they lie in memory. The codes are those of DRM's drm_fourcc.h. */
#include <stdio.h>

#include "core.h"

#define F METAL_SHM_FOURCC
#define ONE(code, size)                                                                    \
	{                                                                                  \
		.fourcc = code, .plane_count = 1, .bytes = { size }, .block_width = { 1 }, \
		.block_height = {                                                          \
			1                                                                  \
		}                                                                          \
	}

static const struct metal_shm_format formats[] = {
	ONE(F('X', 'R', '2', '4'), 4),
	ONE(F('A', 'R', '2', '4'), 4),
	ONE(F('X', 'B', '2', '4'), 4),
	ONE(F('A', 'B', '2', '4'), 4),
	ONE(F('R', 'G', '1', '6'), 2),
	ONE(F('R', 'G', '2', '4'), 3),
	ONE(F('B', 'G', '2', '4'), 3),
	ONE(F('R', '8', ' ', ' '), 1),
	{ .fourcc = F('Y', 'U', 'Y', 'V'),
	  .plane_count = 1,
	  .bytes = { 4 },
	  .block_width = { 2 },
	  .block_height = { 1 } },
	{ .fourcc = F('U', 'Y', 'V', 'Y'),
	  .plane_count = 1,
	  .bytes = { 4 },
	  .block_width = { 2 },
	  .block_height = { 1 } },
	{ .fourcc = F('N', 'V', '1', '2'),
	  .plane_count = 2,
	  .bytes = { 1, 2 },
	  .block_width = { 1, 2 },
	  .block_height = { 1, 2 } },
	{ .fourcc = F('N', 'V', '2', '1'),
	  .plane_count = 2,
	  .bytes = { 1, 2 },
	  .block_width = { 1, 2 },
	  .block_height = { 1, 2 } },
	{ .fourcc = F('N', 'V', '1', '6'),
	  .plane_count = 2,
	  .bytes = { 1, 2 },
	  .block_width = { 1, 2 },
	  .block_height = { 1, 1 } },
	{ .fourcc = F('Y', 'U', '1', '2'),
	  .plane_count = 3,
	  .bytes = { 1, 1, 1 },
	  .block_width = { 1, 2, 2 },
	  .block_height = { 1, 2, 2 } },
};

const char *shm__fourcc(uint32_t fourcc, char text[static 12])
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t c = fourcc >> (8 * i) & 0xff;

		if (c < ' ' || c > '~') {
			snprintf(text, 12, "0x%08x", fourcc);
			return text;
		}
		text[i] = (char)c;
	}
	text[4] = '\0';
	return text;
}

int metal_shm_format_of(uint32_t fourcc, struct metal_shm_format *ret_format)
{
	char text[12];

	if (!ret_format)
		return shm__error(EINVAL, "metal_shm_format_of: NULL");
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].fourcc != fourcc)
			continue;
		*ret_format = formats[i];
		return 0;
	}
	return shm__error(ENOTSUP, "unknown pixel format %s", shm__fourcc(fourcc, text));
}
