/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "pipeline.h"
#include "pixels.h"

/* The camera fills two while two are on their way and one is the last shown. */
#define FRONT_FRAMES 6
/* The display has up to two, two are on their way. */
#define BACK_FRAMES 5
#define STALL_MS    30000

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void count(struct demo_meter *meter)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	meter->last_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (!meter->frames++)
		meter->first_ns = meter->last_ns;
}

/* Memory for frames that two devices share: from where libshm chooses, or from where it was told to. */
static int make_pool(struct pipeline *p, uint32_t fourcc, struct metal_device *from,
		     struct metal_device *to, unsigned frames, struct metal_shm_pool **ret_pool)
{
	struct metal_device *devs[] = { from, to, p->memory };
	size_t n = p->memory ? 3 : 2;
	struct metal_shm_frame frame = { .fourcc = fourcc,
					 .width = p->options->width,
					 .height = p->options->height };
	int error = metal_shm_frame_negotiate(&frame, devs, n);

	if (error)
		return error;
	return metal_shm_pool_create_frames(&frame, devs, n, frames, ret_pool);
}

/* The first run of a kernel can take seconds, in which a camera that streams would lose frames. */
static int warm_up(struct pipeline *p)
{
	struct metal_generic_shm *in, *out;
	int error = 0;

	in = metal_shm_pool_get(p->front, 0);
	if (!in)
		return -errno;
	out = metal_shm_pool_get(p->back, 0);
	if (!out)
		error = -errno;
	if (!error)
		error = gpu_filter(&p->gpu, in, out);
	if (!error)
		error = gpu_finish(&p->gpu);
	metal_shm_free(out, NULL);
	metal_shm_free(in, NULL);
	return error;
}

static int open_all(struct pipeline *p)
{
	const struct demo_options *options = p->options;
	int error = 0;

	if (options->memory)
		error = metal_shm_device_open(options->memory, &p->memory);
	if (!error)
		error = camera_open(options, &p->camera);
	if (!error)
		error = display_open(options, &p->display);
	if (!error)
		error = gpu_open(&p->gpu);
	if (!error)
		error = make_pool(p, DEMO_YUYV, p->camera.dev, p->gpu.dev, FRONT_FRAMES, &p->front);
	if (!error)
		error = make_pool(p, DEMO_XR24, p->gpu.dev, p->display.dev, BACK_FRAMES, &p->back);
	if (!error)
		error = display_prepare(&p->display, metal_shm_pool_frame(p->back), p->memory);
	return error ? error : warm_up(p);
}

int pipeline_open(struct pipeline *pipeline, const struct demo_options *options)
{
	int error;

	*pipeline = (struct pipeline){
		.options = options,
		.verify = { .has_nonce = options->has_nonce, .nonce = options->nonce },
	};
	error = open_all(pipeline);
	if (error)
		pipeline_close(pipeline);
	return error;
}

static void end_job(struct pipeline_job *job)
{
	metal_shm_free(job->in, NULL);
	metal_shm_free(job->out, NULL);
	*job = (struct pipeline_job){ 0 };
}

/* Take what the camera has and queue the filter. A frame that comes too early for the rest is let go. */
static int fetch(struct pipeline *p)
{
	struct pipeline_job job;
	int error;

	for (;;) {
		job = (struct pipeline_job){ 0 };
		error = camera_fetch(&p->camera, &job.info, &job.in);
		if (error)
			return error == -ETIMEDOUT ? 0 : error;
		if (!p->captured.frames)
			p->first_sequence = job.info.sequence;
		count(&p->captured);
		if (p->jobs < PIPELINE_JOBS)
			job.out = metal_shm_pool_get(p->back, 0);
		if (!job.out) {
			p->skipped++;
			end_job(&job);
			continue;
		}
		error = gpu_filter(&p->gpu, job.in, job.out);
		if (error) {
			end_job(&job);
			return error;
		}
		p->job[p->jobs++] = job;
	}
}

