/* SPDX-License-Identifier: BSD-3-Clause */
/* DRM's and V4L2's names for the same bytes. */
#include <errno.h>

#include "internal.h"

#define F METAL_SHM_FOURCC

/*
 * DRM reads a pixel as a little-endian word, V4L2 as bytes in memory: XRGB8888 is B, G, R, X in
 * memory, which V4L2 has as XBGR32. split: the same picture with a memory for each plane.
 */
static const struct {
	uint32_t fourcc;
	uint32_t pixelformat;
	uint32_t split;
} formats[] = {
	{ F('X', 'R', '2', '4'), V4L2_PIX_FMT_XBGR32, 0 },
	{ F('A', 'R', '2', '4'), V4L2_PIX_FMT_ABGR32, 0 },
	{ F('X', 'B', '2', '4'), V4L2_PIX_FMT_RGBX32, 0 },
	{ F('A', 'B', '2', '4'), V4L2_PIX_FMT_RGBA32, 0 },
	{ F('R', 'G', '1', '6'), V4L2_PIX_FMT_RGB565, 0 },
	{ F('R', 'G', '2', '4'), V4L2_PIX_FMT_BGR24, 0 },
	{ F('B', 'G', '2', '4'), V4L2_PIX_FMT_RGB24, 0 },
	{ F('R', '8', ' ', ' '), V4L2_PIX_FMT_GREY, 0 },
	{ F('Y', 'U', 'Y', 'V'), V4L2_PIX_FMT_YUYV, 0 },
	{ F('U', 'Y', 'V', 'Y'), V4L2_PIX_FMT_UYVY, 0 },
	{ F('N', 'V', '1', '2'), V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_NV12M },
	{ F('N', 'V', '2', '1'), V4L2_PIX_FMT_NV21, V4L2_PIX_FMT_NV21M },
	{ F('N', 'V', '1', '6'), V4L2_PIX_FMT_NV16, V4L2_PIX_FMT_NV16M },
	{ F('Y', 'U', '1', '2'), V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_YUV420M },
};

#define COUNT (sizeof(formats) / sizeof(formats[0]))

const char *shm__v4l2_fourcc_text(uint32_t fourcc, char text[5])
{
	for (unsigned i = 0; i < 4; i++) {
		char c = (char)(fourcc >> 8 * i & 0x7f);

		text[i] = c < ' ' || c == 0x7f ? '?' : c;
	}
	text[4] = '\0';
	for (unsigned i = 4; i-- > 1 && text[i] == ' ';)
		text[i] = '\0';
	return text;
}

/* V4L2's format of the same picture in several memories; 0 if it has none. */
uint32_t shm__v4l2_split_format(uint32_t fourcc)
{
	for (size_t i = 0; i < COUNT; i++)
		if (formats[i].fourcc == fourcc)
			return formats[i].split;
	return 0;
}

int metal_shm_v4l2_pixelformat(uint32_t fourcc, uint32_t *ret_pixelformat)
{
	char text[5];

	if (!ret_pixelformat)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_pixelformat: NULL");
	for (size_t i = 0; i < COUNT; i++) {
		if (formats[i].fourcc != fourcc)
			continue;
		*ret_pixelformat = formats[i].pixelformat;
		return 0;
	}
	return metal_shm_set_error(ENOTSUP, "V4L2 has no format for %s",
				   shm__v4l2_fourcc_text(fourcc, text));
}

int metal_shm_v4l2_fourcc(uint32_t pixelformat, uint32_t *ret_fourcc)
{
	char text[5];

	if (!ret_fourcc)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_fourcc: NULL");
	for (size_t i = 0; i < COUNT; i++) {
		if (formats[i].pixelformat != pixelformat)
			continue;
		*ret_fourcc = formats[i].fourcc;
		return 0;
	}
	return metal_shm_set_error(ENOTSUP, "no DRM format is known for V4L2's %s",
				   shm__v4l2_fourcc_text(pixelformat, text));
}
