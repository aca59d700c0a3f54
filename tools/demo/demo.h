/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of shm-demo share. Functions answer 0 or -errno and leave metal_shm_last_error(). */
#ifndef DEMO_H
#define DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include <shm/frame.h>

#define DEMO_YUYV METAL_SHM_FOURCC('Y', 'U', 'Y', 'V')
#define DEMO_XR24 METAL_SHM_FOURCC('X', 'R', '2', '4')

/* Faults on purpose, by which tests see that --check finds them. */
enum demo_fault {
	DEMO_FAULT_NONE = 0,
	DEMO_FAULT_FROZEN,   /* the software camera draws one picture for ever */
	DEMO_FAULT_REPEAT,   /* the display is given the frame before once more */
	DEMO_FAULT_SKIP,     /* the DSP isn't given the frames */
	DEMO_FAULT_UNSIGNED, /* nobody's signature is in the corner */
};

struct demo_options {
	const char *camera;   /* "software" or a V4L2 node */
	const char *display;  /* "picture" or a DRM node */
	const char *memory;   /* a device name; NULL: libshm chooses */
	const char *dsp;      /* a remoteproc, or NULL: none */
	const char *firmware; /* for it; NULL: the one that it has */
	const char *output;   /* PNG */
	const char *json;     /* or NULL */
	const char *trace;    /* or NULL */
	unsigned frames, width, height;
	unsigned rate; /* frames a second; 0: the camera's own */
	bool opencl, check, has_nonce;
	uint32_t nonce;
	enum demo_fault fault;
};

/* One plane of bytes that the CPU may read now. */
struct demo_pixels {
	const uint8_t *bytes;
	uint32_t stride, width, height;
	uint32_t fourcc; /* DEMO_YUYV or DEMO_XR24 */
};

/* What a camera says of a frame. */
struct demo_frame_info {
	uint32_t sequence; /* counts the frames that were lost too */
	uint64_t timestamp_ns;
};

/* Frames that passed a stage. */
struct demo_meter {
	unsigned frames;
	uint64_t first_ns, last_ns;
};

#endif
