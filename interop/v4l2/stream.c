/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a stream: start, stop, and the ends that nobody asked for. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "internal.h"

/* What a stream leaves behind when it ends. */
struct leavings {
	struct metal_generic_shm *shm[SHM__V4L2_BUFFERS + SHM__V4L2_RING];
	bool held[SHM__V4L2_BUFFERS + SHM__V4L2_RING];
	unsigned count;
	struct metal_generic_shm *pin[SHM__V4L2_BUFFERS];
	unsigned pins;
};

int shm__v4l2_request(struct shm__v4l2_queue *queue, uint32_t *count)
{
	struct v4l2_requestbuffers request = {
		.type = queue->type,
		.memory = V4L2_MEMORY_DMABUF,
		.count = *count,
	};
	int error = shm__v4l2_ioctl(queue->node, VIDIOC_REQBUFS, &request);

	*count = request.count;
	return error;
}

/* Under the queue's lock: everything that the queue refers to. */
static void collect(struct shm__v4l2_queue *queue, struct leavings *left)
{
	for (unsigned i = 0; i < SHM__V4L2_BUFFERS; i++) {
		struct shm__v4l2_slot *slot = &queue->slot[i];

		if (slot->shm) {
			left->held[left->count] = slot->held;
			left->shm[left->count++] = slot->shm;
		}
		slot->shm = NULL;
		slot->held = false;
		slot->queued = false;
		slot->stuck = false;
	}
	queue->queued = 0;
	queue->stuck = 0;
	queue->stuck_error = 0;
}

static void give_back(struct shm__v4l2_queue *queue, const struct leavings *left, int error)
{
	for (unsigned i = 0; i < left->count; i++)
		if (left->held[i])
			metal_shm_unhold(left->shm[i], queue->dev, error);
}

static void drop(const struct leavings *left)
{
	for (unsigned i = 0; i < left->count; i++)
		metal_shm_free(left->shm[i], NULL);
}

/*
 * The device is gone, or its queue broke: no frame comes any more, so nobody may wait for one. Frames
 * in the ring were good and stay. A broken queue is turned off first, since it still has the memory.
 */
void shm__v4l2_lose(struct shm__v4l2_queue *queue)
{
	struct leavings left = { .count = 0 };
	int type = (int)queue->type, error;

	pthread_mutex_lock(&queue->lock);
	error = queue->lost;
	if (error && queue->queued && error != -ENODEV)
		shm__v4l2_ioctl(queue->node, VIDIOC_STREAMOFF, &type);
	if (error)
		collect(queue, &left);
	queue->reports = 0;
	shm__v4l2_wake(queue);
	pthread_mutex_unlock(&queue->lock);
	give_back(queue, &left, error);
	drop(&left);
}

/* Under control. The node's descriptor is watched while it streams: otherwise it is an error to poll. */
static int watch(struct shm__v4l2_queue *queue, bool on)
{
	struct shm__v4l2_node *node = queue->node;
	struct epoll_event event = { .events = EPOLLET | (node->queue[0] ? EPOLLIN : 0) |
					       (node->queue[1] ? EPOLLOUT : 0) };

	if (on && node->streams++)
		return 0;
	if (!on && --node->streams)
		return 0;
	if (!epoll_ctl(node->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, node->fd, &event))
		return 0;
	if (on)
		node->streams--;
	return -errno;
}

/* Under the queue's lock. */
static void empty_ring(struct shm__v4l2_queue *queue, struct leavings *left)
{
	for (unsigned i = 0; i < queue->ring_count; i++) {
		struct shm__v4l2_done *done = &queue->ring[(queue->ring_head + i) % SHM__V4L2_RING];

		if (!done->shm)
			continue;
		queue->slot[done->info.index].fetched = false;
		left->held[left->count] = false;
		left->shm[left->count++] = done->shm;
	}
	queue->ring_count = 0;
	queue->ring_bad = 0;
}

/* Under the queue's lock. */
static void take_pins(struct shm__v4l2_queue *queue, struct leavings *left)
{
	for (unsigned i = 0; i < SHM__V4L2_BUFFERS; i++) {
		if (queue->slot[i].pin)
			left->pin[left->pins++] = queue->slot[i].pin;
		queue->slot[i].pin = NULL;
	}
}

