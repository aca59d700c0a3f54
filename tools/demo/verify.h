/* SPDX-License-Identifier: BSD-3-Clause */
/* --check: is each displayed frame what the filter makes of a new frame of the camera? */
#ifndef VERIFY_H
#define VERIFY_H

#include "demo.h"

struct verify {
	unsigned frames; /* that were right */
	uint64_t content;
	uint32_t sequence;
	bool has_nonce;
	uint32_t nonce;
	char wrong[160]; /* "" as long as nothing is */
};

/* One frame, captured and displayed. false: it is wrong, and verify->wrong says how. */
bool verify_frame(struct verify *verify, const struct demo_frame_info *info,
		  const struct demo_pixels *captured, const struct demo_pixels *displayed);

#endif
