/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What we know of the program's queues: the queue beside each in which bracketed commands run, and the
 * last barrier of those that are out of order: what it holds back has to be held back before its
 * START, too.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"

struct queue {
	cl_command_queue queue;
	unsigned users; /* the program's references */
	cl_command_queue beside;
	cl_event barrier; /* keeps the queue on some runtimes */
};

/* Guards the table. No OpenCL call but a retain is made under it. */
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_queues_guard = &queues_lock;
static void *queues;

/* Barriers of two threads are remembered in the order in which they were enqueued. */
static pthread_mutex_t barriers_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_barriers_guard = &barriers_lock;

bool layer_queue_is_unordered(cl_command_queue queue)
{
	cl_command_queue_properties properties = 0;

	return layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties),
						&properties, NULL) == CL_SUCCESS &&
	       (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

static struct queue *find(cl_command_queue queue)
{
	return layer_find(&queues, queue);
}

/* Under the lock. One that wasn't seen being made is taken to have one reference. NULL without memory. */
static struct queue *find_or_add(cl_command_queue queue)
{
	struct queue *record = find(queue);

	if (record)
		return record;
	record = calloc(1, sizeof(*record));
	if (!record)
		return NULL;
	record->queue = queue;
	record->users = 1;
	if (tsearch(record, &queues, layer_by_handle))
		return record;
	free(record);
	return NULL;
}

static void release_event(cl_event event)
{
	if (event)
		layer_next.clReleaseEvent(event);
}

static bool is_over(cl_event event)
{
	cl_int status = CL_QUEUED;

	return layer_next.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
					 &status, NULL) == CL_SUCCESS &&
	       status <= CL_COMPLETE;
}

/* Forget the barrier if it is still the last one. */
static void drop_barrier(cl_command_queue queue, cl_event barrier)
{
	struct queue *record;

	pthread_mutex_lock(&queues_lock);
	record = find(queue);
	if (record && record->barrier == barrier)
		record->barrier = NULL;
	else
		barrier = NULL;
	pthread_mutex_unlock(&queues_lock);
	release_event(barrier);
}

cl_event layer_queue_barrier(cl_command_queue queue)
{
	struct queue *record;
	cl_event barrier = NULL;

	pthread_mutex_lock(&queues_lock);
	record = find(queue);
	if (record && record->barrier && layer_next.clRetainEvent(record->barrier) == CL_SUCCESS)
		barrier = record->barrier;
	pthread_mutex_unlock(&queues_lock);
	if (!barrier || !is_over(barrier))
		return barrier;
	drop_barrier(queue, barrier);
	release_event(barrier);
	return NULL;
}

/* Takes the event over. */
static void set_barrier(cl_command_queue queue, cl_event barrier)
{
	struct queue *record;
	cl_event old = barrier;

	pthread_mutex_lock(&queues_lock);
	record = find_or_add(queue);
	if (record) {
		old = record->barrier;
		record->barrier = barrier;
	}
	pthread_mutex_unlock(&queues_lock);
	release_event(old);
}

/* Out of order where the device can: nothing in it waits for anything but its gate. */
static cl_command_queue make_beside(cl_command_queue queue)
{
	cl_command_queue_properties properties = 0;
	cl_context context = NULL;
	cl_device_id device = NULL;
	cl_command_queue beside;
	cl_int code;

	layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL);
	layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(device), &device, NULL);
	layer_next.clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties),
					 &properties, NULL);
	properties &= CL_QUEUE_PROFILING_ENABLE;
	beside = layer_next.clCreateCommandQueue(
		context, device, properties | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
	return beside ? beside
		      : layer_next.clCreateCommandQueue(context, device, properties, &code);
}

static cl_command_queue known_beside(cl_command_queue queue)
{
	cl_command_queue beside = NULL;
	struct queue *record;

	pthread_mutex_lock(&queues_lock);
	record = find(queue);
	if (record && record->beside &&
	    layer_next.clRetainCommandQueue(record->beside) == CL_SUCCESS)
		beside = record->beside;
	pthread_mutex_unlock(&queues_lock);
	return beside;
}

