/* SPDX-License-Identifier: BSD-3-Clause */
/* Flip events: reading them, and waiting for them from any thread. */
#include "drm_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t shm__drm_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t shm__drm_deadline_ns(int64_t timeout_ns)
{
	int64_t now_ns = shm__drm_now_ns();

	return timeout_ns < 0 || timeout_ns > INT64_MAX - now_ns ? METAL_SHM_FOREVER
								 : now_ns + timeout_ns;
}

void shm__drm_done_add(struct drm_done *done, const struct drm_view *view, int error)
{
	if (!view || !view->shm)
		return;
	done->entry[done->count].shm = view->shm;
	done->entry[done->count].error = error;
	done->count++;
}

void shm__drm_done_give_back(struct drm_device *d, struct drm_done *done)
{
	for (unsigned int i = 0; i < done->count; i++)
		metal_shm_unhold(done->entry[i].shm, d->dev, done->entry[i].error);
	done->count = 0;
}

/* The pending frame is on the screen, so the one before it is free. */
static void flipped(struct drm_device *d, const struct drm_event_vblank *event,
		    struct drm_done *done)
{
	if (!d->pending || event->user_data != d->cookie)
		return;
	shm__drm_done_add(done, d->front, 0);
	d->front = d->pending;
	d->pending = NULL;
	d->flip.sequence = event->sequence;
	d->flip.time_ns = (uint64_t)event->tv_sec * 1000000000 + (uint64_t)event->tv_usec * 1000;
	d->flip.count++;
}

/* With the lock held. One read, which takes all events that there are. */
static void read_events(struct drm_device *d, struct drm_done *done)
{
	_Alignas(struct drm_event_vblank) char buffer[512];
	ssize_t length = read(d->fd, buffer, sizeof(buffer));
	size_t at = 0;

	while (length > 0 && at + sizeof(struct drm_event) <= (size_t)length) {
		struct drm_event_vblank event = { .sequence = 0 };
		struct drm_event head;

		memcpy(&head, buffer + at, sizeof(head));
		if (head.length < sizeof(head) || at + head.length > (size_t)length)
			break;
		if (head.type == DRM_EVENT_FLIP_COMPLETE && head.length >= sizeof(event)) {
			memcpy(&event, buffer + at, sizeof(event));
			flipped(d, &event, done);
		}
		at += head.length;
	}
}

/*
 * With the lock held. Where another thread sleeps on the descriptors it is awake now and reads them
 * itself; the event of a commit that has not returned stays in the queue until then.
 */
static void collect(struct drm_device *d, bool expected, struct drm_done *done)
{
	const struct drm_view *pending = d->pending, *target = d->target;

	if (d->polling || d->committing)
		return;
	if (expected)
		read_events(d, done);
	if (target)
		shm__drm_writeback_collect(d, done);
	if (pending != d->pending || target != d->target)
		pthread_cond_broadcast(&d->changed);
}

static bool is_shown(const struct drm_device *d, bool written)
{
	return !d->committing && !d->pending && (!written || !d->target);
}

static int sleep_on_descriptors(struct drm_device *d, int64_t deadline_ns)
{
	struct pollfd fds[2];
	struct timespec left = { .tv_sec = 0 };
	nfds_t n = 0;
	int64_t ns;

	if (d->pending)
		fds[n++] = (struct pollfd){ .fd = d->fd, .events = POLLIN };
	if (d->target)
		fds[n++] = (struct pollfd){ .fd = d->target_fence, .events = POLLIN };
	d->polling = true;
	pthread_mutex_unlock(&d->lock);
	if (deadline_ns < 0) {
		ppoll(fds, n, NULL, NULL);
	} else {
		ns = deadline_ns - shm__drm_now_ns();
		if (ns > 0) {
			left.tv_sec = ns / 1000000000;
			left.tv_nsec = ns % 1000000000;
		}
		ppoll(fds, n, &left, NULL);
	}
	pthread_mutex_lock(&d->lock);
	d->polling = false;
	pthread_cond_broadcast(&d->changed);
	return deadline_ns >= 0 && shm__drm_now_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

/* Another thread sleeps on the descriptors, or commits, and will tell. */
static int sleep_on_other(struct drm_device *d, int64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = deadline_ns / 1000000000,
		.tv_nsec = deadline_ns % 1000000000,
	};

	if (deadline_ns < 0) {
		pthread_cond_wait(&d->changed, &d->lock);
		return 0;
	}
	return -pthread_cond_timedwait(&d->changed, &d->lock, &until);
}

/* Wait until the last commit is on the screen; written: its picture written back, too. */
int shm__drm_wait_shown(struct drm_device *d, bool written, int64_t timeout_ns,
			struct drm_done *done)
{
	int64_t deadline_ns = METAL_SHM_FOREVER;
	bool late = false;
	int ret = 0;

	pthread_mutex_lock(&d->lock);
	for (bool first = true;; first = false) {
		collect(d, d->pending, done);
		if (done->count > 2) {
			pthread_mutex_unlock(&d->lock);
			shm__drm_done_give_back(d, done);
			pthread_mutex_lock(&d->lock);
		}
		if (is_shown(d, written))
			break;
		if (late || !timeout_ns) {
			ret = -ETIMEDOUT;
			break;
		}
		/* A clock read costs a system call on some machines: none where nobody waits. */
		if (first && timeout_ns > 0)
			deadline_ns = shm__drm_deadline_ns(timeout_ns);
		if (d->polling || d->committing)
			late = sleep_on_other(d, deadline_ns) == -ETIMEDOUT;
		else
			late = sleep_on_descriptors(d, deadline_ns) == -ETIMEDOUT;
	}
	pthread_mutex_unlock(&d->lock);
	if (ret < 0)
		metal_shm_set_error(-ret, "%s: the frame before is not %s yet", d->name,
				    written && d->target ? "written back" : "shown");
	return ret;
}

int shm__drm_dispatch(struct metal_device *dev)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_done done = { .count = 0 };

	if (!d)
		return -EINVAL;
	pthread_mutex_lock(&d->lock);
	collect(d, true, &done);
	pthread_mutex_unlock(&d->lock);
	shm__drm_done_give_back(d, &done);
	return 0;
}

int shm__drm_poll_handle(struct metal_device *dev)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);

	return d ? d->poll_fd : -EINVAL;
}
