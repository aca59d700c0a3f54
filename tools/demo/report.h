/* SPDX-License-Identifier: BSD-3-Clause */
/* What the pipeline did, for people and for programs. */
#ifndef REPORT_H
#define REPORT_H

#include "pipeline.h"

/* A line for each stage on stdout: frames, frames/s, bytes copied, which memory and why. */
void report_print(struct pipeline *pipeline);

/* The same figures, and some more, as JSON. */
int report_json(struct pipeline *pipeline, const char *path);

#endif
