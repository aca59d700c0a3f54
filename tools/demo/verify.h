/* SPDX-License-Identifier: BSD-3-Clause */
/* --check: is each displayed frame what the stages make of a new frame of the camera? */
#ifndef VERIFY_H
#define VERIFY_H

#include "demo.h"
#include "dsp_image.h"
#include "reference.h"

struct verify {
	unsigned frames; /* that were right */
	uint64_t content;
	uint32_t sequence;
	bool has_nonce;
	uint32_t nonce;
	struct reference reference; /* the last frame, as it ought to be */
	uint16_t number;            /* of that frame, the DSP's */
	char wrong[160];            /* "" as long as nothing is */
};

int verify_open(const struct demo_options *options, struct verify *ret_verify);

/*
 * One frame, captured and displayed; number: the DSP's of it. false: it is wrong, and verify->wrong says
 * how.
 */
bool verify_frame(struct verify *verify, const struct demo_frame_info *info,
		  const struct demo_pixels *captured, const struct demo_pixels *displayed,
		  uint16_t number);

/*
 * What the DSP says of itself, at the end: it did as many frames as it was given, refused none, and its last
 * histogram is that of the last frame that was checked, where this was its last.
 */
bool verify_counters(struct verify *verify, const struct dsp_control *control, uint32_t given);

/* Is the DSP's number in the corner of a frame? */
bool verify_signature(struct verify *verify, const struct demo_frame_info *info,
		      const struct demo_pixels *shown, uint16_t number);

void verify_close(struct verify *verify);

#endif
