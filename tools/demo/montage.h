/* SPDX-License-Identifier: BSD-3-Clause */
/* The picture that the demo leaves behind: camera, filter and display side by side. */
#ifndef MONTAGE_H
#define MONTAGE_H

#include "demo.h"

#define MONTAGE_PANELS 3

struct montage_panel {
	struct demo_pixels pixels;
	uint32_t fourcc; /* DEMO_YUYV or DEMO_XR24 */
	const char *title;
	char detail[64];
};

/* Write a PNG of equally large panels. It copies pixels with the CPU: not for a pipeline that runs. */
int montage_write(const char *path, const struct montage_panel panel[MONTAGE_PANELS]);

#endif
