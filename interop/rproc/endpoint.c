/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An endpoint of our own to the service that a firmware announced, made through the control device of its
 * RPMsg bus. Source: the kernel's include/uapi/linux/rpmsg.h.
 *
 * It is closed, and not taken away by RPMSG_DESTROY_EPT_IOCTL: where the core was stopped in the same moment
 * the kernel (6.1) removes the device twice, and oopses. A closed one has no address on the bus; the next
 * program takes it, and the kernel removes it with the core's channels.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/rpmsg.h>

#include "channels.h"

#define CONTROL "rpmsg_ctrl"

static int open_node(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/%.31s", name);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return metal_shm_set_error(errno == EPERM ? EACCES : errno, "%s: %s", path,
				   strerror(errno));
}

/* Whose firmware's, and not an endpoint made here, which has the service's name too. */
static const struct metal_shm_rproc_channel *find_service(const struct shm__channels *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->channel[i].service, METAL_SHM_RPROC_SERVICE) &&
		    strncmp(list->channel[i].device, CONTROL, strlen(CONTROL)) != 0)
			return &list->channel[i];
	return NULL;
}

/* The control device of the bus that a device is on: "virtio0" of "virtio0.libshm.-1.1024". */
static const struct metal_shm_rproc_channel *find_control(
	const struct shm__channels *list, const struct metal_shm_rproc_channel *service)
{
	size_t bus = strcspn(service->device, ".");

	for (size_t i = 0; i < list->count; i++) {
		const struct metal_shm_rproc_channel *channel = &list->channel[i];

		if (!strncmp(channel->node, CONTROL, strlen(CONTROL)) &&
		    !strncmp(channel->device, service->device, bus + 1))
			return channel;
	}
	return NULL;
}

static bool is_endpoint(const struct metal_shm_rproc_channel *channel, const char *control,
			const struct metal_shm_rproc_channel *service)
{
	return !strcmp(channel->device, control) && !strcmp(channel->service, service->service) &&
	       channel->destination == service->destination;
}

static int lock_control(const struct shm__rproc *rproc, const char *node)
{
	int error, fd = open_node(node);

	if (fd < 0)
		return fd;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	if (errno == EWOULDBLOCK)
		error = metal_shm_set_error(EBUSY, "%s's channel '%s' is taken by another program",
					    rproc->id, METAL_SHM_RPROC_SERVICE);
	else
		error = metal_shm_set_error(errno, "/dev/%s: flock: %s", node, strerror(errno));
	close(fd);
	return error;
}

/* -ENODEV without a reason: there is none. */
static int open_existing(const struct shm__rproc *rproc, const char *control,
			 const struct metal_shm_rproc_channel *service,
			 struct metal_shm_rproc_channel *ret)
{
	struct shm__channels list = { NULL, 0 };
	int error = shm__rproc_channels(rproc, &list);

	if (error)
		return error;
	error = -ENODEV;
	for (size_t i = 0; i < list.count && error == -ENODEV; i++) {
		if (!is_endpoint(&list.channel[i], control, service))
			continue;
		*ret = list.channel[i];
		error = open_node(ret->node);
		if (error == -EBUSY)
			metal_shm_set_error(
				EBUSY, "%s's channel '%s' is taken: another program has /dev/%s",
				rproc->id, service->service, ret->node);
	}
	free(list.channel);
	return error;
}

/*
 * One that is there already is taken: with the control device locked none of ours has it. The kernel doesn't
 * say which node it makes, but nobody else makes one like it meanwhile.
 */
static int open_endpoint(const struct shm__rproc *rproc, int control_fd, const char *control,
			 const struct metal_shm_rproc_channel *service,
			 struct metal_shm_rproc_channel *ret)
{
	struct rpmsg_endpoint_info info = { .src = RPMSG_ADDR_ANY, .dst = service->destination };
	int error = open_existing(rproc, control, service, ret);

	if (error != -ENODEV)
		return error;
	snprintf(info.name, sizeof(info.name), "%s", service->service);
	if (ioctl(control_fd, RPMSG_CREATE_EPT_IOCTL, &info))
		return metal_shm_set_error(errno, "/dev/%s: RPMSG_CREATE_EPT_IOCTL: %s", control,
					   strerror(errno));
	error = open_existing(rproc, control, service, ret);
	if (error == -ENODEV)
		metal_shm_set_error(ENODEV, "%s: the endpoint that was made is not there",
				    rproc->id);
	return error;
}

static int connect(const struct shm__rproc *rproc, const struct shm__channels *list,
		   struct shm__rproc_endpoint *ret)
{
	const struct metal_shm_rproc_channel *service = find_service(list), *control;
	int error, fd;

	if (!service)
		return -EAGAIN;
	control = find_control(list, service);
	if (!control)
		return metal_shm_set_error(ENOTSUP,
					   "%s's bus has no control device: the kernel needs "
					   "CONFIG_RPMSG_CTRL and CONFIG_RPMSG_CHAR",
					   rproc->id);
	fd = lock_control(rproc, control->node);
	if (fd < 0)
		return fd;
	error = open_endpoint(rproc, fd, control->node, service, &ret->channel);
	if (error < 0) {
		close(fd);
		return error;
	}
	ret->control_fd = fd;
	ret->fd = error;
	return 0;
}

int shm__rproc_endpoint_open(const struct shm__rproc *rproc, struct shm__rproc_endpoint *ret)
{
	struct shm__channels list = { NULL, 0 };
	int error = shm__rproc_channels(rproc, &list);

	if (error)
		return error;
	error = connect(rproc, &list, ret);
	free(list.channel);
	return error;
}

void shm__rproc_endpoint_close(struct shm__rproc_endpoint *endpoint)
{
	if (endpoint->fd < 0)
		return;
	close(endpoint->fd);
	if (endpoint->control_fd >= 0)
		close(endpoint->control_fd);
	endpoint->fd = endpoint->control_fd = -1;
}
