/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for frames, as one thread of several. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "internal.h"

#define NS_PER_S INT64_C(1000000000)

struct limit {
	int64_t timeout_ns;
	int64_t deadline_ns; /* 0: the clock was not read yet, which can be a system call */
	bool slept;
	int error; /* of FAILED */
};

enum slept { READY, AGAIN, EXPIRED, FAILED };

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t add_ns(int64_t at, int64_t span)
{
	return span < INT64_MAX - at ? at + span : INT64_MAX;
}

/* Nanoseconds left, or METAL_SHM_FOREVER. An only sleep needs no clock. */
static int64_t time_left(struct limit *limit, bool only)
{
	int64_t now;

	if (limit->timeout_ns <= 0)
		return limit->timeout_ns ? METAL_SHM_FOREVER : 0;
	if (only && !limit->slept)
		return limit->timeout_ns;
	now = now_ns();
	if (!limit->deadline_ns)
		limit->deadline_ns = add_ns(now, limit->timeout_ns);
	return limit->deadline_ns > now ? limit->deadline_ns - now : 0;
}

/* No frame is queued, so none comes until a device gives one back: look after the pool's devices. */
static enum slept sleep_starved(struct shm__v4l2_queue *queue, struct metal_shm_pool *pool,
				int64_t left, int *ret_error)
{
	int error = metal_shm_pool_wait(pool, queue->wake_fd, left);
	eventfd_t count;

	eventfd_read(queue->wake_fd, &count);
	if (error && error != -ETIMEDOUT) {
		*ret_error = error;
		return FAILED;
	}
	return error ? EXPIRED : AGAIN;
}

static enum slept sleep_polling(struct shm__v4l2_queue *queue, int64_t left)
{
	struct pollfd fds[2] = {
		{ .fd = queue->node->fd, .events = queue->output ? POLLOUT : POLLIN },
		{ .fd = queue->wake_fd, .events = POLLIN },
	};
	struct timespec span = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
	eventfd_t count;
	int ready = ppoll(fds, 2, left < 0 ? NULL : &span, NULL);

	if (ready <= 0)
		return ready ? AGAIN : EXPIRED;
	if (fds[1].revents)
		eventfd_read(queue->wake_fd, &count);
	return fds[0].revents ? READY : AGAIN;
}

/* Another thread polls: sleep until it has something or leaves. */
static enum slept follow(struct shm__v4l2_queue *queue, int64_t left)
{
	struct timespec until;
	int error = 0;
	int64_t at;

	queue->followers++;
	if (left < 0) {
		pthread_cond_wait(&queue->turn, &queue->lock);
	} else {
		at = add_ns(now_ns(), left);
		until.tv_sec = at / NS_PER_S;
		until.tv_nsec = at % NS_PER_S;
		error = pthread_cond_timedwait(&queue->turn, &queue->lock, &until);
	}
	queue->followers--;
	if (!queue->streaming)
		pthread_cond_broadcast(&queue->turn);
	return error == ETIMEDOUT ? EXPIRED : AGAIN;
}

/* Under the queue's lock, which is open meanwhile. */
static enum slept sleep_once(struct shm__v4l2_queue *queue, struct limit *limit)
{
	struct metal_shm_pool *pool = queue->pool;
	bool starved = pool && !queue->output && !queue->queued;
	int64_t left = time_left(limit, !starved && !queue->polled);
	enum slept slept;

	limit->slept = true;
	if (!left)
		return EXPIRED;
	if (queue->polled)
		return follow(queue, left);
	queue->polled = true;
	queue->starved = starved;
	pthread_mutex_unlock(&queue->lock);
	slept = starved ? sleep_starved(queue, pool, left, &limit->error)
			: sleep_polling(queue, left);
	pthread_mutex_lock(&queue->lock);
	queue->polled = false;
	queue->starved = false;
	/* a stop waits until the last has left */
	if (queue->followers || !queue->streaming)
		pthread_cond_broadcast(&queue->turn);
	return slept;
}

