/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands in a queue for one bracketed command:
 *
 *	deps    a marker: what the command would have waited for. Not in an out-of-order queue where
 *	        the command waits for nothing.
 *	inner   the command, which waits for gate, an event of ours
 *	tail    a marker that waits for done, an event of ours, so that whatever waits for the queue
 *	        (clFinish, barriers, the next commands of an in-order queue) waits for END as well
 */
#include <stdlib.h>
#include <string.h>

#include "layer.h"

void layer_begin(struct layer_bracket *bracket, cl_command_queue queue, cl_command_type type,
		 cl_bool blocking, cl_uint wait_count, const cl_event *wait_list, cl_event *event)
{
	*bracket = (struct layer_bracket){
		.blocking = blocking,
		.wait_count = wait_count,
		.wait_list = wait_list,
		.event = event,
		.queue = queue,
		.type = type,
		.code = CL_SUCCESS,
		.ret_event = event,
		.ret_blocking = blocking,
		.use_room = sizeof(bracket->few) / sizeof(bracket->few[0]),
	};
	bracket->uses = bracket->few;
}

void layer_refuse(struct layer_bracket *bracket, cl_int code)
{
	if (bracket->code == CL_SUCCESS)
		bracket->code = code;
}

static bool make_room(struct layer_bracket *bracket)
{
	size_t room = bracket->use_room * 2;
	struct layer_use *uses;

	if (bracket->use_count < bracket->use_room)
		return true;
	uses = calloc(room, sizeof(*uses));
	if (!uses)
		return false;
	memcpy(uses, bracket->uses, bracket->use_count * sizeof(*uses));
	if (bracket->uses != bracket->few)
		free(bracket->uses);
	bracket->uses = uses;
	bracket->use_room = room;
	return true;
}

/* An import that comes twice is one use, and a writer if either is. */
void layer_touch_import(struct layer_bracket *bracket, struct layer_import *import, bool write)
{
	for (size_t i = 0; i < bracket->use_count; i++) {
		struct layer_use *use = &bracket->uses[i];

		if (use->import != import)
			continue;
		use->write |= write;
		layer_import_put(import);
		return;
	}
	if (!make_room(bracket)) {
		layer_import_put(import);
		layer_refuse(bracket, CL_OUT_OF_HOST_MEMORY);
		return;
	}
	bracket->uses[bracket->use_count++] = (struct layer_use){ import, write };
}

void layer_touch(struct layer_bracket *bracket, cl_mem mem, bool write)
{
	struct layer_import *import = layer_mem_import(mem);

	if (!import)
		return;
	if (write && !import->writable)
		layer_refuse(bracket, CL_INVALID_OPERATION);
	else if (!layer_import_is_whole(import))
		layer_refuse(bracket, CL_OUT_OF_RESOURCES);
	if (import->bracketed && !import->external)
		layer_touch_import(bracket, import, write);
	else
		layer_import_put(import);
}

void layer_touch_all(struct layer_bracket *bracket, cl_mem mem)
{
	struct layer_import *import = layer_mem_import(mem);
	bool writable = import && import->writable;

	if (!import)
		return;
	layer_import_put(import);
	layer_touch(bracket, mem, writable);
}

static void forget_uses(struct layer_bracket *bracket)
{
	for (size_t i = 0; i < bracket->use_count; i++)
		layer_import_put(bracket->uses[i].import);
	bracket->use_count = 0;
	if (bracket->uses != bracket->few)
		free(bracket->uses);
	bracket->uses = bracket->few;
}

/* What the command waits for before its START; none where it has nothing to wait for. */
static cl_int enqueue_deps(struct layer_bracket *bracket, struct layer_command *command)
{
	cl_event barrier, *list;
	cl_int code;

	if (!bracket->wait_count != !bracket->wait_list)
		return CL_INVALID_EVENT_WAIT_LIST;
	if (!layer_queue_is_unordered(bracket->queue))
		return layer_next.clEnqueueMarkerWithWaitList(bracket->queue, bracket->wait_count,
							      bracket->wait_list, &command->deps);
	barrier = layer_queue_barrier(bracket->queue);
	if (!bracket->wait_count && !barrier)
		return CL_SUCCESS;
	list = calloc((size_t)bracket->wait_count + 1, sizeof(cl_event));
	if (!list) {
		code = CL_OUT_OF_HOST_MEMORY;
	} else {
		if (bracket->wait_count)
			memcpy(list, bracket->wait_list, bracket->wait_count * sizeof(cl_event));
		list[bracket->wait_count] = barrier;
		code = layer_next.clEnqueueMarkerWithWaitList(
			bracket->queue, bracket->wait_count + (barrier ? 1 : 0), list,
			&command->deps);
		free(list);
	}
	if (barrier)
		layer_next.clReleaseEvent(barrier);
	return code;
}

