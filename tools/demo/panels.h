/* SPDX-License-Identifier: BSD-3-Clause */
/* The last frame at the places that it came through, as a PNG. */
#ifndef PANELS_H
#define PANELS_H

#include "pipeline.h"

/* The pipeline has stopped: what is copied now counts nowhere. */
int panels_write(struct pipeline *pipeline, const char *path);

#endif
