/* SPDX-License-Identifier: BSD-3-Clause */
/* One command: what it holds, and its syncs. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "layer.h"

void layer_command_get(struct layer_command *command)
{
	atomic_fetch_add(&command->refs, 1);
}

static void event_put(cl_event event)
{
	if (event)
		layer_next.clReleaseEvent(event);
}

void layer_command_put_uses(struct layer_command *command)
{
	for (size_t i = 0; i < command->use_count; i++)
		layer_import_put(command->uses[i].import);
	command->use_count = 0;
}

void layer_command_put(struct layer_command *command)
{
	if (atomic_fetch_sub(&command->refs, 1) != 1)
		return;
	event_put(command->deps);
	event_put(command->gate);
	event_put(command->inner);
	event_put(command->tail);
	event_put(command->after);
	event_put(command->done);
	for (size_t i = 0; i < command->wait_count; i++)
		event_put(command->waits[i]);
	free(command->waits);
	layer_command_put_uses(command);
	free(command);
	atomic_fetch_sub(&layer_cares, 1);
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

cl_int layer_command_start(struct layer_command *command)
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

cl_int layer_command_end(struct layer_command *command, cl_int status)
{
	cl_int synced = CL_COMPLETE;

	if (command->mode == LAYER_BEGIN && status == CL_COMPLETE)
		for (size_t i = 0; i < command->use_count; i++)
			command->uses[i].import->held++;
	else
		synced = end_all(command, command->use_count);
	return status < 0 ? status : synced;
}

/* What can't be asked is left to START. */
static bool is_pending(struct pollfd *fd)
{
	int count;

	do
		count = poll(fd, 1, 0);
	while (count < 0 && errno == EINTR);
	return !count;
}

bool layer_command_is_fenced(const struct layer_command *command, struct pollfd *fds, size_t room,
			     size_t *count)
{
	bool pending = false;

	for (size_t i = 0; i < command->use_count; i++) {
		const struct layer_use *use = &command->uses[i];
		struct pollfd fd = { .fd = use->import->buffer->fd,
				     /* POLLIN: nobody writes; POLLOUT: nobody reads either */
				     .events = use->write ? POLLOUT : POLLIN };

		if (!use->import->buffer->dmabuf || !is_pending(&fd))
			continue;
		pending = true;
		if (*count < room)
			fds[(*count)++] = fd;
	}
	return pending;
}
