/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "pipeline.h"
#include "pixels.h"

/* The camera fills two while three are on their way and one is the last shown. */
#define FRONT_FRAMES 6
/* The display has up to two, three are on their way. */
#define BACK_FRAMES 5
#define STALL_MS    30000
#define TELL_MS     2000 /* how far it is */

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void count(struct demo_meter *meter)
{
	meter->last_ns = now_ns();
	if (!meter->frames++)
		meter->first_ns = meter->last_ns;
}

/* Memory for frames that some devices share: from where libshm chooses, or from where it was told to. */
static int make_pool(struct pipeline *p, uint32_t fourcc, struct metal_device *const users[3],
		     unsigned frames, struct metal_shm_pool **ret_pool)
{
	struct metal_device *devs[4];
	struct metal_shm_frame frame = { .fourcc = fourcc,
					 .width = p->options->width,
					 .height = p->options->height };
	size_t n = 0;
	int error;

	for (int i = 0; i < 3; i++)
		if (users[i])
			devs[n++] = users[i];
	if (p->memory)
		devs[n++] = p->memory;
	error = metal_shm_frame_negotiate(&frame, devs, n);
	if (error)
		return error;
	return metal_shm_pool_create_frames(&frame, devs, n, frames, ret_pool);
}

/* A camera's YUYV is another frame after the GPU; what the DSP does it does in place. */
static int make_pools(struct pipeline *p)
{
	struct metal_device *const whole[] = { p->camera.dev, p->dsp.dev, p->display.dev };
	struct metal_device *const front[3] = { p->camera.dev, p->gpu.dev };
	struct metal_device *const back[] = { p->gpu.dev, p->dsp.dev, p->display.dev };
	int error;

	if (!p->gpu.dev)
		return make_pool(p, DEMO_XR24, whole, FRONT_FRAMES, &p->front);
	error = make_pool(p, DEMO_YUYV, front, FRONT_FRAMES, &p->front);
	return error ? error : make_pool(p, DEMO_XR24, back, BACK_FRAMES, &p->back);
}

/* The pool of the frames that are displayed. */
static struct metal_shm_pool *last_pool(const struct pipeline *p)
{
	return p->back ? p->back : p->front;
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
	if (!error && options->opencl)
		error = gpu_open(&p->gpu);
	if (!error && options->dsp)
		error = dsp_open(options, &p->dsp);
	if (!error)
		error = make_pools(p);
	if (!error)
		error = display_prepare(&p->display, metal_shm_pool_frame(last_pool(p)), p->memory);
	if (!error && options->dsp)
		error = dsp_tell(&p->dsp, last_pool(p));
	return error || !options->opencl ? error : warm_up(p);
}

int pipeline_open(struct pipeline *pipeline, const struct demo_options *options)
{
	int error;

	*pipeline = (struct pipeline){ .options = options };
	error = verify_open(options, &pipeline->verify);
	if (!error)
		error = open_all(pipeline);
	if (error)
		pipeline_close(pipeline);
	return error;
}

static void end_job(struct pipeline_job *job)
{
	metal_shm_free(job->in, NULL);
	metal_shm_free(job->out, NULL);
	pixels_drop(&job->before);
	*job = (struct pipeline_job){ 0 };
}

/* Counting this frame, if it is one, are there enough on their way? */
static bool enough(const struct pipeline *p, unsigned more)
{
	return p->options->frames && p->done + p->jobs + more >= p->options->frames;
}

/* Queue the first stage. What the DSP will overwrite is kept for the check, and once for the picture. */
static int begin(struct pipeline *p, struct pipeline_job *job)
{
	if (p->gpu.dev)
		return gpu_filter(&p->gpu, job->in, job->out);
	return p->options->check || enough(p, 1) ? pixels_keep(job->in, 0, &job->before) : 0;
}

static struct metal_generic_shm *room_for(struct pipeline *p, const struct pipeline_job *job)
{
	if (p->jobs == PIPELINE_JOBS)
		return NULL;
	return p->gpu.dev ? metal_shm_pool_get(p->back, 0) : metal_shm_ref(job->in);
}

