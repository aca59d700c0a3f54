/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread that takes commands through their syncs: it waits for what they wait for, for the
 * DMA-BUFs' fences, issues START, lets them run, issues END, completes their events. Nothing of that
 * may be done where the runtime calls back: what waits for an event may go on before its callbacks
 * ran, and some runtimes make no callback at all for a command whose wait list failed. So callbacks
 * only wake the thread, and what stays silent is asked now and then.
 *
 * START waits for fences too, but without bound and with its cache work done before: a device that
 * still writes would undo it. So they are waited for first, by poll, together.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "layer.h"

#define ASK_MS  20
#define FEW_FDS 64

static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static struct layer_command *arrived;  /* under engine_lock, newest first */
static struct layer_import *abandoned; /* under engine_lock */
static bool running, stopping;
static pid_t owner; /* a child after fork has the variables and not the thread */
static pthread_t thread;
static int wake_fd = -1;

/* The thread's alone. */
static struct layer_command *commands;

void layer_command_get(struct layer_command *command)
{
	atomic_fetch_add(&command->refs, 1);
}

static void event_put(cl_event event)
{
	if (event)
		layer_next.clReleaseEvent(event);
}

void layer_command_put(struct layer_command *command)
{
	if (atomic_fetch_sub(&command->refs, 1) != 1)
		return;
	event_put(command->deps);
	event_put(command->gate);
	event_put(command->inner);
	event_put(command->done);
	for (size_t i = 0; i < command->use_count; i++)
		layer_import_put(command->uses[i].import);
	layer_next.clReleaseCommandQueue(command->queue);
	free(command);
	atomic_fetch_sub(&layer_cares, 1);
}

static void wake(void)
{
	const uint64_t one = 1;

	/* A full counter wakes as well. */
	(void)!write(wake_fd, &one, sizeof(one));
}

static void CL_CALLBACK event_changed(cl_event event, cl_int status, void *user_data)
{
	(void)event;
	(void)status;
	(void)user_data;
	wake();
}

/* CL_COMPLETE, greater while it is to come, negative once it failed. */
static cl_int status_of(cl_event event)
{
	cl_int status = CL_OUT_OF_RESOURCES;

	if (!event)
		return CL_COMPLETE;
	if (layer_next.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
				      &status, NULL) != CL_SUCCESS)
		return CL_OUT_OF_RESOURCES;
	return status;
}

static void complete(struct layer_command *command, cl_int status)
{
	struct layer_callback *callbacks, *callback;

	pthread_mutex_lock(&engine_lock);
	atomic_store(&command->status, status);
	callbacks = command->callbacks;
	command->callbacks = NULL;
	pthread_mutex_unlock(&engine_lock);
	command->phase = LAYER_OVER;
	layer_next.clSetUserEventStatus(command->done, status);
	while ((callback = callbacks) != NULL) {
		callbacks = callback->next;
		callback->notify(command->done, status < 0 ? status : callback->type,
				 callback->user_data);
		free(callback);
	}
}

static cl_int end_all(struct layer_command *command, size_t count)
{
	cl_int code = CL_COMPLETE;

	for (size_t i = 0; i < count; i++) {
		struct layer_import *import = command->uses[i].import;

		if (command->mode == LAYER_FINISH) {
			if (!import->held)
				continue;
			import->held--;
		}
		if (layer_buffer_end(import->buffer)) {
			layer_stats_add(LAYER_FAILED_SYNCS);
			code = CL_OUT_OF_RESOURCES;
		}
	}
	return code;
}

static cl_int start_all(struct layer_command *command)
{
	for (size_t i = 0; i < command->use_count; i++) {
		const struct layer_use *use = &command->uses[i];

		if (layer_import_is_whole(use->import) &&
		    !layer_buffer_start(use->import->buffer, use->write))
			continue;
		layer_stats_add(LAYER_FAILED_SYNCS);
		end_all(command, i);
		return CL_OUT_OF_RESOURCES;
	}
	layer_stats_add(LAYER_BRACKETS);
	return CL_COMPLETE;
}

/* A command that may not run never does, and its event fails with the reason. */
static void refuse(struct layer_command *command, cl_int status)
{
	layer_next.clSetUserEventStatus(command->gate, status);
	complete(command, status);
}

static void start(struct layer_command *command)
{
	cl_int status = start_all(command);

	if (status != CL_COMPLETE) {
		refuse(command, status);
		return;
	}
	command->started = true;
	command->phase = LAYER_RUNS;
	layer_next.clSetUserEventStatus(command->gate, CL_COMPLETE);
}

static void finish(struct layer_command *command, cl_int status)
{
	cl_int synced = CL_COMPLETE;

	if (command->mode == LAYER_BEGIN && status == CL_COMPLETE)
		for (size_t i = 0; i < command->use_count; i++)
			command->uses[i].import->held++;
	else
		synced = end_all(command, command->use_count);
	complete(command, status < 0 ? status : synced);
}

/* Whether fences of devices are still to be waited for; the fds to poll where fds isn't NULL. */
static bool fenced(const struct layer_command *command, struct pollfd *fds, size_t room,
		   size_t *count)
{
	bool pending = false;

	for (size_t i = 0; i < command->use_count; i++) {
		const struct layer_use *use = &command->uses[i];
		struct pollfd fd = { .fd = use->import->buffer->fd,
				     /* POLLIN: nobody writes; POLLOUT: nobody reads either */
				     .events = use->write ? POLLOUT : POLLIN };

		if (!use->import->buffer->dmabuf || poll(&fd, 1, 0) != 0)
			continue;
		pending = true;
		if (*count < room)
			fds[(*count)++] = fd;
	}
	return pending;
}

