/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of libshm that uses memory, whole: what it asks of a frame, attach and detach, hold and
 * unhold around its work, a descriptor to poll and a dispatch that works off what is due.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <shm/device.h>

#include "demo.h"
#include "scene.h"
#include "softcam.h"

#define MAX_FRAMES  64
#define NS_A_SECOND UINT64_C(1000000000)

/* A frame that is queued, or drawn and not fetched. Each has one reference. */
struct entry {
	struct metal_generic_shm *shm;
	struct softcam_info info;
};

struct fifo {
	struct entry entry[MAX_FRAMES];
	unsigned first, count;
};

struct softcam {
	struct metal_device *dev;
	struct softcam_options options;
	int timer;
	pthread_mutex_t lock; /* of what follows; never held while libshm is called */
	struct metal_shm_pool *pool;
	struct fifo queued, drawn;
	uint32_t sequence;
};

/* The frame as this device sees it. */
struct slot {
	uint8_t *bytes;
	struct metal_shm_frame frame;
};

static const struct metal_shm_device_ops softcam_ops;

static struct softcam *softcam_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &softcam_ops);
}

static void push(struct fifo *fifo, struct entry entry)
{
	fifo->entry[(fifo->first + fifo->count++) % MAX_FRAMES] = entry;
}

static bool pop(struct fifo *fifo, struct entry *ret_entry)
{
	if (!fifo->count)
		return false;
	*ret_entry = fifo->entry[fifo->first];
	fifo->first = (fifo->first + 1) % MAX_FRAMES;
	fifo->count--;
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

static int softcam_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			       struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	(void)ret; /* memory that can be mapped will do, and attach finds that out */
	return 0;
}

static int softcam_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
			  struct metal_shm_layout *ret)
{
	if (frame->fourcc != DEMO_YUYV)
		return metal_shm_set_error(ENOTSUP, "%s draws YUYV only",
					   metal_shm_device_name(dev));
	if (frame->width % 2)
		return metal_shm_set_error(ENOTSUP, "%s draws pairs of pixels, not %u",
					   metal_shm_device_name(dev), frame->width);
	ret->stride_min = frame->width * 2;
	return 0;
}

static int softcam_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			  struct metal_shm_view *ret_view)
{
	struct slot *slot;
	void *bytes;
	int error;

	if (!at->frame)
		return metal_shm_set_error(ENOTSUP, "%s needs to know the frame's layout",
					   metal_shm_device_name(dev));
	slot = malloc(sizeof(*slot));
	if (!slot)
		return metal_shm_set_error(ENOMEM, "no memory for an attachment");
	error = metal_shm_importer_map(at, METAL_SHM_READ | METAL_SHM_WRITE, &bytes);
	if (error)
		goto free_slot;
	slot->bytes = bytes;
	slot->frame = *at->frame;
	ret_view->data = slot;
	ret_view->access = METAL_SHM_ACCESS_CPU_USER;
	return 0;
free_slot:
	free(slot);
	return error;
}

static void softcam_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			   struct metal_shm_view *view)
{
	struct slot *slot = view->data;

	(void)dev;
	metal_shm_importer_unmap(at, slot->bytes);
	free(slot);
}

static void draw(struct softcam *camera, struct slot *slot, uint32_t sequence)
{
	scene_draw(slot->bytes + slot->frame.plane[0].offset, &slot->frame,
		   camera->options.frozen ? 0 : sequence, camera->options.nonce);
}

/* Use the memory for real, once, before libshm settles on it. */
static int softcam_trial(struct metal_device *dev, struct metal_generic_shm *shm)
{
	int error = metal_shm_hold(shm, dev, METAL_SHM_DIR_DEV_W, 0);

	if (error)
		return error;
	draw(softcam_of(dev), metal_shm_view_data(shm, dev), 0);
	return metal_shm_unhold(shm, dev, 0);
}

/* A frame came back to the pool: it is the camera's until it is drawn. Never blocks. */
static void take_idle(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct softcam *camera = softcam_of(dev);
	bool taken = false;

	if (metal_shm_hold(shm, dev, METAL_SHM_DIR_DEV_W, 0)) {
		metal_shm_free(shm, NULL);
		return;
	}
	pthread_mutex_lock(&camera->lock);
	if (camera->pool && camera->queued.count < MAX_FRAMES) {
		push(&camera->queued, (struct entry){ .shm = shm });
		taken = true;
	}
	pthread_mutex_unlock(&camera->lock);
	if (taken)
		return;
	metal_shm_unhold(shm, dev, 0);
	metal_shm_free(shm, NULL);
}

static int softcam_poll_handle(struct metal_device *dev)
{
	return softcam_of(dev)->timer;
}

/* One picture is due for each time that the timer ran; without a free frame it is lost. */
static int softcam_dispatch(struct metal_device *dev)
{
	struct softcam *camera = softcam_of(dev);
	struct entry entry;
	uint64_t due;
	bool draws, keeps;

	if (read(camera->timer, &due, sizeof(due)) != sizeof(due))
		return 0;
	pthread_mutex_lock(&camera->lock);
	camera->sequence += (uint32_t)due;
	draws = camera->pool && pop(&camera->queued, &entry);
	entry.info.sequence = camera->sequence - 1;
	pthread_mutex_unlock(&camera->lock);
	if (!draws)
		return 0;
	draw(camera, metal_shm_view_data(entry.shm, dev), entry.info.sequence);
	entry.info.timestamp_ns = now_ns();
	metal_shm_unhold(entry.shm, dev, 0);
	pthread_mutex_lock(&camera->lock);
	keeps = camera->pool;
	if (keeps)
		push(&camera->drawn, entry);
	pthread_mutex_unlock(&camera->lock);
	if (!keeps)
		metal_shm_free(entry.shm, NULL);
	return 0;
}

