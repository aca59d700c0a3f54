/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event of a bracketed command is one of ours that completes after END. Whoever asks it is answered
 * with the command's own type, queue, progress and times.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "layer.h"

struct tracked {
	cl_event event;
	struct layer_command *command;
	unsigned users; /* the program's references */
	bool over;
};

static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_events_guard = &events_lock;
static void *events;

static struct tracked *find(cl_event event)
{
	return layer_find(&events, event);
}

cl_int layer_event_add(struct layer_command *command)
{
	struct tracked *tracked = malloc(sizeof(*tracked));
	void *added;

	if (!tracked)
		return CL_OUT_OF_HOST_MEMORY;
	*tracked = (struct tracked){ .event = command->done, .command = command, .users = 1 };
	layer_command_get(command);
	layer_next.clRetainEvent(command->done);
	pthread_mutex_lock(&events_lock);
	added = tsearch(tracked, &events, layer_by_handle);
	pthread_mutex_unlock(&events_lock);
	if (added)
		return CL_SUCCESS;
	layer_next.clReleaseEvent(command->done);
	layer_command_put(command);
	free(tracked);
	return CL_OUT_OF_HOST_MEMORY;
}

/* The command that an event stands for, with a reference; NULL for every other event. */
static struct layer_command *command_of(cl_event event, cl_uint *ret_users)
{
	struct layer_command *command = NULL;
	struct tracked *tracked;

	if (layer_idle())
		return NULL;
	pthread_mutex_lock(&events_lock);
	tracked = find(event);
	if (tracked) {
		command = tracked->command;
		layer_command_get(command);
		*ret_users = tracked->users;
	}
	pthread_mutex_unlock(&events_lock);
	return command;
}

cl_int CL_API_CALL layer_retain_event(cl_event event)
{
	cl_int code = layer_next.clRetainEvent(event);
	struct tracked *tracked;

	if (layer_idle() || code != CL_SUCCESS)
		return code;
	pthread_mutex_lock(&events_lock);
	tracked = find(event);
	if (tracked)
		tracked->users++;
	pthread_mutex_unlock(&events_lock);
	return code;
}

/* Callbacks may ask an event that the program has released. Under the lock; tracked may be NULL. */
static struct layer_command *take_if_done_with(struct tracked *tracked)
{
	struct layer_command *command;

	if (!tracked || tracked->users || !tracked->over)
		return NULL;
	command = tracked->command;
	tdelete(tracked, &events, layer_by_handle);
	free(tracked);
	return command;
}

void layer_event_over(struct layer_command *command)
{
	struct layer_command *taken;
	struct tracked *tracked;

	if (!command->done)
		return;
	pthread_mutex_lock(&events_lock);
	tracked = find(command->done);
	if (tracked)
		tracked->over = true;
	taken = take_if_done_with(tracked);
	pthread_mutex_unlock(&events_lock);
	if (taken)
		layer_command_put(taken);
}

cl_int CL_API_CALL layer_release_event(cl_event event)
{
	struct layer_command *command = NULL;
	struct tracked *tracked;
	cl_int code;

	if (layer_idle())
		return layer_next.clReleaseEvent(event);
	pthread_mutex_lock(&events_lock);
	tracked = find(event);
	if (tracked && tracked->users)
		tracked->users--;
	command = take_if_done_with(tracked);
	pthread_mutex_unlock(&events_lock);
	code = layer_next.clReleaseEvent(event);
	if (command)
		layer_command_put(command);
	return code;
}

/* One answer as OpenCL gives it: size asked, value copied if there is room. */
cl_int layer_answer(const void *value, size_t value_size, size_t size, void *ret_value,
		    size_t *ret_size)
{
	if (ret_value && size < value_size)
		return CL_INVALID_VALUE;
	if (ret_value && value_size)
		memcpy(ret_value, value, value_size);
	if (ret_size)
		*ret_size = value_size;
	return CL_SUCCESS;
}

/* Not complete before END; until then no further than the command itself. */
static cl_int status_of(const struct layer_command *command)
{
	cl_int status = atomic_load(&command->status), inner = CL_QUEUED;

	if (status <= CL_COMPLETE)
		return status;
	if (layer_next.clGetEventInfo(command->inner, CL_EVENT_COMMAND_EXECUTION_STATUS,
				      sizeof(inner), &inner, NULL) != CL_SUCCESS)
		return CL_QUEUED;
	return inner < CL_RUNNING ? CL_RUNNING : inner;
}

cl_int CL_API_CALL layer_get_event_info(cl_event event, cl_event_info name, size_t size,
					void *value, size_t *ret_size)
{
	cl_uint users;
	struct layer_command *command = command_of(event, &users);
	cl_int status, code;

	if (!command)
		return layer_next.clGetEventInfo(event, name, size, value, ret_size);
	switch (name) {
	case CL_EVENT_COMMAND_TYPE:
		code = layer_answer(&command->type, sizeof(command->type), size, value, ret_size);
		break;
	case CL_EVENT_COMMAND_EXECUTION_STATUS:
		status = status_of(command);
		code = layer_answer(&status, sizeof(status), size, value, ret_size);
		break;
	case CL_EVENT_COMMAND_QUEUE:
		code = layer_answer(&command->queue, sizeof(command->queue), size, value, ret_size);
		break;
	case CL_EVENT_REFERENCE_COUNT:
		code = layer_answer(&users, sizeof(users), size, value, ret_size);
		break;
	default:
		code = layer_next.clGetEventInfo(event, name, size, value, ret_size);
	}
	layer_command_put(command);
	return code;
}

cl_int CL_API_CALL layer_get_event_profiling_info(cl_event event, cl_profiling_info name,
						  size_t size, void *value, size_t *ret_size)
{
	cl_uint users;
	struct layer_command *command = command_of(event, &users);
	cl_int code;

	if (!command)
		return layer_next.clGetEventProfilingInfo(event, name, size, value, ret_size);
	if (atomic_load(&command->status) != CL_COMPLETE)
		code = CL_PROFILING_INFO_NOT_AVAILABLE;
	else
		code = layer_next.clGetEventProfilingInfo(command->inner, name, size, value,
							  ret_size);
	layer_command_put(command);
	return code;
}

/* The engine tells: the runtime may never call back for a command that it didn't run. */
cl_int CL_API_CALL layer_set_event_callback(cl_event event, cl_int type,
					    void(CL_CALLBACK *notify)(cl_event, cl_int, void *),
					    void *user_data)
{
	cl_uint users;
	struct layer_command *command = command_of(event, &users);
	cl_int code;

	if (!command)
		return layer_next.clSetEventCallback(event, type, notify, user_data);
	if (!notify || (type != CL_COMPLETE && type != CL_RUNNING && type != CL_SUBMITTED))
		code = CL_INVALID_VALUE;
	else
		code = layer_engine_notify(command, type, notify, user_data);
	layer_command_put(command);
	return code;
}

/* To the program it is no user event. */
cl_int CL_API_CALL layer_set_user_event_status(cl_event event, cl_int status)
{
	cl_uint users;
	struct layer_command *command = command_of(event, &users);

	if (!command)
		return layer_next.clSetUserEventStatus(event, status);
	layer_command_put(command);
	return CL_INVALID_EVENT;
}