static void advance(struct layer_command *command, struct pollfd *fds, size_t room, size_t *count)
{
	cl_int status;

	if (command->phase == LAYER_WAITS) {
		status = status_of(command->deps);
		if (status < 0)
			refuse(command, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		else if (status == CL_COMPLETE)
			command->phase = LAYER_FENCES;
	}
	if (command->phase == LAYER_FENCES && !fenced(command, fds, room, count))
		start(command);
	if (command->phase == LAYER_RUNS) {
		status = status_of(command->inner);
		if (status <= CL_COMPLETE)
			finish(command, status);
	}
}

static void end_abandoned(void)
{
	struct layer_import *list, *import;

	pthread_mutex_lock(&engine_lock);
	list = abandoned;
	abandoned = NULL;
	pthread_mutex_unlock(&engine_lock);
	while ((import = list) != NULL) {
		list = import->next;
		for (; import->held; import->held--)
			layer_buffer_end(import->buffer);
		layer_import_put(import);
	}
}

/* New commands go to the end: they start in the order in which they were enqueued. */
static void take_arrived(void)
{
	struct layer_command **tail = &commands, *command, *reversed = NULL;

	pthread_mutex_lock(&engine_lock);
	while ((command = arrived) != NULL) {
		arrived = command->next;
		command->next = reversed;
		reversed = command;
	}
	pthread_mutex_unlock(&engine_lock);
	while (*tail)
		tail = &(*tail)->next;
	*tail = reversed;
}

static bool should_stop(void)
{
	bool stop;

	pthread_mutex_lock(&engine_lock);
	stop = stopping;
	pthread_mutex_unlock(&engine_lock);
	return stop;
}

static void *run(void *unused)
{
	struct pollfd fds[FEW_FDS];
	uint64_t value;

	(void)unused;
	while (!should_stop()) {
		struct layer_command **link = &commands, *command;
		size_t count = 1;

		fds[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
		take_arrived();
		end_abandoned();
		while ((command = *link) != NULL) {
			advance(command, fds, FEW_FDS, &count);
			if (command->phase != LAYER_OVER) {
				link = &command->next;
				continue;
			}
			*link = command->next;
			layer_command_put(command);
		}
		poll(fds, count, commands ? ASK_MS : -1);
		(void)!read(wake_fd, &value, sizeof(value));
	}
	return NULL;
}

cl_int layer_engine_ready(void)
{
	cl_int code = CL_SUCCESS;

	pthread_mutex_lock(&engine_lock);
	if (running && owner != getpid()) {
		code = CL_OUT_OF_RESOURCES;
	} else if (!running) {
		if (wake_fd < 0)
			wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (wake_fd < 0 || pthread_create(&thread, NULL, run, NULL)) {
			code = CL_OUT_OF_RESOURCES;
		} else {
			running = true;
			owner = getpid();
		}
	}
	pthread_mutex_unlock(&engine_lock);
	return code;
}

void layer_engine_add(struct layer_command *command)
{
	layer_command_get(command);
	/* Without a callback the thread asks. */
	if (command->deps)
		layer_next.clSetEventCallback(command->deps, CL_COMPLETE, event_changed, NULL);
	layer_next.clSetEventCallback(command->inner, CL_COMPLETE, event_changed, NULL);
	pthread_mutex_lock(&engine_lock);
	command->next = arrived;
	arrived = command;
	pthread_mutex_unlock(&engine_lock);
	wake();
}

bool layer_engine_abandon(struct layer_import *import)
{
	bool taken;

	pthread_mutex_lock(&engine_lock);
	taken = running && owner == getpid() && !stopping;
	if (taken) {
		import->next = abandoned;
		abandoned = import;
	}
	pthread_mutex_unlock(&engine_lock);
	if (taken)
		wake();
	return taken;
}

cl_int layer_engine_notify(struct layer_command *command, cl_int type,
			   void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *user_data)
{
	struct layer_callback *callback = malloc(sizeof(*callback));
	cl_int status;

	if (!callback)
		return CL_OUT_OF_HOST_MEMORY;
	*callback = (struct layer_callback){
		.notify = notify,
		.user_data = user_data,
		.type = type,
	};
	pthread_mutex_lock(&engine_lock);
	status = atomic_load(&command->status);
	if (status > CL_COMPLETE) {
		callback->next = command->callbacks;
		command->callbacks = callback;
		callback = NULL;
	}
	pthread_mutex_unlock(&engine_lock);
	if (callback) {
		free(callback);
		notify(command->done, status < 0 ? status : type, user_data);
	}
	return CL_SUCCESS;
}

/* At the process's end, before the runtime's own goes on: commands under way stay where they are. */
void layer_engine_stop(void)
{
	bool join;

	pthread_mutex_lock(&engine_lock);
	join = running && owner == getpid();
	stopping = true;
	pthread_mutex_unlock(&engine_lock);
	if (!join)
		return;
	wake();
	pthread_join(thread, NULL);
}
