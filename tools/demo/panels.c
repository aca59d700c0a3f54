/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <shm/device.h>

#include "montage.h"
#include "panels.h"
#include "pixels.h"

#define SEEN_NS INT64_C(10000000000)

/* Where the camera's frame was worked on in place there is only what was kept of it, if anything. */
static int add_camera(struct pipeline *p, struct montage_panel panel[], uint32_t *count)
{
	struct montage_panel camera = { .title = "Camera" };
	int error = 0;

	if (p->last.before.bytes)
		camera.pixels = p->last.before;
	else if (p->options->opencl)
		error = pixels_read(p->last.in, SEEN_NS, &camera.pixels);
	else
		return 0;
	if (error)
		return error;
	snprintf(camera.detail, sizeof(camera.detail), "%.24s %.4s #%u", p->camera.name,
		 (const char *)&camera.pixels.fourcc, p->last.info.sequence);
	panel[(*count)++] = camera;
	return 0;
}

static int add_processed(struct pipeline *p, struct montage_panel panel[], uint32_t *count)
{
	struct montage_panel processed = { .title = "Processed" };
	const char *by = p->options->dsp ? "DSP" : "OpenCL";
	int error = pixels_read(p->last.out, SEEN_NS, &processed.pixels);

	if (error)
		return error;
	if (p->options->dsp && p->options->opencl)
		by = "OpenCL, DSP";
	snprintf(processed.detail, sizeof(processed.detail), "%s XR24", by);
	panel[(*count)++] = processed;
	return 0;
}

static int add_displayed(struct pipeline *p, struct montage_panel panel[], uint32_t *count)
{
	struct montage_panel displayed = { .title = "Displayed" };
	int error = display_seen(&p->display, SEEN_NS, &displayed.pixels);

	if (error)
		return error;
	snprintf(displayed.detail, sizeof(displayed.detail), "%.24s %s",
		 strcmp(p->display.name, "picture") != 0 ? p->display.name : "",
		 display_evidence(&p->display));
	panel[(*count)++] = displayed;
	return 0;
}

static void add_counters(const struct pipeline *p, struct montage_panel panel[], uint32_t *count)
{
	const struct dsp_control *control = &p->dsp.control;
	struct montage_panel counters = {
		.title = "Counters",
		.pixels = panel[0].pixels,
		.chart.histogram = control->histogram,
	};

	if (!p->options->dsp)
		return;
	snprintf(counters.detail, sizeof(counters.detail), "%.24s", p->dsp.firmware);
	snprintf(counters.chart.line[0], sizeof(counters.chart.line[0]), "Read back from the DSP");
	snprintf(counters.chart.line[1], sizeof(counters.chart.line[1]), "frames %u, refused %u",
		 control->frames, control->refused);
	snprintf(counters.chart.line[2], sizeof(counters.chart.line[2]),
		 "the last %ux%u, signed %u", control->width, control->height, p->last.number);
	snprintf(counters.chart.line[3], sizeof(counters.chart.line[3]), "in %.1f ms",
		 (double)control->time_ns / 1e6);
	snprintf(counters.chart.line[4], sizeof(counters.chart.line[4]),
		 "its brightness, log scale:");
	panel[(*count)++] = counters;
}

int panels_write(struct pipeline *pipeline, const char *path)
{
	struct montage_panel panel[MONTAGE_PANELS] = { { .title = NULL } };
	uint32_t count = 0;
	int error;

	if (!pipeline->last.in)
		return metal_shm_set_error(ENODATA, "no frame was shown, so there is no picture");
	error = add_camera(pipeline, panel, &count);
	if (!error)
		error = add_processed(pipeline, panel, &count);
	if (!error)
		error = add_displayed(pipeline, panel, &count);
	if (error)
		return error;
	add_counters(pipeline, panel, &count);
	return montage_write(path, panel, count);
}