/* Under control. STREAMOFF ends the driver's use of the buffers, REQBUFS(0) its mappings of them. */
static int end(struct shm__v4l2_queue *queue)
{
	struct leavings left = { .count = 0 };
	int type = (int)queue->type, error, request_error;
	struct metal_shm_pool *pool;
	uint32_t none = 0;

	pthread_mutex_lock(&queue->lock);
	queue->queueing = false;
	queue->streaming = false;
	queue->session++;
	error = shm__v4l2_ioctl(queue->node, VIDIOC_STREAMOFF, &type);
	collect(queue, &left);
	empty_ring(queue, &left);
	take_pins(queue, &left);
	queue->reports = 0;
	shm__v4l2_wake(queue);
	while (queue->polled || queue->followers)
		pthread_cond_wait(&queue->turn, &queue->lock);
	pool = queue->pool;
	queue->pool = NULL;
	pthread_mutex_unlock(&queue->lock);

	/* only now: a pool that was destroyed goes with its feeder, and threads waited for it */
	if (!queue->output)
		metal_shm_pool_feed(pool, queue->dev, NULL);
	give_back(queue, &left, 0);
	for (unsigned i = 0; i < left.pins; i++)
		metal_shm_settle(left.pin[i]);
	request_error = shm__v4l2_request(queue, &none);
	if (request_error == -ENODEV && !queue->node->streams && !queue->node->gone)
		shm__v4l2_let_go(queue->node);
	for (unsigned i = 0; i < left.pins; i++)
		metal_shm_detach(left.pin[i], queue->dev);
	drop(&left);
	if (error && error != -ENODEV)
		return shm__v4l2_failed(queue, error, "VIDIOC_STREAMOFF");
	if (request_error && request_error != -ENODEV)
		return shm__v4l2_failed(queue, request_error, "VIDIOC_REQBUFS");
	return 0;
}

/* After the format, which lets some drivers forget it. */
static int set_interval(struct shm__v4l2_queue *queue)
{
	struct v4l2_streamparm parm = { .type = queue->type };
	struct v4l2_fract *interval =
		queue->output ? &parm.parm.output.timeperframe : &parm.parm.capture.timeperframe;
	int error;

	if (!queue->numerator)
		return 0;
	interval->numerator = queue->numerator;
	interval->denominator = queue->denominator;
	error = shm__v4l2_ioctl(queue->node, VIDIOC_S_PARM, &parm);
	if (error == -ENOTTY || error == -EINVAL)
		return metal_shm_set_error(ENOTSUP, "%s has no frame interval to set", queue->name);
	return error ? shm__v4l2_failed(queue, error, "VIDIOC_S_PARM") : 0;
}

/* An index for each buffer attached. */
static int request_all(struct shm__v4l2_queue *queue)
{
	struct v4l2_control least = { .id = queue->output ? V4L2_CID_MIN_BUFFERS_FOR_OUTPUT
							  : V4L2_CID_MIN_BUFFERS_FOR_CAPTURE };
	uint32_t wanted = 0, attached = 0, got, none = 0;
	int error;

	pthread_mutex_lock(&queue->lock);
	for (uint32_t i = 0; i < SHM__V4L2_BUFFERS; i++) {
		if (!queue->slot[i].attached)
			continue;
		attached++;
		wanted = i + 1;
	}
	pthread_mutex_unlock(&queue->lock);
	if (!wanted)
		return metal_shm_set_error(EINVAL, "%s has no buffer attached", queue->name);
	if (!shm__v4l2_ioctl(queue->node, VIDIOC_G_CTRL, &least) && least.value > 0 &&
	    (uint32_t)least.value > attached)
		return metal_shm_set_error(ENOTSUP,
					   "%s streams with %d buffers at least, %u are "
					   "attached",
					   queue->name, least.value, attached);
	got = wanted;
	error = shm__v4l2_request(queue, &got);
	if (error)
		return shm__v4l2_failed(queue, error, "VIDIOC_REQBUFS");
	if (got < wanted) {
		shm__v4l2_request(queue, &none);
		return metal_shm_set_error(ENOSPC,
					   "%s takes %u buffers of this size, %u are "
					   "attached",
					   queue->name, got, wanted);
	}
	pthread_mutex_lock(&queue->lock);
	queue->buffers = got < SHM__V4L2_BUFFERS ? got : SHM__V4L2_BUFFERS;
	pthread_mutex_unlock(&queue->lock);
	return 0;
}

