/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The RPMsg channels of a core. Each device of theirs lies below the remoteproc's in sysfs:
 * .../remoteproc/remoteproc0/rproc-virtio.0.auto/virtio0/virtio0.SERVICE.SOURCE.DESTINATION, and what has a
 * character device below that.
 */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "/sys/bus/rpmsg/devices"
#define NODES   "/sys/class/rpmsg"
#define PATH    (sizeof(DEVICES) + SHM__RPROC_TEXT + 16)

/* The bus writes addresses as hexadecimal numbers, the class as signed ones. */
static uint32_t read_address(const char *folder, const char *name, const char *file)
{
	char path[PATH], text[SHM__RPROC_TEXT];

	snprintf(path, sizeof(path), "%s/%s/%s", folder, name, file);
	return shm__rproc_read(path, text) ? UINT32_MAX : (uint32_t)strtoll(text, NULL, 0);
}

static void describe(const char *folder, const char *name, struct metal_shm_rproc_channel *ret)
{
	char path[PATH], text[SHM__RPROC_TEXT] = "";

	snprintf(path, sizeof(path), "%s/%s/name", folder, name);
	shm__rproc_read(path, text);
	snprintf(ret->service, sizeof(ret->service), "%.31s", text);
	ret->source = read_address(folder, name, "src");
	ret->destination = read_address(folder, name, "dst");
}

/* The folder of a path that is n steps above its last one. */
static void step_of(const char *path, unsigned n, char *ret, size_t size)
{
	const char *end = path + strlen(path), *at = end;

	for (;;) {
		while (at > path && at[-1] != '/')
			at--;
		if (!n-- || at == path)
			break;
		end = --at;
	}
	snprintf(ret, size, "%.*s", (int)(end - at), at);
}

static int add(struct shm__channels *list, const struct metal_shm_rproc_channel *channel)
{
	struct metal_shm_rproc_channel *more;

	more = realloc(list->channel, (list->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->channel = more;
	list->channel[list->count++] = *channel;
	return 0;
}

static int add_device(void *user, const struct shm__rproc_node *node)
{
	struct metal_shm_rproc_channel channel = { .node = "" };

	snprintf(channel.device, sizeof(channel.device), "%.63s", node->name);
	describe(DEVICES, node->name, &channel);
	return add(user, &channel);
}

/*
 * A node either stands for the RPMsg device above it, whose driver made it, or is an endpoint that a program
 * made through a control device: a channel by itself.
 */
static int add_node(void *user, const struct shm__rproc_node *node)
{
	struct metal_shm_rproc_channel channel = { .node = "" };
	struct shm__channels *list = user;
	char above[SHM__RPROC_TEXT];

	step_of(node->path, 1, above, sizeof(above));
	if (!strcmp(above, "rpmsg")) {
		step_of(node->path, 2, above, sizeof(above));
		for (size_t i = 0; i < list->count; i++)
			if (!strcmp(list->channel[i].device, above))
				snprintf(list->channel[i].node, sizeof(list->channel[i].node),
					 "%.31s", node->name);
		return 0;
	}
	snprintf(channel.device, sizeof(channel.device), "%.63s", above);
	snprintf(channel.node, sizeof(channel.node), "%.31s", node->name);
	describe(NODES, node->name, &channel);
	return add(list, &channel);
}

int shm__rproc_channels(const struct shm__rproc *rproc, struct shm__channels *ret)
{
	struct shm__channels list = { NULL, 0 };
	int error = shm__rproc_each(DEVICES, rproc->id, add_device, &list);

	if (!error)
		error = shm__rproc_each(NODES, rproc->id, add_node, &list);
	if (error == -ENOENT)
		error = 0; /* a kernel without RPMsg, or without its character devices */
	if (error) {
		free(list.channel);
		return metal_shm_set_error(-error, DEVICES ": %s", strerror(-error));
	}
	*ret = list;
	return 0;
}

int metal_shm_rproc_channels(struct metal_device *dev, struct metal_shm_rproc_channel *ret_channels,
			     size_t max)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct shm__channels list = { NULL, 0 };
	int error;

	if (!rproc)
		return -errno;
	if (!ret_channels && max)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_channels: NULL");
	error = shm__rproc_channels(rproc, &list);
	if (error)
		return error;
	for (size_t i = 0; i < list.count && i < max; i++)
		ret_channels[i] = list.channel[i];
	free(list.channel);
	return (int)list.count;
}

struct search {
	const char *name;
	bool found;
	char path[4096];
};

static int is_named(void *user, const struct shm__rproc_node *node)
{
	struct search *search = user;

	if (strcmp(node->name, search->name) != 0)
		return 0;
	snprintf(search->path, sizeof(search->path), "%s", node->path);
	search->found = true;
	return 1;
}

int metal_shm_rproc_of_channel(const char *channel, char *ret_name, size_t size)
{
	struct search search = { .name = channel };
	char id[SHM__RPROC_TEXT];

	if (!channel || !ret_name)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_of_channel: NULL");
	if (!strncmp(channel, "/dev/", 5))
		search.name = channel + 5;
	if (shm__rproc_each(NODES, NULL, is_named, &search) <= 0)
		shm__rproc_each(DEVICES, NULL, is_named, &search);
	if (!search.found)
		return metal_shm_set_error(
			ENODEV, "'%.64s' is no RPMsg device: neither in " NODES " nor in " DEVICES,
			channel);
	if (!shm__rproc_of_path(search.path, id))
		return metal_shm_set_error(ENOTSUP, "%.64s is no remoteproc's: it is %.128s",
					   channel, search.path);
	if (strlen(id) >= size)
		return metal_shm_set_error(ENAMETOOLONG, "%s's name has %zu bytes", id, strlen(id));
	memcpy(ret_name, id, strlen(id) + 1);
	return 0;
}
