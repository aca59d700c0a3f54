/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands in a queue for one bracketed command:
 *
 *	deps    a marker: the queue's order, in an in-order queue
 *	tail    a marker that waits for after, an event of ours, so that whatever waits for the queue
 *	        (clFinish, barriers, the next commands of an in-order queue) waits for END as well
 *
 * and in a queue beside it
 *
 *	inner   the command, which waits for gate, an event of ours
 *
 * A command that ends a bracket starts nothing: it stands in the program's own queue, with its wait
 * list. The engine itself asks the others' wait lists: runtimes exist that never run, nor fail, what
 * is enqueued to wait for an event that has failed already.
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

/*
 * An import that comes twice is one use, and a writer if either is. Two imports of one DMA-BUF are both
 * writers if either is, so that the first START is enough.
 */
void layer_touch_import(struct layer_bracket *bracket, struct layer_import *import, bool write)
{
	bool known = false;

	for (size_t i = 0; i < bracket->use_count; i++) {
		struct layer_use *use = &bracket->uses[i];

		if (use->import->buffer != import->buffer)
			continue;
		known |= use->import == import;
		write |= use->write;
	}
	for (size_t i = 0; i < bracket->use_count; i++)
		if (bracket->uses[i].import->buffer == import->buffer)
			bracket->uses[i].write = write;
	if (known) {
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

void layer_touch_bracketed(struct layer_bracket *bracket, struct layer_import *import, bool write)
{
	if (import->bracketed && !import->external)
		layer_touch_import(bracket, import, write);
	else
		layer_import_put(import);
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
	layer_touch_bracketed(bracket, import, write);
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

/* Of the program's list and one more that may be NULL. */
static cl_int keep_waits(struct layer_bracket *bracket, struct layer_command *command,
			 cl_context context, cl_event barrier)
{
	size_t count = bracket->wait_count;

	if (!count && !barrier)
		return CL_SUCCESS;
	command->waits = calloc(count + 1, sizeof(cl_event));
	if (!command->waits)
		return CL_OUT_OF_HOST_MEMORY;
	for (size_t i = 0; i < count; i++) {
		cl_event event = bracket->wait_list[i];
		cl_context its = NULL;

		if (!event || layer_next.clRetainEvent(event) != CL_SUCCESS)
			return CL_INVALID_EVENT_WAIT_LIST;
		command->waits[command->wait_count++] = event;
		if (layer_next.clGetEventInfo(event, CL_EVENT_CONTEXT, sizeof(its), &its, NULL) !=
			    CL_SUCCESS ||
		    its != context)
			return CL_INVALID_CONTEXT;
	}
	if (barrier && layer_next.clRetainEvent(barrier) == CL_SUCCESS)
		command->waits[command->wait_count++] = barrier;
	return CL_SUCCESS;
}

/* What the command waits for before its START. */
static cl_int keep_deps(struct layer_bracket *bracket, struct layer_command *command,
			cl_context context)
{
	cl_event barrier;
	cl_int code;

	if (!bracket->wait_count != !bracket->wait_list)
		return CL_INVALID_EVENT_WAIT_LIST;
	if (!layer_queue_is_unordered(command->queue)) {
		code = keep_waits(bracket, command, context, NULL);
		if (code == CL_SUCCESS)
			code = layer_next.clEnqueueMarkerWithWaitList(command->queue, 0, NULL,
								      &command->deps);
		/*
		 * Some runtimes (rusticl) run what was flushed together as one: what the engine waits for
		 * must not share a flush with what waits for the engine.
		 */
		if (code == CL_SUCCESS)
			layer_next.clFlush(command->queue);
		return code;
	}
	barrier = layer_queue_barrier(command->queue);
	code = keep_waits(bracket, command, context, barrier);
	if (barrier)
		layer_next.clReleaseEvent(barrier);
	return code;
}

static cl_int make_events(struct layer_bracket *bracket, struct layer_command *command,
			  cl_context context)
{
	cl_int code;

	command->after = layer_next.clCreateUserEvent(context, &code);
	if (code == CL_SUCCESS && bracket->ret_event)
		command->done = layer_next.clCreateUserEvent(context, &code);
	if (code == CL_SUCCESS && command->mode != LAYER_FINISH)
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

/* From here on the call is the command's: what it waits for, where it runs, who hears of it. */
static cl_int redirect(struct layer_bracket *bracket, struct layer_command *command)
{
	cl_command_queue beside;

	bracket->event = &command->inner;
	bracket->blocking = CL_FALSE;
	if (command->mode == LAYER_FINISH)
		return CL_SUCCESS;
	beside = layer_queue_beside(command->queue);
	if (!beside)
		return CL_OUT_OF_RESOURCES;
	bracket->queue = beside;
	bracket->wait_count = 1;
	bracket->wait_list = &command->gate;
	return CL_SUCCESS;
}

static cl_int prepare(struct layer_bracket *bracket, enum layer_mode mode)
{
	struct layer_command *command;
	cl_context context;
	cl_int code = layer_engine_ready();

	if (code != CL_SUCCESS)
		return code;
	command = make_command(bracket);
	if (!command)
		return CL_OUT_OF_HOST_MEMORY;
	command->mode = mode;
	command->phase = mode == LAYER_FINISH ? LAYER_RUNS : LAYER_WAITS;
	code = layer_next.clGetCommandQueueInfo(command->queue, CL_QUEUE_CONTEXT, sizeof(context),
						&context, NULL);
	if (code == CL_SUCCESS)
		code = make_events(bracket, command, context);
	if (code == CL_SUCCESS && mode != LAYER_FINISH)
		code = keep_deps(bracket, command, context);
	if (code == CL_SUCCESS)
		code = redirect(bracket, command);
	if (code == CL_SUCCESS)
		bracket->command = command;
	else
		layer_command_put(command);
	return code;
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
	cl_int code = layer_next.clWaitForEvents(1, &command->after);
	cl_int status = atomic_load(&command->status);

	return status < 0 ? status : code;
}

/* The runtime has refused the call. */
static void give_up(struct layer_command *command)
{
	if (command->gate)
		layer_next.clSetUserEventStatus(command->gate, CL_COMPLETE);
	layer_next.clSetUserEventStatus(command->after, CL_COMPLETE);
	if (command->done)
		layer_next.clSetUserEventStatus(command->done, CL_COMPLETE);
	layer_command_put(command);
}

cl_int layer_close(struct layer_bracket *bracket, cl_int code)
{
	struct layer_command *command = bracket->command;

	if (!command)
		return code;
	if (code == CL_SUCCESS)
		layer_next.clFlush(bracket->queue);
	if (command->mode != LAYER_FINISH)
		layer_next.clReleaseCommandQueue(bracket->queue);
	if (code != CL_SUCCESS) {
		give_up(command);
		return code;
	}
	/*
	 * Where there is no memory for it the queue goes on without: what waits for the event is right. It
	 * is left for whoever flushes next, since clFinish() of rusticl waits for what it flushes itself.
	 */
	layer_next.clEnqueueMarkerWithWaitList(command->queue, 1, &command->after, &command->tail);
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