/* Buffers are accepted from here on. Those of the pool come first, as some drivers need. */
static int prime(struct shm__v4l2_queue *queue, struct metal_shm_pool *pool)
{
	int error = 0;

	pthread_mutex_lock(&queue->lock);
	queue->pool = pool;
	queue->lost = 0;
	queue->moved = 0;
	queue->session++;
	queue->queueing = true;
	pthread_mutex_unlock(&queue->lock);
	if (!queue->output)
		error = metal_shm_pool_feed(pool, queue->dev, shm__v4l2_idle);
	if (error)
		return error;
	/* the reason is the one that the callback left in this thread */
	pthread_mutex_lock(&queue->lock);
	error = queue->lost ? queue->lost : queue->stuck_error;
	pthread_mutex_unlock(&queue->lock);
	if (error)
		return error;
	if (queue->moved)
		return metal_shm_set_error(ENOTSUP,
					   "%s puts the picture at byte %u of the buffer, "
					   "frames start at 0",
					   queue->name, queue->moved);
	return 0;
}

/* Frames that are not attached could not be queued, and an output would learn it with the first. */
static int check_pool(struct shm__v4l2_queue *queue, const struct metal_shm_pool *pool)
{
	bool found = false;

	pthread_mutex_lock(&queue->lock);
	for (unsigned i = 0; i < SHM__V4L2_BUFFERS && !found; i++)
		found = queue->slot[i].attached && metal_shm_pool_of(queue->slot[i].view) == pool;
	pthread_mutex_unlock(&queue->lock);
	if (found)
		return 0;
	return metal_shm_set_error(EINVAL,
				   "%s has no frame of this pool attached: name it among the "
				   "devices that the pool is made for",
				   queue->name);
}

static int start(struct shm__v4l2_queue *queue, struct metal_shm_pool *pool,
		 const struct metal_shm_frame *frame)
{
	int type = (int)queue->type, error;

	error = check_pool(queue, pool);
	if (!error)
		error = shm__v4l2_set_frame(queue, frame, &queue->size);
	if (!error)
		error = set_interval(queue);
	if (!error)
		error = request_all(queue);
	if (error)
		return error;
	queue->least = shm__v4l2_picture_bytes(frame);
	error = prime(queue, pool);
	if (error)
		goto end;
	error = shm__v4l2_ioctl(queue->node, VIDIOC_STREAMON, &type);
	if (error) {
		shm__v4l2_failed(queue, error, "VIDIOC_STREAMON");
		goto end;
	}
	error = watch(queue, true);
	if (error) {
		shm__v4l2_failed(queue, error, "epoll_ctl");
		goto end;
	}
	pthread_mutex_lock(&queue->lock);
	queue->streaming = true;
	pthread_mutex_unlock(&queue->lock);
	queue->started = true;
	return 0;

end:
	end(queue);
	errno = -error;
	return error;
}

int metal_shm_v4l2_start(struct metal_device *dev, struct metal_shm_pool *pool)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	const struct metal_shm_frame *frame;
	int error;

	if (!queue)
		return -errno;
	frame = metal_shm_pool_frame(pool);
	if (!frame)
		return -errno;
	pthread_mutex_lock(&queue->node->control);
	if (queue->started)
		error = metal_shm_set_error(EBUSY, "%s is started", metal_shm_device_name(dev));
	else
		error = start(queue, pool, frame);
	pthread_mutex_unlock(&queue->node->control);
	return error;
}

int shm__v4l2_stop(struct shm__v4l2_queue *queue)
{
	int error = 0;

	pthread_mutex_lock(&queue->node->control);
	if (queue->started) {
		queue->started = false;
		watch(queue, false);
		error = end(queue);
	}
	pthread_mutex_unlock(&queue->node->control);
	return error;
}

int metal_shm_v4l2_stop(struct metal_device *dev)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);

	return queue ? shm__v4l2_stop(queue) : -errno;
}

int metal_shm_v4l2_set_interval(struct metal_device *dev, uint32_t numerator, uint32_t denominator)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	int error = 0;

	if (!queue)
		return -errno;
	if (!numerator || !denominator)
		return metal_shm_set_error(EINVAL, "an interval of %u/%u s", numerator,
					   denominator);
	pthread_mutex_lock(&queue->node->control);
	if (queue->started) {
		error = metal_shm_set_error(EBUSY, "%s is started", metal_shm_device_name(dev));
	} else {
		queue->numerator = numerator;
		queue->denominator = denominator;
	}
	pthread_mutex_unlock(&queue->node->control);
	return error;
}