static int set_timer(struct softcam *camera, unsigned rate)
{
	struct itimerspec when = { 0 };

	if (rate) {
		when.it_value.tv_nsec = 1;
		when.it_interval.tv_sec = rate == 1;
		when.it_interval.tv_nsec = rate == 1 ? 0 : (long)(NS_A_SECOND / rate);
	}
	if (timerfd_settime(camera->timer, 0, &when, NULL))
		return metal_shm_set_error(errno, "the software camera's timer doesn't run");
	return 0;
}

static void softcam_shutdown(struct metal_device *dev)
{
	softcam_stop(dev);
}

static void softcam_close(struct metal_device *dev)
{
	struct softcam *camera = softcam_of(dev);

	close(camera->timer);
	pthread_mutex_destroy(&camera->lock);
	free(camera);
}

static const struct metal_shm_device_ops softcam_ops = {
	.struct_size = sizeof(softcam_ops),
	.constraints = softcam_constraints,
	.layout = softcam_layout,
	.attach = softcam_attach,
	.detach = softcam_detach,
	.trial = softcam_trial,
	.poll_handle = softcam_poll_handle,
	.dispatch = softcam_dispatch,
	.shutdown = softcam_shutdown,
	.close = softcam_close,
};

int softcam_open(const struct softcam_options *options, struct metal_device **ret_camera)
{
	struct softcam *camera = calloc(1, sizeof(*camera));
	int error;

	if (!camera)
		return metal_shm_set_error(ENOMEM, "no memory for a camera");
	camera->options = *options;
	camera->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (camera->timer < 0) {
		error = metal_shm_set_error(errno, "no timer for the software camera");
		goto free_camera;
	}
	pthread_mutex_init(&camera->lock, NULL);
	error = metal_shm_device_create(&softcam_ops, "software camera", camera, &camera->dev);
	if (error)
		goto close_timer;
	*ret_camera = camera->dev;
	return 0;
close_timer:
	pthread_mutex_destroy(&camera->lock);
	close(camera->timer);
free_camera:
	free(camera);
	return error;
}

int softcam_start(struct metal_device *dev, struct metal_shm_pool *pool)
{
	struct softcam *camera = softcam_of(dev);
	int error;

	if (!camera || !pool)
		return metal_shm_set_error(EINVAL, "not a software camera, or no pool");
	pthread_mutex_lock(&camera->lock);
	error = camera->pool ? EBUSY : 0;
	if (!error)
		camera->pool = pool;
	pthread_mutex_unlock(&camera->lock);
	if (error)
		return metal_shm_set_error(error, "the software camera runs already");
	error = metal_shm_pool_feed(pool, dev, take_idle);
	if (!error)
		error = set_timer(camera, camera->options.rate);
	if (error)
		softcam_stop(dev);
	return error;
}

int softcam_wait(struct metal_device *dev, int64_t timeout_ns, struct softcam_info *ret_info,
		 struct metal_generic_shm **ret_shm)
{
	struct softcam *camera = softcam_of(dev);
	uint64_t end = now_ns() + (uint64_t)(timeout_ns > 0 ? timeout_ns : 0);
	struct entry entry;
	bool started, found;

	if (!camera)
		return metal_shm_set_error(EINVAL, "not a software camera");
	for (;;) {
		struct pollfd due = { .fd = camera->timer, .events = POLLIN };
		uint64_t now;

		softcam_dispatch(dev);
		pthread_mutex_lock(&camera->lock);
		started = camera->pool;
		found = started && pop(&camera->drawn, &entry);
		pthread_mutex_unlock(&camera->lock);
		if (!started)
			return metal_shm_set_error(EINVAL, "the software camera is not started");
		if (found)
			break;
		now = now_ns();
		if (timeout_ns >= 0 && now >= end)
			return metal_shm_set_error(ETIMEDOUT, "no frame of the software camera");
		poll(&due, 1, timeout_ns < 0 ? -1 : (int)((end - now) / 1000000 + 1));
	}
	*ret_info = entry.info;
	*ret_shm = entry.shm;
	return 0;
}

int softcam_stop(struct metal_device *dev)
{
	struct softcam *camera = softcam_of(dev);
	struct metal_shm_pool *pool;
	struct fifo queued, drawn;
	struct entry entry;

	if (!camera)
		return metal_shm_set_error(EINVAL, "not a software camera");
	pthread_mutex_lock(&camera->lock);
	pool = camera->pool;
	queued = camera->queued;
	drawn = camera->drawn;
	camera->pool = NULL;
	camera->queued.count = 0;
	camera->drawn.count = 0;
	pthread_mutex_unlock(&camera->lock);
	if (!pool)
		return 0;
	set_timer(camera, 0);
	metal_shm_pool_feed(pool, dev, NULL);
	while (pop(&queued, &entry)) {
		metal_shm_unhold(entry.shm, dev, 0);
		metal_shm_free(entry.shm, NULL);
	}
	while (pop(&drawn, &entry))
		metal_shm_free(entry.shm, NULL);
	return 0;
}
