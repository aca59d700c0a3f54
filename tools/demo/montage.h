/* SPDX-License-Identifier: BSD-3-Clause */
/* The picture that the demo leaves behind: what is seen at each place, side by side. */
#ifndef MONTAGE_H
#define MONTAGE_H

#include "demo.h"

#define MONTAGE_PANELS 4 /* at most */
#define MONTAGE_LINES  5

/* What stands beside the pictures: some lines of text, and how many pixels have which brightness. */
struct montage_chart {
	const uint32_t *histogram; /* 256; NULL: the panel is a picture */
	char line[MONTAGE_LINES][32];
};

struct montage_panel {
	struct demo_pixels pixels; /* of a chart the size alone */
	struct montage_chart chart;
	const char *title;
	char detail[64];
};

/* Write a PNG of equally large panels. It copies pixels with the CPU: not for a pipeline that runs. */
int montage_write(const char *path, const struct montage_panel panel[], uint32_t count);

#endif
