/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread that takes commands through their syncs: it waits for what they wait for, for the
 * DMA-BUFs' fences, issues START, lets them run, issues END, completes their events. Nothing of that
 * may be done where the runtime calls back: what waits for an event may go on before its callbacks
 * ran, and some runtimes make no callback at all for a command whose wait list failed. So callbacks
 * only name the command to the thread, and what stays silent is asked now and then.
 *
 * START waits for fences too, but without bound and with its cache work done before: a device that
 * still writes would undo it. So they are waited for first, by poll, together.
 */
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "layer.h"

#define ASK_MS 20
/* PoCL 3.1 touches an event for a moment after it has failed, whoever else let go of it. */
#define BURIED_MS 1000
#define FEW_FDS   64

static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t *const layer_engine_guard = &engine_lock;
static struct layer_command *ready, **ready_tail = &ready; /* under engine_lock, with references */
static void *by_id;                                        /* under engine_lock */
static uintptr_t last_id;                                  /* under engine_lock */
static struct layer_import *abandoned;                     /* under engine_lock */
static bool running, stopping;
static pthread_t thread;
static int wake_fd = -1;

/* The thread's alone: those that wait for an event, for a fence, and those that are over. */
static struct layer_command *waiting, *fenced, *over, *buried, **buried_tail = &buried;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(void)
{
	const uint64_t one = 1;

	/* A full counter wakes as well. */
	(void)!write(wake_fd, &one, sizeof(one));
}

