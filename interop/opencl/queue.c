/* SPDX-License-Identifier: BSD-3-Clause */
/* Acquire and release: bytes change hands, commands are enqueued, and nothing waits for them. */
#include <stdlib.h>

#include "internal.h"

/* A wait list with events of our own behind the caller's. */
struct waits {
	cl_event *list;
	cl_uint n;
};

/* A queue of the device's context and device; NULL stands for the default one. */
static int check_queue(const struct shm__cl *cl, cl_command_queue *queue, bool *ret_out_of_order)
{
	cl_command_queue_properties properties = 0;
	cl_context context = NULL;
	cl_device_id device = NULL;
	cl_int code;

	*ret_out_of_order = cl->out_of_order;
	if (!*queue || *queue == cl->queue) {
		*queue = cl->queue;
		return 0;
	}
	code = clGetCommandQueueInfo(*queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL);
	if (code == CL_SUCCESS)
		code = clGetCommandQueueInfo(*queue, CL_QUEUE_DEVICE, sizeof(device), &device,
					     NULL);
	if (code == CL_SUCCESS)
		code = clGetCommandQueueInfo(*queue, CL_QUEUE_PROPERTIES, sizeof(properties),
					     &properties, NULL);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "clGetCommandQueueInfo");
	if (context != cl->context || device != cl->device)
		return metal_shm_set_error(EINVAL, "the queue is of another context or device");
	if (properties & CL_QUEUE_ON_DEVICE)
		return metal_shm_set_error(EINVAL, "the queue is on the device");
	*ret_out_of_order = properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
	return 0;
}

static struct shm__cl_transfer transfer_of(const struct shm__cl_view *view)
{
	const struct shm__cl_import *import = view->import;
	struct shm__cl_transfer transfer = {
		.mem = import->mem,
		.size = import->size,
		.dir = view->dir,
	};

	if (import->mapping)
		transfer.address = (char *)import->mapping->address + import->offset;
	return transfer;
}

/* Where the path has commands, the first acquire enqueues them and the others wait for it. */
static cl_int enqueue_path_acquire(struct shm__cl_view *view, cl_command_queue queue, cl_uint n,
				   const cl_event *wait_list, cl_event *ret_event)
{
	struct shm__cl_transfer transfer = transfer_of(view);
	struct shm__cl_import *import = view->import;
	cl_event events[2] = { import->acquired_event };
	cl_int code;

	if (!import->acquired) {
		code = import->path->acquire(view->cl, queue, &transfer, n, wait_list,
					     &import->acquired_event);
		if (code == CL_SUCCESS) {
			clRetainEvent(import->acquired_event);
			*ret_event = import->acquired_event;
		}
		return code;
	}
	if (!n)
		return clEnqueueMarkerWithWaitList(queue, 1, events, ret_event);
	code = clEnqueueMarkerWithWaitList(queue, n, wait_list, &events[1]);
	if (code != CL_SUCCESS)
		return code;
	code = clEnqueueMarkerWithWaitList(queue, 2, events, ret_event);
	clReleaseEvent(events[1]);
	return code;
}

/* Under the lock. */
static cl_int enqueue_acquire(struct shm__cl_view *view, cl_command_queue queue, bool out_of_order,
			      cl_uint n, const cl_event *wait_list, cl_event *ret_event)
{
	cl_event event;
	cl_int code;

	if (!view->import->path->acquire) {
		if (ret_event)
			return clEnqueueMarkerWithWaitList(queue, n, wait_list, ret_event);
		return n ? clEnqueueBarrierWithWaitList(queue, n, wait_list, NULL) : CL_SUCCESS;
	}
	code = enqueue_path_acquire(view, queue, n, wait_list, &event);
	if (code != CL_SUCCESS)
		return code;
	if (ret_event) {
		*ret_event = event;
		return CL_SUCCESS;
	}
	if (out_of_order)
		code = clEnqueueBarrierWithWaitList(queue, 1, &event, NULL);
	clReleaseEvent(event);
	if (code != CL_SUCCESS && !view->import->acquired) {
		clReleaseEvent(view->import->acquired_event);
		view->import->acquired_event = NULL;
	}
	return code;
}

int metal_shm_opencl_enqueue_acquire(struct metal_device *gpu, cl_command_queue queue,
				     struct metal_generic_shm *shm, enum metal_shm_dir dir,
				     cl_uint num_events, const cl_event *wait_list,
				     cl_event *ret_event)
{
	struct shm__cl_view *view;
	bool out_of_order, copied;
	struct shm__cl *cl;
	cl_int code;
	int error = shm__cl_view_of(gpu, shm, &view);

	if (error)
		return error;
	cl = view->cl;
	error = check_queue(cl, &queue, &out_of_order);
	if (error)
		return error;
	if (!num_events != !wait_list)
		return metal_shm_set_error(EINVAL, "a wait list without events, or the reverse");
	if (!view->import->writable && (dir & METAL_SHM_DIR_DEV_W))
		return metal_shm_set_error(EACCES, "the memory is read-only");
	error = metal_shm_hold(view->at->shm, gpu, dir, METAL_SHM_FOREVER);
	if (error)
		return error;

	pthread_mutex_lock(&cl->lock);
	copied = !view->import->path->shares && !view->import->acquired;
	code = enqueue_acquire(view, queue, out_of_order, num_events, wait_list, ret_event);
	if (code == CL_SUCCESS) {
		if (!view->acquired++)
			view->dir = dir;
		view->dir = (enum metal_shm_dir)((unsigned)view->dir | (unsigned)dir);
		view->import->acquired++;
		clRetainCommandQueue(queue);
		if (view->queue)
			clReleaseCommandQueue(view->queue);
		view->queue = queue;
	}
	pthread_mutex_unlock(&cl->lock);
	if (code != CL_SUCCESS) {
		error = shm__cl_error(code, "enqueueing an acquire");
		metal_shm_unhold(view->at->shm, gpu, 0);
		return error;
	}
	if (copied)
		metal_shm_count_copied(shm, gpu, view->import->size);
	return 0;
}

