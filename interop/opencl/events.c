/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Releases that are enqueued: how their completion is noticed, and what follows from it. The descriptor
 * is a timer's: a callback makes it expire at once, and while releases are pending it expires now and
 * then by itself, since a runtime may forget the callback of what failed (PoCL 3.1 does, where an
 * event of the wait list failed).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define LOOK_AGAIN_NS 200000000

/* What the runtime's callback has: it may run after everything else was closed. */
struct shm__cl_completion {
	atomic_uint refs;
	atomic_bool done;
	_Atomic cl_int status;
	struct shm__cl_notifier *notifier;
};

int shm__cl_notifier_create(struct shm__cl_notifier **ret_notifier)
{
	struct shm__cl_notifier *notifier = calloc(1, sizeof(*notifier));
	int error;

	if (!notifier)
		return metal_shm_set_error(ENOMEM, "no memory for a notifier");
	notifier->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (notifier->fd < 0) {
		error = metal_shm_set_error(errno, "timerfd_create: %s", strerror(errno));
		free(notifier);
		return error;
	}
	pthread_mutex_init(&notifier->lock, NULL);
	atomic_init(&notifier->refs, 1);
	*ret_notifier = notifier;
	return 0;
}

static void notifier_put(struct shm__cl_notifier *notifier)
{
	if (atomic_fetch_sub(&notifier->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&notifier->lock);
	free(notifier);
}

/* The descriptor goes now; the record when no callback can come any more. */
void shm__cl_notifier_close(struct shm__cl_notifier *notifier)
{
	if (!notifier)
		return;
	pthread_mutex_lock(&notifier->lock);
	close(notifier->fd);
	notifier->fd = -1;
	pthread_mutex_unlock(&notifier->lock);
	notifier_put(notifier);
}

void shm__cl_completion_ref(struct shm__cl_completion *completion)
{
	atomic_fetch_add(&completion->refs, 1);
}

static void expire_in(const struct shm__cl_notifier *notifier, long ns)
{
	const struct itimerspec in = { .it_value = { .tv_nsec = ns } };

	timerfd_settime(notifier->fd, 0, &in, NULL);
}

/* Under the lock, which makes this come before any callback of what is pending. */
void shm__cl_watch(const struct shm__cl *cl)
{
	expire_in(cl->notifier, LOOK_AGAIN_NS);
}

static void completion_put(struct shm__cl_completion *completion)
{
	if (atomic_fetch_sub(&completion->refs, 1) != 1)
		return;
	notifier_put(completion->notifier);
	free(completion);
}

static void CL_CALLBACK release_is_done(cl_event event, cl_int status, void *user)
{
	struct shm__cl_completion *completion = user;
	int saved = errno;

	(void)event;
	atomic_store(&completion->status, status);
	atomic_store(&completion->done, true);
	pthread_mutex_lock(&completion->notifier->lock);
	if (completion->notifier->fd >= 0)
		expire_in(completion->notifier, 1);
	pthread_mutex_unlock(&completion->notifier->lock);
	completion_put(completion);
	errno = saved;
}

struct shm__cl_pending *shm__cl_pending_new(struct shm__cl_view *view)
{
	struct shm__cl_pending *pending = calloc(1, sizeof(*pending));
	struct shm__cl_completion *completion = calloc(1, sizeof(*completion));

	if (!pending || !completion) {
		free(pending);
		free(completion);
		metal_shm_set_error(ENOMEM, "no memory for a release's record");
		return NULL;
	}
	completion->notifier = view->cl->notifier;
	atomic_fetch_add(&completion->notifier->refs, 1);
	atomic_init(&completion->refs, 1);
	pending->view = view;
	pending->completion = completion;
	return pending;
}

void shm__cl_pending_free(struct shm__cl_pending *pending)
{
	if (pending->event)
		clReleaseEvent(pending->event);
	completion_put(pending->completion);
	free(pending);
}

/* The event's own word counts too: waits for it may return before its callbacks ran. */
static bool pending_done(const struct shm__cl_pending *pending, cl_int *ret_status)
{
	cl_int status = CL_QUEUED;

	if (atomic_load(&pending->completion->done)) {
		*ret_status = atomic_load(&pending->completion->status);
		return true;
	}
	if (clGetEventInfo(pending->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
			   &status, NULL) != CL_SUCCESS)
		return false;
	*ret_status = status;
	return status <= CL_COMPLETE;
}

/*
 * Have the completion reported, which can be at once. The record belongs to dispatch() by now: only
 * the event and the completion, with a reference of each, are the caller's to give.
 */
void shm__cl_completion_arm(struct shm__cl_completion *completion, cl_event event)
{
	if (clSetEventCallback(event, CL_COMPLETE, release_is_done, completion) == CL_SUCCESS)
		return;
	clWaitForEvents(1, &event);
	release_is_done(event, CL_COMPLETE, completion);
}

int shm__cl_poll_handle(struct metal_device *dev)
{
	struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);

	return cl ? cl->notifier->fd : -errno;
}

/* Under the lock. */
static void take_done(struct shm__cl *cl, struct shm__cl_pending **ret_done)
{
	struct shm__cl_pending **link = &cl->pending, *pending;

	while ((pending = *link) != NULL) {
		if (!pending_done(pending, &pending->status)) {
			link = &pending->next;
			continue;
		}
		*link = pending->next;
		pending->next = *ret_done;
		*ret_done = pending;
	}
}

int shm__cl_dispatch(struct metal_device *dev)
{
	struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);
	struct shm__cl_pending *done = NULL, *pending;
	uint64_t count;

	if (!cl)
		return -errno;
	/* before looking: what comes later makes it readable again */
	if (read(cl->notifier->fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		return metal_shm_set_error(errno, "timerfd: %s", strerror(errno));
	pthread_mutex_lock(&cl->lock);
	take_done(cl, &done);
	if (cl->pending) {
		/* setting the timer can undo a callback's: look once more at what it meant */
		shm__cl_watch(cl);
		take_done(cl, &done);
	}
	pthread_mutex_unlock(&cl->lock);
	while ((pending = done) != NULL) {
		done = pending->next;
		metal_shm_unhold(pending->view->at->shm, dev, pending->status < 0 ? -EIO : 0);
		shm__cl_pending_free(pending);
	}
	return 0;
}

static struct shm__cl_view *find_acquired(struct shm__cl *cl, cl_command_queue *ret_queue)
{
	struct shm__cl_view *view;

	pthread_mutex_lock(&cl->lock);
	for (view = cl->views; view && !view->acquired; view = view->next)
		;
	if (view) {
		*ret_queue = view->queue;
		clRetainCommandQueue(*ret_queue);
	}
	pthread_mutex_unlock(&cl->lock);
	return view;
}

/*
 * Queued work can't be called back, and closing doesn't block: what was acquired is released behind
 * that work, and whoever waits for the bytes dispatches the rest.
 */
void shm__cl_shutdown(struct metal_device *dev)
{
	struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);
	struct shm__cl_view *view;
	cl_command_queue queue;
	int error = 0;

	while (!error && (view = find_acquired(cl, &queue)) != NULL) {
		error = metal_shm_opencl_enqueue_release(dev, queue, view->at->shm, 0, NULL, NULL);
		clReleaseCommandQueue(queue);
	}
	shm__cl_dispatch(dev);
}
