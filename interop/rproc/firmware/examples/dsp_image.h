/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the DSP example does to a picture, and the messages by which it is told: for the firmware, for the
 * program on the host, and for whoever checks the one by the other. Freestanding, no allocation.
 */
#ifndef DSP_IMAGE_H
#define DSP_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DSP_WIDTH_MAX   1920u
#define DSP_LINE_SIZE   (DSP_WIDTH_MAX * 4u)
#define DSP_LINES       4   /* that the functions below work with */
#define DSP_SIGN_WIDTH  32u /* pixels of the signature: the last ones of the last lines */
#define DSP_SIGN_HEIGHT 16u
#define DSP_SIGN_MARK   0xd5b0u
#define DSP_CONTROL     0x43505344u /* "DSPC" */
#define DSP_JOB         0x4a505344u /* "DSPJ" */

/** Some of a picture's memory. */
struct dsp_piece {
	uint8_t *bytes;
	size_t size;
};

/** A picture; bytes of a pixel: 1 (grey) or 4 (XR24: blue, green, red, one that nobody looks at). */
struct dsp_image {
	uint8_t *pixels; /**< NULL: it lies in pieces */
	uint32_t width, height, stride, bytes;
	const struct dsp_piece
		*pieces; /**< from the first pixel on, in order: one may end in a line */
	size_t piece_count;
};

/** What a buffer of the host's is, said once before it is first given. */
struct dsp_job {
	uint32_t magic; /**< DSP_JOB */
	uint32_t id;    /**< the buffer, as metal_shm_rproc_share() named it */
	uint32_t what;  /**< enum dsp_what */
	uint32_t width, height, stride, bytes;
	uint32_t offset; /**< bytes from the buffer's start to the first pixel */
};

enum dsp_what {
	DSP_FRAME = 1, /**< each time that it is given it is filtered and signed */
	DSP_COUNTERS,  /**< while it is given its first bytes are a struct dsp_control */
};

/** Counters, written after each frame. */
struct dsp_control {
	uint32_t magic;   /**< DSP_CONTROL */
	uint32_t frames;  /**< done; the last one's signature */
	uint32_t refused; /**< given back unused: no job, or one that can't be */
	uint32_t width, height;
	uint32_t reserved;
	uint64_t time_ns;        /**< for the last frame, by the coprocessor's clock */
	uint32_t histogram[256]; /**< of the last frame's brightness, filtered, unsigned */
};

/** Whether a picture, of whose memory there are @p size bytes, is one that the functions below take. */
bool dsp_fits(const struct dsp_image *image, uint64_t size);

/**
 * Filter in place: each pixel becomes what stands out against its neighbours (an emboss of 3 by 3), the edge's
 * being their own neighbours.
 *
 * @param image  fits
 * @param lines  room to work in
 */
void dsp_filter(const struct dsp_image *image, uint8_t lines[DSP_LINES][DSP_LINE_SIZE]);

/** Count how many pixels have which brightness. */
void dsp_count(const struct dsp_image *image, uint8_t lines[DSP_LINES][DSP_LINE_SIZE],
	       uint32_t histogram[256]);

/** Draw a number into the lower right corner, and read it again: 32 cells of 4 by 4, the lowest bit first. */
void dsp_sign(const struct dsp_image *image, uint16_t number);
/** @return whether there is a signature */
bool dsp_signed(const struct dsp_image *image, uint16_t *ret_number);

#endif