static int present(struct pipeline *p, struct pipeline_job *job)
{
	struct metal_generic_shm *out = job->out;
	int error;

	if (p->options->fault == DEMO_FAULT_REPEAT && p->last.out)
		out = p->last.out;
	error = display_ready(&p->display);
	if (!error)
		error = display_present(&p->display, out);
	if (error)
		return error;
	count(&p->displayed);
	job->presented = true;
	return 0;
}

static int verify(struct pipeline *p, struct pipeline_job *job)
{
	struct demo_pixels captured, displayed;
	int error = display_seen(&p->display, 0, &displayed);

	if (!error)
		error = pixels_read(job->in, 0, &captured);
	if (error)
		return error;
	if (!verify_frame(&p->verify, &job->info, &captured, &displayed))
		return metal_shm_set_error(EBADMSG, "%s", p->verify.wrong);
	return 0;
}

/* Move the oldest job on as far as it goes without waiting: 0 when it is done, or -ETIMEDOUT. */
static int advance(struct pipeline *p)
{
	struct pipeline_job *job = &p->job[0];
	int error = 0;

	if (!job->filtered) {
		error = metal_shm_sync_for_device_timeout(job->out, p->display.dev,
							  METAL_SHM_DIR_DEV_R, 0);
		if (error)
			return error;
		job->filtered = true;
		count(&p->filtered);
	}
	if (!job->presented)
		error = present(p, job);
	if (!error && p->options->check)
		error = verify(p, job);
	if (error)
		return error;
	end_job(&p->last);
	p->last = *job;
	for (unsigned i = 1; i < p->jobs; i++)
		p->job[i - 1] = p->job[i];
	p->jobs--;
	p->done++;
	return 0;
}

static bool finished(const struct pipeline *p)
{
	return interrupted || (p->options->frames && p->done >= p->options->frames);
}

static int wait_events(struct pipeline *p)
{
	struct metal_device *devs[] = { p->camera.dev, p->gpu.dev, p->display.dev };
	struct pollfd fds[3];
	int n;

	for (int i = 0; i < 3; i++) /* poll() passes over what has no descriptor */
		fds[i] = (struct pollfd){ .fd = metal_shm_device_poll_fd(devs[i]),
					  .events = POLLIN };
	n = poll(fds, 3, STALL_MS);
	if (n < 0)
		return errno == EINTR ? 0 : metal_shm_set_error(errno, "poll failed");
	if (!n)
		return metal_shm_set_error(ETIME, "nothing has happened for %d s", STALL_MS / 1000);
	for (int i = 0; i < 3; i++) {
		int error = fds[i].revents ? metal_shm_device_dispatch(devs[i]) : 0;

		if (error)
			return error;
	}
	return 0;
}

static int loop(struct pipeline *p)
{
	int error = 0;

	while (!error && !finished(p)) {
		error = wait_events(p);
		if (!error)
			error = fetch(p);
		while (!error && p->jobs && !finished(p))
			error = advance(p);
		if (error == -ETIMEDOUT)
			error = 0;
	}
	return error;
}

int pipeline_run(struct pipeline *pipeline)
{
	const struct sigaction action = { .sa_handler = interrupt };
	int error;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	error = camera_start(&pipeline->camera, pipeline->front);
	if (error)
		return error;
	error = loop(pipeline);
	camera_stop(&pipeline->camera);
	return error;
}

void pipeline_close(struct pipeline *pipeline)
{
	gpu_finish(&pipeline->gpu);
	display_off(&pipeline->display);
	for (unsigned i = 0; i < pipeline->jobs; i++)
		end_job(&pipeline->job[i]);
	end_job(&pipeline->last);
	metal_shm_pool_destroy(pipeline->front);
	metal_shm_pool_destroy(pipeline->back);
	display_close(&pipeline->display);
	gpu_close(&pipeline->gpu);
	camera_close(&pipeline->camera);
	metal_shm_device_close(pipeline->memory);
	*pipeline = (struct pipeline){ 0 };
}