/* The caller's events, the acquire's, and those of earlier releases: all work since the acquire. */
static int collect_waits(const struct shm__cl_import *import, const struct shm__cl *cl, cl_uint n,
			 const cl_event *wait_list, cl_event marker, struct waits *ret)
{
	const struct shm__cl_pending *pending;
	size_t room = (size_t)n + 2;

	for (pending = cl->pending; pending; pending = pending->next)
		room++;
	ret->n = 0;
	ret->list = calloc(room, sizeof(ret->list[0]));
	if (!ret->list)
		return CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; i < n; i++)
		ret->list[ret->n++] = wait_list[i];
	if (marker)
		ret->list[ret->n++] = marker;
	ret->list[ret->n++] = import->acquired_event;
	for (pending = cl->pending; pending; pending = pending->next)
		if (pending->view->import == import)
			ret->list[ret->n++] = pending->event;
	return CL_SUCCESS;
}

static cl_int enqueue_path_release(struct shm__cl_view *view, cl_command_queue queue,
				   bool out_of_order, cl_uint n, const cl_event *wait_list,
				   cl_event *ret_event)
{
	struct shm__cl_transfer transfer = transfer_of(view);
	struct shm__cl_import *import = view->import;
	cl_event marker = NULL;
	struct waits waits;
	cl_int code = CL_SUCCESS;

	if (!n && out_of_order)
		code = clEnqueueMarkerWithWaitList(queue, 0, NULL, &marker);
	if (code == CL_SUCCESS)
		code = collect_waits(import, view->cl, n, wait_list, marker, &waits);
	if (code == CL_SUCCESS) {
		code = import->path->release(view->cl, queue, &transfer, waits.n, waits.list,
					     ret_event);
		free(waits.list);
	}
	if (marker)
		clReleaseEvent(marker);
	if (code == CL_SUCCESS) {
		clReleaseEvent(import->acquired_event);
		import->acquired_event = NULL;
	}
	return code;
}

/* Under the lock. */
static int enqueue_release(struct shm__cl_view *view, cl_command_queue queue, bool out_of_order,
			   cl_uint n, const cl_event *wait_list, struct shm__cl_pending *pending)
{
	struct shm__cl_import *import = view->import;
	struct shm__cl *cl = view->cl;
	cl_int code;

	if (!view->acquired)
		return metal_shm_set_error(EINVAL, "a release without an acquire");
	if (import->path->release && import->acquired == 1)
		code = enqueue_path_release(view, queue, out_of_order, n, wait_list,
					    &pending->event);
	else
		code = clEnqueueMarkerWithWaitList(queue, n, wait_list, &pending->event);
	if (code != CL_SUCCESS)
		return shm__cl_error(code, "enqueueing a release");
	import->acquired--;
	if (!--view->acquired) {
		clReleaseCommandQueue(view->queue);
		view->queue = NULL;
	}
	if (!cl->pending)
		shm__cl_watch(cl);
	pending->next = cl->pending;
	cl->pending = pending;
	return 0;
}

int metal_shm_opencl_enqueue_release(struct metal_device *gpu, cl_command_queue queue,
				     struct metal_generic_shm *shm, cl_uint num_events,
				     const cl_event *wait_list, cl_event *ret_event)
{
	struct shm__cl_pending *pending;
	struct shm__cl_completion *completion;
	struct shm__cl_view *view;
	bool out_of_order, copied;
	struct shm__cl *cl;
	cl_event event;
	int error = shm__cl_view_of(gpu, shm, &view);

	if (error)
		return error;
	cl = view->cl;
	error = check_queue(cl, &queue, &out_of_order);
	if (error)
		return error;
	if (!num_events != !wait_list)
		return metal_shm_set_error(EINVAL, "a wait list without events, or the reverse");
	pending = shm__cl_pending_new(view);
	if (!pending)
		return -ENOMEM;
	completion = pending->completion;

	pthread_mutex_lock(&cl->lock);
	copied = !view->import->path->shares && view->import->acquired == 1 &&
		 (view->dir & METAL_SHM_DIR_DEV_W);
	error = enqueue_release(view, queue, out_of_order, num_events, wait_list, pending);
	if (!error) {
		/* from here on a dispatch can end both the record and the view */
		event = pending->event;
		clRetainEvent(event);
		shm__cl_completion_ref(completion);
		if (copied)
			metal_shm_count_copied(view->at->shm, gpu, view->import->size);
	}
	pthread_mutex_unlock(&cl->lock);
	if (error) {
		shm__cl_pending_free(pending);
		return error;
	}
	shm__cl_completion_arm(completion, event);
	clFlush(queue);
	if (ret_event)
		*ret_event = event;
	else
		clReleaseEvent(event);
	return 0;
}

int metal_shm_opencl_acquire(struct metal_device *gpu, struct metal_generic_shm *shm,
			     enum metal_shm_dir dir)
{
	return metal_shm_opencl_enqueue_acquire(gpu, NULL, shm, dir, 0, NULL, NULL);
}

int metal_shm_opencl_release(struct metal_device *gpu, struct metal_generic_shm *shm)
{
	return metal_shm_opencl_enqueue_release(gpu, NULL, shm, 0, NULL, NULL);
}
