/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DSP between camera and display: frames that the host gives are filtered in place, signed in a corner, and
 * given back in the order in which they came. A message tells once of each buffer what it is; of one more buffer
 * the firmware keeps the first bytes as counters, until the host wants to read them.
 */
#include <errno.h>
#include <string.h>

#include "board.h"
#include "dsp_image.h"

#define BUFFERS 8
#define GIVEN   16
#define PIECES  64 /* in which a frame may lie */

static struct metal_device *host;
static struct dsp_job buffers[BUFFERS]; /* magic 0: free */
static struct metal_generic_shm *given[GIVEN];
static unsigned given_first, given_count;
static struct metal_generic_shm *counters; /* NULL: the host has them */
static struct dsp_control control = { .magic = DSP_CONTROL };
static bool wanted; /* the host waits for the counters */

static struct dsp_job *job_of(uint32_t id)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		if (buffers[i].magic && buffers[i].id == id)
			return &buffers[i];
	return NULL;
}

static void on_message(void *user, const void *message, size_t size)
{
	struct dsp_job said, *job;

	(void)user;
	if (size != sizeof(said))
		return;
	memcpy(&said, message, sizeof(said));
	if (said.magic != DSP_JOB)
		return;
	job = job_of(said.id);
	for (unsigned i = 0; !job && i < BUFFERS; i++)
		if (!buffers[i].magic)
			job = &buffers[i];
	if (job)
		*job = said;
}

static void on_given(void *user, struct metal_generic_shm *shm, enum metal_shm_dir dir)
{
	(void)user;
	if (dir == METAL_SHM_DIR_DEV_RW && given_count < GIVEN)
		given[(given_first + given_count++) % GIVEN] = shm;
	else
		metal_shm_host_fail(shm, host, -ECANCELED);
}

static struct dsp_job *job_for(struct metal_generic_shm *shm)
{
	uint32_t id;

	return metal_shm_host_id(shm, host, &id) ? NULL : job_of(id);
}

/* The counters may still wait among what was given, when the host soon wants them back. */
static void on_recalled(void *user, struct metal_generic_shm *shm)
{
	const struct dsp_job *job = job_for(shm);

	(void)user;
	wanted |= job && job->what == DSP_COUNTERS;
}

static void on_unshare(void *user, struct metal_generic_shm *shm)
{
	struct dsp_job *job = job_for(shm);

	(void)user;
	wanted |= shm == counters;
	if (job)
		job->magic = 0;
}

/* What there was is the host's again. */
static void on_began(void *user)
{
	(void)user;
	memset(buffers, 0, sizeof(buffers));
	given_count = 0;
	counters = NULL;
	wanted = false;
}

static int write_counters(void)
{
	void *to = metal_shm_map(counters, METAL_SHM_WRITE);

	if (!to || metal_shm_size(counters) < sizeof(control))
		return -EINVAL;
	memcpy(to, &control, sizeof(control));
	metal_shm_unmap(counters, METAL_SHM_WRITE);
	return metal_shm_wrote(counters, 0, sizeof(control));
}

static void return_counters(void)
{
	struct metal_generic_shm *shm = counters;

	counters = NULL;
	wanted = false;
	metal_shm_sync_for_device(shm, host, METAL_SHM_DIR_DEV_RW);
}

/* Where the frame lies, from its first pixel on. */
static int find_pieces(struct metal_generic_shm *shm, uint64_t skip,
		       struct dsp_piece pieces[PIECES], struct dsp_image *image)
{
	const struct metal_shm_segment *segments;
	size_t n;
	int error = metal_shm_segments(metal_shm_view(shm, host), &segments, &n);

	image->pieces = pieces;
	for (size_t i = 0; i < n && !error; i++) {
		uint64_t length = segments[i].length, from = skip < length ? skip : length;

		skip -= from;
		if (from == length)
			continue;
		if (image->piece_count == PIECES)
			return -ENOSPC;
		pieces[image->piece_count++] = (struct dsp_piece){
			.bytes = (uint8_t *)(uintptr_t)(segments[i].device_address + from),
			.size = (size_t)(length - from),
		};
	}
	return error;
}

static int do_frame(struct metal_generic_shm *shm, const struct dsp_job *job)
{
	static uint8_t lines[DSP_LINES][DSP_LINE_SIZE];
	static struct dsp_piece pieces[PIECES];
	size_t size = metal_shm_size(shm);
	struct dsp_image image = {
		.width = job->width,
		.height = job->height,
		.stride = job->stride,
		.bytes = job->bytes,
	};
	int64_t start = board_platform.now_ns();
	int error;

	if (job->offset >= size || !dsp_fits(&image, size - job->offset))
		return -EINVAL;
	error = find_pieces(shm, job->offset, pieces, &image);
	if (error)
		return error;
	dsp_filter(&image, lines);
	dsp_count(&image, lines, control.histogram);
	dsp_sign(&image, (uint16_t)++control.frames);
	control.width = job->width;
	control.height = job->height;
	control.time_ns = (uint64_t)(board_platform.now_ns() - start);
	return metal_shm_wrote(shm, 0, size);
}

static void work(struct metal_generic_shm *shm)
{
	const struct dsp_job *job = job_for(shm);
	int error = metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW);

	if (!error && job && job->what == DSP_COUNTERS && !counters) {
		counters = shm;
		if (!write_counters())
			return;
		counters = NULL;
		error = -EINVAL;
	}
	if (!error)
		error = job && job->what == DSP_FRAME ? do_frame(shm, job) : -ECANCELED;
	if (error) {
		control.refused++;
		metal_shm_host_fail(shm, host, error);
	} else {
		metal_shm_sync_for_device(shm, host, METAL_SHM_DIR_DEV_RW);
	}
	if (counters)
		write_counters();
}

int main(void)
{
	static struct metal_shm_channel channel;
	static const struct metal_shm_host_events events = {
		.given = on_given,
		.recalled = on_recalled,
		.unshare = on_unshare,
		.message = on_message,
		.began = on_began,
	};
	const struct metal_shm_host_setup setup = {
		.struct_size = sizeof(setup),
		.reach_count = board_reach_count,
		.channel = &channel,
		.events = &events,
		.reach = board_reach,
		.request_timeout_ns = 1000000000,
	};

	if (metal_shm_platform_set(&board_platform))
		return 1;
	board_channel(&channel);
	if (metal_shm_host_open(&setup, &host))
		return 1;
	for (;;) {
		metal_shm_device_dispatch(host);
		if (given_count) {
			struct metal_generic_shm *shm = given[given_first];

			given_first = (given_first + 1) % GIVEN;
			given_count--;
			work(shm);
		} else if (wanted && counters) {
			return_counters();
		} else {
			board_wait();
		}
	}
}