cl_command_queue layer_queue_beside(cl_command_queue queue)
{
	cl_command_queue beside = known_beside(queue), spare;
	struct queue *record;

	if (beside)
		return beside;
	spare = make_beside(queue);
	if (!spare)
		return NULL;
	pthread_mutex_lock(&queues_lock);
	record = find_or_add(queue);
	if (record && !record->beside) {
		record->beside = spare;
		spare = NULL;
	}
	pthread_mutex_unlock(&queues_lock);
	if (spare)
		layer_next.clReleaseCommandQueue(spare);
	return known_beside(queue);
}

/*
 * A barrier is held back by the one before it. PoCL 3.1 forgets that where the second has a list, so
 * the first is put into it.
 */
static cl_int enqueue_barrier(cl_command_queue queue, cl_uint count, const cl_event *list,
			      cl_event *event)
{
	cl_event before = count && list ? layer_queue_barrier(queue) : NULL, *both;
	cl_int code = CL_OUT_OF_HOST_MEMORY;

	if (!before)
		return layer_next.clEnqueueBarrierWithWaitList(queue, count, list, event);
	both = calloc((size_t)count + 1, sizeof(cl_event));
	if (both) {
		memcpy(both, list, count * sizeof(cl_event));
		both[count] = before;
		code = layer_next.clEnqueueBarrierWithWaitList(queue, count + 1, both, event);
	}
	free(both);
	layer_next.clReleaseEvent(before);
	return code;
}

cl_int CL_API_CALL layer_enqueue_barrier_with_wait_list(cl_command_queue queue, cl_uint wait_count,
							const cl_event *wait_list, cl_event *event)
{
	cl_event ours = NULL;
	cl_int code;

	if (!queue || !layer_queue_is_unordered(queue))
		return layer_next.clEnqueueBarrierWithWaitList(queue, wait_count, wait_list, event);
	pthread_mutex_lock(&barriers_lock);
	code = enqueue_barrier(queue, wait_count, wait_list, &ours);
	if (code == CL_SUCCESS) {
		if (event) {
			layer_next.clRetainEvent(ours);
			*event = ours;
		}
		set_barrier(queue, ours);
	}
	pthread_mutex_unlock(&barriers_lock);
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

cl_int CL_API_CALL layer_retain_command_queue(cl_command_queue queue)
{
	cl_int code = layer_next.clRetainCommandQueue(queue);
	struct queue *record;

	if (code != CL_SUCCESS)
		return code;
	pthread_mutex_lock(&queues_lock);
	record = find(queue);
	if (record)
		record->users++;
	pthread_mutex_unlock(&queues_lock);
	return CL_SUCCESS;
}

static void forget(struct queue *record)
{
	release_event(record->barrier);
	if (record->beside)
		layer_next.clReleaseCommandQueue(record->beside);
	free(record);
}

/* Takes the record out with the last of the references that go. NULL while there are others. */
static struct queue *take(cl_command_queue queue, bool all)
{
	struct queue *record;

	pthread_mutex_lock(&queues_lock);
	record = find(queue);
	if (record && !all && --record->users)
		record = NULL;
	if (record)
		tdelete(record, &queues, layer_by_handle);
	pthread_mutex_unlock(&queues_lock);
	return record;
}

/* The barrier and the queue beside go first: they may keep the queue, and its context. */
cl_int CL_API_CALL layer_release_command_queue(cl_command_queue queue)
{
	struct queue *record = queue ? take(queue, false) : NULL;

	if (record)
		forget(record);
	return layer_next.clReleaseCommandQueue(queue);
}

/* A new queue may have the address of one that is gone. */
static cl_command_queue made(cl_command_queue queue)
{
	struct queue *record = queue ? take(queue, true) : NULL;

	if (record)
		forget(record);
	if (!queue)
		return NULL;
	pthread_mutex_lock(&queues_lock);
	(void)find_or_add(queue);
	pthread_mutex_unlock(&queues_lock);
	return queue;
}

cl_command_queue CL_API_CALL layer_create_command_queue(cl_context context, cl_device_id device,
							cl_command_queue_properties properties,
							cl_int *errcode_ret)
{
	return made(layer_next.clCreateCommandQueue(context, device, properties, errcode_ret));
}

cl_command_queue CL_API_CALL layer_create_command_queue_with_properties(
	cl_context context, cl_device_id device, const cl_queue_properties *properties,
	cl_int *errcode_ret)
{
	return made(layer_next.clCreateCommandQueueWithProperties(context, device, properties,
								  errcode_ret));
}
