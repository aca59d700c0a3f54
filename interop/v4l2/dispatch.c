/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetching buffers from the driver for later: the ring, and whoever dispatches the device. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "internal.h"

/* Under the queue's lock. */
void shm__v4l2_wake(struct shm__v4l2_queue *queue)
{
	if (queue->polled)
		eventfd_write(queue->wake_fd, 1);
	if (queue->followers)
		pthread_cond_broadcast(&queue->turn);
}

/* Under the queue's lock. A queue that nobody asks forgets damaged frames, never good ones. */
static void push(struct shm__v4l2_queue *queue, const struct shm__v4l2_done *done)
{
	if (!done->shm && queue->ring_bad == SHM__V4L2_RING - SHM__V4L2_BUFFERS)
		return;
	queue->ring[(queue->ring_head + queue->ring_count++) % SHM__V4L2_RING] = *done;
	if (done->shm)
		queue->slot[done->info.index].fetched = true;
	else
		queue->ring_bad++;
	shm__v4l2_wake(queue);
}

/* Under the queue's lock. */
bool shm__v4l2_pop(struct shm__v4l2_queue *queue, struct shm__v4l2_done *ret)
{
	if (!queue->ring_count)
		return false;
	*ret = queue->ring[queue->ring_head];
	queue->ring_head = (queue->ring_head + 1) % SHM__V4L2_RING;
	queue->ring_count--;
	if (ret->shm)
		queue->slot[ret->info.index].fetched = false;
	else
		queue->ring_bad--;
	return true;
}

/* Fetch all that is ready into the ring. */
static void drain(struct shm__v4l2_queue *queue)
{
	struct shm__v4l2_done done;
	unsigned session;
	bool lost, stale;
	int error;

	do {
		pthread_mutex_lock(&queue->lock);
		session = queue->session;
		error = -EAGAIN;
		if (queue->streaming && !queue->lost && queue->queued)
			error = shm__v4l2_dqbuf(queue, &done);
		if (!error && !done.shm)
			push(queue, &done);
		lost = queue->lost;
		pthread_mutex_unlock(&queue->lock);
		if (error || !done.shm)
			continue;

		metal_shm_unhold(done.shm, queue->dev, 0);
		done.held = false;
		stale = queue->output && !done.report;
		if (!stale) {
			pthread_mutex_lock(&queue->lock);
			stale = session != queue->session;
			if (!stale)
				push(queue, &done);
			pthread_mutex_unlock(&queue->lock);
		}
		if (stale)
			metal_shm_free(done.shm, NULL);
	} while (!error);
	if (lost)
		shm__v4l2_lose(queue);
}

/* Edge-triggered within: what is consumed here is fetched here, and an idle error state is quiet. */
int shm__v4l2_dispatch(struct metal_device *dev)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct shm__v4l2_node *node = queue->node;
	struct epoll_event event;
	int lost;

	if (epoll_wait(node->epoll_fd, &event, 1, 0) > 0)
		for (unsigned i = 0; i < 2; i++)
			if (node->queue[i])
				drain(node->queue[i]);
	pthread_mutex_lock(&queue->lock);
	lost = queue->lost;
	pthread_mutex_unlock(&queue->lock);
	if (lost)
		metal_shm_set_error(-lost, "%s: %s", metal_shm_device_name(dev), strerror(-lost));
	return lost;
}

/* Never the node's own descriptor: to poll that before the start makes vb2 start its read() mode. */
int shm__v4l2_poll_handle(struct metal_device *dev)
{
	return shm__v4l2_queue_of(dev)->node->epoll_fd;
}