static int compare(const void *left, const void *right)
{
	const struct layer_command *a = left, *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

/* Under engine_lock. */
static void make_ready(struct layer_command *command)
{
	if (command->ready)
		return;
	layer_command_get(command);
	command->ready = true;
	command->next_ready = NULL;
	*ready_tail = command;
	ready_tail = &command->next_ready;
}

/* By number: the command may be long gone, and a callback that never comes would keep a reference. */
static void CL_CALLBACK event_changed(cl_event event, cl_int status, void *user_data)
{
	const struct layer_command key = { .id = (uintptr_t)user_data };
	void *found;

	(void)event;
	(void)status;
	pthread_mutex_lock(&engine_lock);
	found = tfind(&key, &by_id, compare);
	if (found)
		make_ready(*(struct layer_command **)found);
	pthread_mutex_unlock(&engine_lock);
	if (found)
		wake();
}

/* Without a callback the thread asks. */
static void watch(struct layer_command *command, cl_event event, cl_int type)
{
	layer_next.clSetEventCallback(event, type, event_changed, (void *)command->id);
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

static void unlist(struct layer_command *command)
{
	if (!command->link)
		return;
	*command->link = command->next;
	if (command->next)
		command->next->link = command->link;
	command->link = NULL;
}

static void list(struct layer_command **head, struct layer_command *command)
{
	unlist(command);
	command->next = *head;
	command->link = head;
	if (*head)
		(*head)->link = &command->next;
	*head = command;
}

/* Call those that wait for no more than the status, all if it is an end. The list is newest first. */
static void tell(struct layer_command *command, cl_int status)
{
	struct layer_callback **link = &command->callbacks, *due = NULL, *callback;

	pthread_mutex_lock(&engine_lock);
	while ((callback = *link) != NULL) {
		if (status > callback->type) {
			link = &callback->next;
			continue;
		}
		*link = callback->next;
		callback->next = due;
		due = callback;
	}
	pthread_mutex_unlock(&engine_lock);
	while ((callback = due) != NULL) {
		due = callback->next;
		callback->notify(command->done, status < 0 ? status : callback->type,
				 callback->user_data);
		free(callback);
	}
}

/* The imports go first: who waited for the end and releases them finds nothing left. */
static void complete(struct layer_command *command, cl_int status)
{
	pthread_mutex_lock(&engine_lock);
	tdelete(command, &by_id, compare);
	atomic_store(&command->status, status);
	pthread_mutex_unlock(&engine_lock);
	command->phase = LAYER_OVER;
	layer_command_put_uses(command);
	if (command->done)
		layer_next.clSetUserEventStatus(command->done, status);
	layer_next.clSetUserEventStatus(command->after, CL_COMPLETE);
	tell(command, status);
	layer_event_over(command);
	unlist(command);
	if (status == CL_COMPLETE) {
		command->next = over;
		over = command;
		return;
	}
	command->buried_ms = now_ms();
	command->next = NULL;
	*buried_tail = command;
	buried_tail = &command->next;
}

/* A command that may not run never does, and its event fails with the reason. */
static void refuse(struct layer_command *command, cl_int status)
{
	layer_next.clSetUserEventStatus(command->gate, status);
	complete(command, status);
}

/* CL_COMPLETE once all is that the command waits for. */
static cl_int ask_waits(struct layer_command *command)
{
	cl_int status = CL_COMPLETE;

	while (command->waited < command->wait_count) {
		cl_event event = command->waits[command->waited];

		status = status_of(event);
		if (status != CL_COMPLETE)
			return status;
		command->waited++;
		if (command->waited < command->wait_count)
			watch(command, command->waits[command->waited], CL_COMPLETE);
	}
	return status_of(command->deps);
}

static void start(struct layer_command *command)
{
	cl_int status = layer_command_start(command);

	if (status != CL_COMPLETE) {
		refuse(command, status);
		return;
	}
	command->phase = LAYER_RUNS;
	list(&waiting, command);
	layer_next.clSetUserEventStatus(command->gate, CL_COMPLETE);
}

static void advance(struct layer_command *command, struct pollfd *fds, size_t *count)
{
	cl_int status;

	if (command->phase == LAYER_WAITS) {
		status = ask_waits(command);
		if (status < 0)
			refuse(command, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		else if (status == CL_COMPLETE)
			command->phase = LAYER_FENCES;
	}
	if (command->phase == LAYER_FENCES) {
		if (layer_command_is_fenced(command, fds, FEW_FDS, count))
			list(&fenced, command);
		else
			start(command);
	}
	if (command->phase == LAYER_RUNS) {
		status = status_of(command->inner);
		if (status > CL_COMPLETE)
			tell(command, status);
		else
			complete(command, layer_command_end(command, status));
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

static struct layer_command *take_ready(void)
{
	struct layer_command *command;

	pthread_mutex_lock(&engine_lock);
	command = ready;
	if (command) {
		command->ready = false;
		ready = command->next_ready;
		if (!ready)
			ready_tail = &ready;
	}
	pthread_mutex_unlock(&engine_lock);
	return command;
}

/* Those that were handed over or called back, in that order. */
static void advance_ready(struct pollfd *fds, size_t *count)
{
	struct layer_command *command;

	while ((command = take_ready()) != NULL) {
		if (!command->link && command->phase != LAYER_OVER)
			list(&waiting, command);
		if (command->phase != LAYER_FENCES)
			advance(command, fds, count);
		layer_command_put(command);
	}
}

static void advance_all(struct layer_command *head, struct pollfd *fds, size_t *count)
{
	struct layer_command *next;

	for (; head; head = next) {
		next = head->next;
		advance(head, fds, count);
	}
}

static void put_over(int64_t now)
{
	struct layer_command *command;

	while ((command = over) != NULL) {
		over = command->next;
		layer_command_put(command);
	}

	while ((command = buried) != NULL && now - command->buried_ms >= BURIED_MS) {
		buried = command->next;
		if (!buried)
			buried_tail = &buried;
		layer_command_put(command);
	}
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
	int64_t now, asked = 0;
	uint64_t value;

	(void)unused;
	while (!should_stop()) {
		size_t count = 1;

		fds[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
		now = now_ms();
		end_abandoned();
		advance_all(fenced, fds, &count);
		advance_ready(fds, &count);
		if (now - asked >= ASK_MS) {
			advance_all(waiting, fds, &count);
			asked = now;
		}
		put_over(now);
		poll(fds, count, waiting || fenced || buried ? ASK_MS : -1);
		(void)!read(wake_fd, &value, sizeof(value));
	}
	return NULL;
}

/* No signal of the program's may find its way here. */
static bool start_thread(void)
{
	sigset_t all, before;
	bool started;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before))
		return false;
	started = !pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

cl_int layer_engine_ready(void)
{
	cl_int code = CL_SUCCESS;

	pthread_mutex_lock(&engine_lock);
	if (atomic_load(&layer_forked)) {
		code = CL_OUT_OF_RESOURCES;
	} else if (!running) {
		if (wake_fd < 0)
			wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (wake_fd < 0 || !start_thread())
			code = CL_OUT_OF_RESOURCES;
		else
			running = true;
	}
	pthread_mutex_unlock(&engine_lock);
	return code;
}

/* Without memory for its number the command isn't called back, and asked like all others. */
void layer_engine_add(struct layer_command *command)
{
	cl_event first = command->wait_count ? command->waits[0] : NULL;

	layer_command_get(command);
	pthread_mutex_lock(&engine_lock);
	command->id = ++last_id;
	tsearch(command, &by_id, compare);
	pthread_mutex_unlock(&engine_lock);
	if (first)
		watch(command, first, CL_COMPLETE);
	if (command->deps)
		watch(command, command->deps, CL_COMPLETE);
	watch(command, command->inner, CL_COMPLETE);
	pthread_mutex_lock(&engine_lock);
	make_ready(command);
	pthread_mutex_unlock(&engine_lock);
	wake();
}

bool layer_engine_abandon(struct layer_import *import)
{
	bool taken;

	pthread_mutex_lock(&engine_lock);
	taken = running && !atomic_load(&layer_forked) && !stopping;
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
	if (!callback && type != CL_COMPLETE)
		watch(command, command->inner, type);
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
	join = running && !atomic_load(&layer_forked);
	stopping = true;
	pthread_mutex_unlock(&engine_lock);
	if (!join)
		return;
	wake();
	pthread_join(thread, NULL);
}
