/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <shm/device.h>

#include "dsp.h"

#define RW        METAL_SHM_DIR_DEV_RW
#define ANSWER_NS INT64_C(10000000000)
/* The firmware remembers so many buffers. */
#define FRAMES_MAX 7

static int tell(struct dsp *dsp, struct metal_generic_shm *shm, struct dsp_job job)
{
	int error;

	job.magic = DSP_JOB;
	error = metal_shm_rproc_share(dsp->dev, shm, RW, &job.id);
	return error ? error : metal_shm_rproc_send(dsp->dev, &job, sizeof(job));
}

static int start(const struct demo_options *options, struct dsp *dsp)
{
	int state, error;

	state = metal_shm_rproc_state(dsp->dev);
	if (state < 0)
		return state;
	if (state == METAL_SHM_RPROC_OFFLINE) {
		error = metal_shm_rproc_start(dsp->dev, options->firmware,
					      METAL_SHM_RPROC_STOP_WITH_US);
		if (error)
			return error;
	}
	error = metal_shm_rproc_firmware(dsp->dev, dsp->firmware, sizeof(dsp->firmware));
	return error ? error : metal_shm_rproc_connect(dsp->dev, ANSWER_NS);
}

static int make_counters(struct dsp *dsp)
{
	dsp->counters = metal_shm_allocate_for(sizeof(dsp->control), &dsp->dev, 1, 0);
	if (!dsp->counters || !metal_shm_attach(dsp->counters, dsp->dev))
		return -errno;
	return tell(dsp, dsp->counters, (struct dsp_job){ .what = DSP_COUNTERS });
}

int dsp_read(struct dsp *dsp)
{
	const void *bytes;
	int error = metal_shm_sync_for_cpu_timeout(dsp->counters, RW, ANSWER_NS);

	if (error)
		return error;
	bytes = metal_shm_map(dsp->counters, METAL_SHM_READ);
	if (!bytes)
		return -errno;
	memcpy(&dsp->control, bytes, sizeof(dsp->control));
	metal_shm_unmap(dsp->counters, METAL_SHM_READ);
	if (dsp->control.magic != DSP_CONTROL)
		return metal_shm_set_error(
			EPROTO, "%s runs %s, which keeps no counters as a DSP of the demo does",
			metal_shm_device_name(dsp->dev), dsp->firmware);
	return metal_shm_sync_for_device(dsp->counters, dsp->dev, RW);
}

static int open_all(const struct demo_options *options, struct dsp *dsp)
{
	int error = metal_shm_rproc_open(options->dsp, &dsp->dev);

	if (!error)
		error = start(options, dsp);
	if (!error)
		error = make_counters(dsp);
	if (!error)
		error = metal_shm_sync_for_device(dsp->counters, dsp->dev, RW);
	if (!error)
		error = dsp_read(dsp);
	dsp->before = dsp->control.frames;
	return error;
}

int dsp_open(const struct demo_options *options, struct dsp *ret_dsp)
{
	struct dsp dsp = { .dev = NULL };
	int error = open_all(options, &dsp);

	if (error)
		dsp_close(&dsp);
	else
		*ret_dsp = dsp;
	return error;
}

static int tell_of_frame(struct dsp *dsp, struct metal_generic_shm *shm)
{
	const struct metal_shm_frame *frame = metal_shm_frame_of(shm);
	const struct dsp_job job = {
		.what = DSP_FRAME,
		.width = frame->width,
		.height = frame->height,
		.stride = frame->plane[0].stride,
		.bytes = 4,
		.offset = (uint32_t)frame->plane[0].offset,
	};
	const struct dsp_image image = {
		.width = job.width, .height = job.height, .stride = job.stride, .bytes = job.bytes
	};

	if (frame->plane[0].offset > UINT32_MAX ||
	    !dsp_fits(&image, metal_shm_size(shm) - frame->plane[0].offset))
		return metal_shm_set_error(ENOTSUP, "a DSP of the demo takes no pictures of %ux%u",
					   job.width, job.height);
	return tell(dsp, shm, job);
}

int dsp_tell(struct dsp *dsp, struct metal_shm_pool *pool)
{
	struct metal_generic_shm *shm[FRAMES_MAX] = { NULL };
	unsigned n = metal_shm_pool_count(pool);
	int error = 0;

	if (n > FRAMES_MAX)
		return metal_shm_set_error(ENOSPC, "a DSP of the demo remembers %d frames",
					   FRAMES_MAX);
	for (unsigned i = 0; i < n && !error; i++) {
		shm[i] = metal_shm_pool_get(pool, 0);
		error = shm[i] ? tell_of_frame(dsp, shm[i]) : -errno;
	}
	for (unsigned i = 0; i < n; i++)
		metal_shm_free(shm[i], NULL);
	return error;
}

int dsp_give(struct dsp *dsp, struct metal_generic_shm *shm, uint16_t *ret_number)
{
	int error = metal_shm_sync_for_device_timeout(shm, dsp->dev, RW, 0);

	if (!error)
		*ret_number = (uint16_t)(dsp->before + ++dsp->given);
	return error;
}

int dsp_unsign(struct metal_generic_shm *shm)
{
	const struct metal_shm_frame *frame = metal_shm_frame_of(shm);
	uint8_t *bytes;
	int error = metal_shm_sync_for_cpu_timeout(shm, RW, 0);

	if (error)
		return error;
	bytes = metal_shm_map(shm, METAL_SHM_WRITE);
	if (!bytes)
		return -errno;
	bytes += frame->plane[0].offset;
	for (size_t y = frame->height - DSP_SIGN_HEIGHT; y < frame->height; y++)
		memset(bytes + y * frame->plane[0].stride +
			       (size_t)(frame->width - DSP_SIGN_WIDTH) * 4,
		       0, (size_t)DSP_SIGN_WIDTH * 4);
	return metal_shm_unmap(shm, METAL_SHM_WRITE);
}

void dsp_close(struct dsp *dsp)
{
	if (dsp->counters) {
		metal_shm_detach(metal_shm_view(dsp->counters, dsp->dev), dsp->dev);
		metal_shm_free(dsp->counters, NULL);
	}
	metal_shm_device_close(dsp->dev);
	*dsp = (struct dsp){ .dev = NULL };
}