static cl_int make_events(struct layer_command *command, enum layer_mode mode)
{
	cl_context context;
	cl_int code;

	code = layer_next.clGetCommandQueueInfo(command->queue, CL_QUEUE_CONTEXT, sizeof(context),
						&context, NULL);
	if (code == CL_SUCCESS)
		command->done = layer_next.clCreateUserEvent(context, &code);
	if (code == CL_SUCCESS && mode != LAYER_FINISH)
		command->gate = layer_next.clCreateUserEvent(context, &code);
	return code;
}

static struct layer_command *make_command(struct layer_bracket *bracket)
{
	struct layer_command *command;

	command = calloc(1, sizeof(*command) + bracket->use_count * sizeof(command->uses[0]));
	if (!command)
		return NULL;
	atomic_init(&command->refs, 1);
	atomic_init(&command->status, CL_QUEUED);
	command->queue = bracket->queue;
	command->type = bracket->type;
	for (size_t i = 0; i < bracket->use_count; i++)
		command->uses[i] = bracket->uses[i];
	command->use_count = bracket->use_count;
	bracket->use_count = 0;
	atomic_fetch_add(&layer_cares, 1);
	return command;
}

static cl_int prepare(struct layer_bracket *bracket, enum layer_mode mode)
{
	struct layer_command *command;
	cl_int code = layer_engine_ready();

	if (code != CL_SUCCESS)
		return code;
	code = layer_next.clRetainCommandQueue(bracket->queue);
	if (code != CL_SUCCESS)
		return code;
	command = make_command(bracket);
	if (!command) {
		layer_next.clReleaseCommandQueue(bracket->queue);
		return CL_OUT_OF_HOST_MEMORY;
	}
	command->mode = mode;
	command->phase = mode == LAYER_FINISH ? LAYER_RUNS : LAYER_WAITS;
	code = make_events(command, mode);
	if (code != CL_SUCCESS) {
		layer_command_put(command);
		return code;
	}
	layer_queue_lock(bracket->queue);
	if (mode != LAYER_FINISH)
		code = enqueue_deps(bracket, command);
	if (code != CL_SUCCESS) {
		layer_queue_unlock(bracket->queue);
		layer_command_put(command);
		return code;
	}
	bracket->command = command;
	if (mode != LAYER_FINISH) {
		bracket->wait_count = 1;
		bracket->wait_list = &command->gate;
	}
	bracket->event = &command->inner;
	bracket->blocking = CL_FALSE;
	return CL_SUCCESS;
}

cl_int layer_open(struct layer_bracket *bracket, enum layer_mode mode)
{
	if (bracket->code == CL_SUCCESS && bracket->use_count)
		bracket->code = prepare(bracket, mode);
	forget_uses(bracket);
	return bracket->code;
}

static cl_int wait_until_over(struct layer_command *command)
{
	cl_int code = layer_next.clWaitForEvents(1, &command->done);
	cl_int status = atomic_load(&command->status);

	return status < 0 ? status : code;
}

cl_int layer_close(struct layer_bracket *bracket, cl_int code)
{
	struct layer_command *command = bracket->command;
	cl_event tail = NULL;

	if (!command)
		return code;
	if (code != CL_SUCCESS) {
		layer_queue_unlock(bracket->queue);
		if (command->gate)
			layer_next.clSetUserEventStatus(command->gate, CL_COMPLETE);
		layer_next.clSetUserEventStatus(command->done, CL_COMPLETE);
		layer_command_put(command);
		return code;
	}
	/* Where there is no memory for it the queue goes on without: what waits for the event is right. */
	if (layer_next.clEnqueueMarkerWithWaitList(bracket->queue, 1, &command->done, &tail) ==
	    CL_SUCCESS)
		layer_next.clReleaseEvent(tail);
	layer_queue_unlock(bracket->queue);
	layer_next.clFlush(bracket->queue);
	if (bracket->ret_event) {
		code = layer_event_add(command);
		if (code == CL_SUCCESS)
			*bracket->ret_event = command->done;
	}
	layer_engine_add(command);
	if (code == CL_SUCCESS && bracket->ret_blocking)
		code = wait_until_over(command);
	layer_command_put(command);
	return code;
}
