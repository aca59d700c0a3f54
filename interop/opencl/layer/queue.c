/* SPDX-License-Identifier: BSD-3-Clause */
/* Out-of-order queues: what a barrier holds back has to be held back before its START, too. */
#include <search.h>
#include <stdlib.h>

#include "calls.h"
#include "layer.h"

struct barrier {
	cl_command_queue queue;
	cl_event event;
};

static pthread_mutex_t barriers_lock = PTHREAD_MUTEX_INITIALIZER;
static void *barriers;

static pthread_mutex_t queue_locks[] = {
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
};

static pthread_mutex_t *lock_of(cl_command_queue queue)
{
	size_t count = sizeof(queue_locks) / sizeof(queue_locks[0]);

	return &queue_locks[((uintptr_t)queue >> 6) % count];
}

void layer_queue_lock(cl_command_queue queue)
{
	pthread_mutex_lock(lock_of(queue));
}

void layer_queue_unlock(cl_command_queue queue)
{
	pthread_mutex_unlock(lock_of(queue));
}

bool layer_queue_is_unordered(cl_command_queue queue)
{
	cl_command_queue_properties properties = 0;

	return layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties),
						&properties, NULL) == CL_SUCCESS &&
	       (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

static int compare(const void *left, const void *right)
{
	const struct barrier *a = left, *b = right;

	return ((uintptr_t)a->queue > (uintptr_t)b->queue) -
	       ((uintptr_t)a->queue < (uintptr_t)b->queue);
}

static bool is_over(cl_event event)
{
	cl_int status = CL_QUEUED;

	return layer_next.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
					 &status, NULL) == CL_SUCCESS &&
	       status == CL_COMPLETE;
}

/* Takes the record out. The event is the caller's. */
static cl_event take(cl_command_queue queue)
{
	struct barrier key = { .queue = queue }, *barrier = NULL;
	cl_event event = NULL;
	void *found;

	pthread_mutex_lock(&barriers_lock);
	found = tfind(&key, &barriers, compare);
	if (found) {
		barrier = *(struct barrier **)found;
		tdelete(&key, &barriers, compare);
	}
	pthread_mutex_unlock(&barriers_lock);
	if (barrier)
		event = barrier->event;
	free(barrier);
	return event;
}

/* Takes the event over. */
static void put(cl_command_queue queue, cl_event event)
{
	struct barrier *barrier = malloc(sizeof(*barrier)), *known = NULL;
	cl_event old = event;
	void *found;

	if (barrier) {
		*barrier = (struct barrier){ queue, event };
		pthread_mutex_lock(&barriers_lock);
		found = tsearch(barrier, &barriers, compare);
		if (found) {
			known = *(struct barrier **)found;
			old = NULL;
		}
		if (known && known != barrier) {
			old = known->event;
			known->event = event;
		}
		pthread_mutex_unlock(&barriers_lock);
		if (known != barrier)
			free(barrier);
	}
	if (old)
		layer_next.clReleaseEvent(old);
}

cl_event layer_queue_barrier(cl_command_queue queue)
{
	cl_event event = take(queue);

	if (!event)
		return NULL;
	if (is_over(event)) {
		layer_next.clReleaseEvent(event);
		return NULL;
	}
	layer_next.clRetainEvent(event);
	put(queue, event);
	return event;
}

static void forget(cl_command_queue queue)
{
	cl_event event = take(queue);

	if (event)
		layer_next.clReleaseEvent(event);
}

cl_int CL_API_CALL layer_enqueue_barrier_with_wait_list(cl_command_queue queue, cl_uint wait_count,
							const cl_event *wait_list, cl_event *event)
{
	cl_event ours = NULL;
	cl_int code;

	if (!queue || !layer_queue_is_unordered(queue))
		return layer_next.clEnqueueBarrierWithWaitList(queue, wait_count, wait_list, event);
	layer_queue_lock(queue);
	code = layer_next.clEnqueueBarrierWithWaitList(queue, wait_count, wait_list, &ours);
	if (code == CL_SUCCESS) {
		if (event) {
			layer_next.clRetainEvent(ours);
			*event = ours;
		}
		put(queue, ours);
	}
	layer_queue_unlock(queue);
	return code;
}

/* OpenCL 1.1's two barriers are today's one. */
cl_int CL_API_CALL layer_enqueue_barrier(cl_command_queue queue)
{
	if (!queue || !layer_queue_is_unordered(queue))
		return layer_next.clEnqueueBarrier(queue);
	return layer_enqueue_barrier_with_wait_list(queue, 0, NULL, NULL);
}

cl_int CL_API_CALL layer_enqueue_wait_for_events(cl_command_queue queue, cl_uint count,
						 const cl_event *events)
{
	if (!queue || !count || !events || !layer_queue_is_unordered(queue))
		return layer_next.clEnqueueWaitForEvents(queue, count, events);
	return layer_enqueue_barrier_with_wait_list(queue, count, events, NULL);
}

/* A barrier's event may keep the queue, so it goes before the queue's last reference. */
cl_int CL_API_CALL layer_release_command_queue(cl_command_queue queue)
{
	cl_event event = queue ? layer_queue_barrier(queue) : NULL;

	if (event)
		layer_next.clReleaseEvent(event);
	return layer_next.clReleaseCommandQueue(queue);
}

/* A new queue may have the address of one that is gone. */
cl_command_queue CL_API_CALL layer_create_command_queue(cl_context context, cl_device_id device,
							cl_command_queue_properties properties,
							cl_int *errcode_ret)
{
	cl_command_queue queue;

	queue = layer_next.clCreateCommandQueue(context, device, properties, errcode_ret);
	forget(queue);
	return queue;
}

cl_command_queue CL_API_CALL layer_create_command_queue_with_properties(
	cl_context context, cl_device_id device, const cl_queue_properties *properties,
	cl_int *errcode_ret)
{
	cl_command_queue queue;

	queue = layer_next.clCreateCommandQueueWithProperties(context, device, properties,
							      errcode_ret);
	forget(queue);
	return queue;
}