/* Take what the camera has and begin its way. A frame that comes too early for the rest is let go. */
static int fetch(struct pipeline *p)
{
	struct pipeline_job job;
	int error;

	for (;;) {
		job = (struct pipeline_job){ 0 };
		error = camera_fetch(&p->camera, &job.info, &job.in);
		if (error)
			return error == -ETIMEDOUT ? 0 : error;
		if (enough(p, 0)) {
			end_job(&job);
			continue;
		}
		if (!p->captured.frames)
			p->first_sequence = job.info.sequence;
		count(&p->captured);
		job.out = room_for(p, &job);
		if (!job.out) {
			p->skipped++;
			end_job(&job);
			continue;
		}
		error = begin(p, &job);
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

	if (!error && job->before.bytes)
		captured = job->before;
	else if (!error)
		error = pixels_read(job->in, 0, &captured);
	if (error)
		return error;
	if (!verify_frame(&p->verify, &job->info, &captured, &displayed, job->number))
		return metal_shm_set_error(EBADMSG, "%s", p->verify.wrong);
	return 0;
}

/* To the DSP as soon as the stage before is through, without waiting: 0, or -ETIMEDOUT. */
static int give(struct pipeline *p, struct pipeline_job *job)
{
	int error = 0;

	if (!p->dsp.dev || job->given)
		return 0;
	if (p->options->fault != DEMO_FAULT_SKIP)
		error = dsp_give(&p->dsp, job->out, &job->number);
	if (error)
		return error;
	job->given = true;
	if (p->gpu.dev)
		count(&p->filtered);
	return 0;
}

/* All that can, in the order of the frames. */
static int give_all(struct pipeline *p)
{
	int error = 0;

	for (unsigned i = 0; i < p->jobs && !error; i++)
		error = give(p, &p->job[i]);
	return error == -ETIMEDOUT ? 0 : error;
}

/* From the last stage before the display to this, without waiting: 0, or -ETIMEDOUT. */
static int take(struct pipeline *p, struct pipeline_job *job)
{
	int error = 0;

	if (job->worked)
		return 0;
	if (p->dsp.dev && !job->given)
		return -ETIMEDOUT;
	if (p->options->fault == DEMO_FAULT_UNSIGNED)
		error = dsp_unsign(job->out);
	if (!error)
		error = metal_shm_sync_for_device_timeout(job->out, p->display.dev,
							  METAL_SHM_DIR_DEV_R, 0);
	if (error)
		return error;
	job->worked = true;
	count(p->dsp.dev ? &p->worked : &p->filtered);
	return 0;
}

/* Move the oldest job on as far as it goes without waiting: 0 when it is done, or -ETIMEDOUT. */
static int advance(struct pipeline *p)
{
	struct pipeline_job *job = &p->job[0];
	int error = give_all(p);

	if (!error)
		error = take(p, job);
	if (!error && !job->presented)
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
	struct metal_device *devs[] = { p->camera.dev, p->gpu.dev, p->dsp.dev, p->display.dev };
	struct pollfd fds[4];
	int n;

	for (int i = 0; i < 4; i++) /* poll() passes over what has no descriptor */
		fds[i] = (struct pollfd){ .fd = devs[i] ? metal_shm_device_poll_fd(devs[i]) : -1,
					  .events = POLLIN };
	n = poll(fds, 4, STALL_MS);
	if (n < 0)
		return errno == EINTR ? 0 : metal_shm_set_error(errno, "poll failed");
	if (!n)
		return metal_shm_set_error(ETIME, "nothing has happened for %d s", STALL_MS / 1000);
	for (int i = 0; i < 4; i++) {
		int error = fds[i].revents ? metal_shm_device_dispatch(devs[i]) : 0;

		if (error)
			return error;
	}
	return 0;
}

/* A camera goes on whether or not frames come out at the other end. */
static int look_at_clock(const struct pipeline *p, uint64_t start_ns)
{
	static uint64_t told_ns;
	uint64_t now = now_ns(), moved = p->done ? p->displayed.last_ns : start_ns;

	if (now - moved > STALL_MS * UINT64_C(1000000))
		return metal_shm_set_error(ETIME, "no frame in %d s: %s", STALL_MS / 1000,
					   metal_shm_last_error());
	if (told_ns < start_ns)
		told_ns = start_ns;
	if (now - told_ns < TELL_MS * UINT64_C(1000000))
		return 0;
	told_ns = now;
	if (p->options->frames)
		fprintf(stderr, "shm-demo: %u of %u frames\n", p->done, p->options->frames);
	else
		fprintf(stderr, "shm-demo: %u frames\n", p->done);
	return 0;
}

static int loop(struct pipeline *p)
{
	uint64_t start_ns = now_ns();
	int error = 0;

	while (!error && !finished(p)) {
		error = wait_events(p);
		if (!error)
			error = fetch(p);
		while (!error && p->jobs && !finished(p))
			error = advance(p);
		if (!error || error == -ETIMEDOUT)
			error = look_at_clock(p, start_ns);
	}
	return error;
}

/* Frames that were given when the program was interrupted are waited for. */
static int check_dsp(struct pipeline *p)
{
	struct demo_pixels shown;
	int error = 0;

	/* what the display shows it reads until it is given something else */
	for (unsigned i = 0; i < p->jobs && !error; i++)
		error = metal_shm_sync_for_cpu_timeout(p->job[i].out, METAL_SHM_DIR_DEV_W,
						       STALL_MS * INT64_C(1000000));
	if (!error)
		error = dsp_read(&p->dsp);
	if (error || !p->last.out)
		return error;
	error = pixels_read(p->last.out, 0, &shown);
	if (error)
		return error;
	if (!verify_counters(&p->verify, &p->dsp.control, p->dsp.before + p->dsp.given) ||
	    !verify_signature(&p->verify, &p->last.info, &shown, p->last.number))
		return metal_shm_set_error(EBADMSG, "%s", p->verify.wrong);
	return 0;
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
	return error || !pipeline->dsp.dev ? error : check_dsp(pipeline);
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
	dsp_close(&pipeline->dsp);
	gpu_close(&pipeline->gpu);
	camera_close(&pipeline->camera);
	metal_shm_device_close(pipeline->memory);
	verify_close(&pipeline->verify);
	*pipeline = (struct pipeline){ 0 };
}
