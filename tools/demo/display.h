/* SPDX-License-Identifier: BSD-3-Clause */
/* The displays of the demo behind one face. */
#ifndef DISPLAY_H
#define DISPLAY_H

#include "demo.h"

struct display_ops;

struct display {
	const struct display_ops *ops;
	struct metal_device *dev;
	const char *name;
	bool writes_back; /* with --check, on a card that can */
	struct metal_shm_pool *back;
	struct metal_generic_shm *written; /* the last picture written back, one reference */
	struct metal_generic_shm *shown;   /* the last frame presented, one reference */
};

int display_open(const struct demo_options *options, struct display *ret_display);

/* Once the frame is negotiated; memory as for the pipeline's pools, or NULL. */
int display_prepare(struct display *display, const struct metal_shm_frame *frame,
		    struct metal_device *memory);

/* Would a present wait for the screen? 0, or -ETIMEDOUT if it would. */
int display_ready(struct display *display);
int display_present(struct display *display, struct metal_generic_shm *shm);

/*
 * What the display shows, once it is shown: 0 or -ETIMEDOUT. The bytes are what the card wrote back,
 * if it does; else the frame that it scans out. Valid until the next present.
 */
int display_seen(struct display *display, int64_t timeout_ns, struct demo_pixels *ret_pixels);

/* "writeback", "framebuffer" or "picture": where display_seen()'s bytes come from. */
const char *display_evidence(const struct display *display);

void display_off(struct display *display);
void display_close(struct display *display);

#endif