/* Under the queue's lock: a frame, -EAGAIN, or what ends the wait. */
static int next(struct shm__v4l2_queue *queue, bool ready, struct shm__v4l2_done *done)
{
	int error = -EAGAIN;

	if (!queue->streaming)
		return metal_shm_set_error(EINVAL, "%s is not started", queue->name);
	if (shm__v4l2_pop(queue, done))
		error = 0;
	else if (queue->lost)
		error = queue->lost;
	else if (queue->output && !queue->reports)
		return metal_shm_set_error(ENODATA, "%s has no frame queued that it shall report",
					   queue->name);
	else if (ready && queue->queued)
		error = shm__v4l2_dqbuf(queue, done);
	if (!error && done->report && queue->reports)
		queue->reports--;
	return error;
}

static int timed_out(const struct shm__v4l2_queue *queue)
{
	return metal_shm_set_error(ETIMEDOUT, "%s: no frame in time%s", queue->name,
				   queue->queued ? "" : ": none is queued, others have all");
}

/* Try again what could not be queued, and say so once. */
static int tell_stuck(struct shm__v4l2_queue *queue, int64_t timeout_ns,
		      struct shm__v4l2_done *done)
{
	int error = shm__v4l2_unstick(queue, timeout_ns);

	if (!error)
		return 0;
	done->info.error = METAL_SHM_V4L2_NOT_QUEUED;
	return metal_shm_set_error(EIO, "%s could not queue a frame again: %s", queue->name,
				   strerror(-error));
}

/* A frame, with its hold and reference; or what ends the wait. */
static int wait_frame(struct shm__v4l2_queue *queue, struct limit *limit,
		      struct shm__v4l2_done *done)
{
	enum slept slept = limit->timeout_ns ? AGAIN : READY;
	int error, lost;

	pthread_mutex_lock(&queue->lock);
	while ((error = next(queue, slept == READY, done)) == -EAGAIN) {
		if (queue->stuck) {
			pthread_mutex_unlock(&queue->lock);
			error = tell_stuck(queue, limit->timeout_ns, done);
			if (error)
				return error;
			pthread_mutex_lock(&queue->lock);
		} else if (slept == EXPIRED) {
			error = timed_out(queue);
			break;
		} else if (slept == FAILED) {
			error = limit->error;
			break;
		} else {
			slept = sleep_once(queue, limit);
		}
	}
	lost = queue->lost;
	pthread_mutex_unlock(&queue->lock);
	if (!error || error != lost)
		return error;
	shm__v4l2_lose(queue);
	done->info.error = METAL_SHM_V4L2_BROKEN;
	return metal_shm_set_error(-lost, "%s: %s", queue->name,
				   lost == -EIO ? "the queue broke: stop it and start again"
						: strerror(-lost));
}

static int damaged(const struct shm__v4l2_queue *queue, const struct metal_shm_v4l2_info *info)
{
	if (info->error == METAL_SHM_V4L2_SHORT)
		return metal_shm_set_error(EIO, "%s: frame %u has %llu bytes of %llu", queue->name,
					   info->sequence, (unsigned long long)info->bytes_used,
					   (unsigned long long)queue->least);
	return metal_shm_set_error(EIO, "%s: frame %u %s", queue->name, info->sequence,
				   info->error == METAL_SHM_V4L2_FLAGGED
					   ? "is damaged, says the driver"
					   : "does not start at the buffer's first byte");
}

int metal_shm_v4l2_wait(struct metal_device *dev, int64_t timeout_ns,
			struct metal_shm_v4l2_info *ret_info, struct metal_generic_shm **ret_shm)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct limit limit = { .timeout_ns = timeout_ns };
	struct shm__v4l2_done done;
	bool told;
	int error;

	if (!queue)
		return -errno;
	if (!ret_shm || (ret_info && ret_info->struct_size < sizeof(ret_info->struct_size)))
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_wait: NULL, or struct_size is "
						   "not set");
	do {
		memset(&done, 0, sizeof(done));
		error = wait_frame(queue, &limit, &done);
		if (!error && done.held)
			metal_shm_unhold(done.shm, dev, 0);
		told = error || !queue->output || done.report;
		if (!told)
			metal_shm_free(done.shm, NULL);
	} while (!told);
	if (!error && !done.shm)
		error = damaged(queue, &done.info);
	if (ret_info && (!error || error == -EIO)) {
		uint32_t size = ret_info->struct_size;

		memcpy(ret_info, &done.info, size < sizeof(done.info) ? size : sizeof(done.info));
		ret_info->struct_size = size;
	}
	if (!error)
		*ret_shm = done.shm;
	return error;
}
