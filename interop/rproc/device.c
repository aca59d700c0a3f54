/* SPDX-License-Identifier: BSD-3-Clause */
/* A coprocessor as a device of libshm: opened, looked at, closed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "static.h"

/* How long a firmware may take to answer, unless the program says otherwise. */
#define PATIENCE_NS INT64_C(10000000000)
/* How long the end of a device waits for what a firmware that lives answers in a moment. */
#define LEAVE_NS INT64_C(250000000)

struct shm__rproc *shm__rproc_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__rproc_ops);
}

const char *metal_shm_rproc_id(const struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	return rproc ? rproc->id : NULL;
}

int metal_shm_rproc_set_patience(struct metal_device *dev, int64_t patience_ns)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	if (!rproc)
		return -errno;
	pthread_mutex_lock(&rproc->lock);
	rproc->patience_ns = patience_ns < 0 ? METAL_SHM_FOREVER : patience_ns;
	pthread_mutex_unlock(&rproc->lock);
	return 0;
}

int metal_shm_rproc_info(struct metal_device *dev, struct metal_shm_rproc_info *ret)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct metal_shm_rproc_info info;
	uint32_t size;

	if (!rproc)
		return -errno;
	if (!ret || ret->struct_size < sizeof(ret->struct_size))
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_info: struct_size is not set");
	size = ret->struct_size < sizeof(info) ? ret->struct_size : (uint32_t)sizeof(info);
	pthread_mutex_lock(&rproc->lock);
	info = (struct metal_shm_rproc_info){
		.struct_size = ret->struct_size,
		.version = rproc->session.up ? rproc->session.version : 0,
		.faults = rproc->session.faults,
		.stale = rproc->session.stale,
		.refusals = rproc->session.refusals,
		.stops = rproc->stops,
	};
	for (const struct shm__rproc_map *map = rproc->maps; map; map = map->next) {
		info.shared += map->id != 0;
		info.given += map->give == SHM__RPROC_GIVEN || map->give == SHM__RPROC_QUEUED;
		info.lost += map->late || map->give == SHM__RPROC_LOST;
	}
	pthread_mutex_unlock(&rproc->lock);
	memcpy(ret, &info, size);
	return 0;
}

/* Under the lock: whether the firmware owes an answer for what is detached already. */
static int look_for_debts(struct shm__rproc *rproc, void *user)
{
	(void)user;
	if (rproc->due)
		return -EAGAIN;
	if (rproc->endpoint.fd < 0)
		return 0;
	for (const struct shm__rproc_map *map = rproc->maps; map; map = map->next)
		if (!map->view || map->dead)
			return -EAGAIN;
	return 0;
}

static void leave(struct shm__rproc *rproc)
{
	shm__rproc_wait(rproc, shm__rproc_deadline(LEAVE_NS), look_for_debts, NULL);
}

/*
 * Nothing new begins. What the firmware has it keeps, until it gives it back or the core stops: where it was
 * to stop with us, that is now.
 */
static void shutdown_device(struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	pthread_mutex_lock(&rproc->lock);
	rproc->closed = true;
	for (struct shm__rproc_map *map = rproc->maps; map; map = map->next) {
		if (!map->grant || !map->id || map->unshare)
			continue;
		map->unshare = true;
		rproc->queued++;
	}
	shm__rproc_flush(rproc);
	pthread_mutex_unlock(&rproc->lock);
	leave(rproc);
	pthread_mutex_lock(&rproc->lock);
	if (rproc->owner_fd >= 0) {
		close(rproc->owner_fd);
		rproc->owner_fd = -1;
		shm__rproc_tick(rproc);
	}
	pthread_mutex_unlock(&rproc->lock);
	leave(rproc);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* What the firmware may still use the kernel module holds from here on. */
static void free_rproc(struct shm__rproc *rproc)
{
	struct shm__rproc_map *map;

	shm__rproc_endpoint_close(&rproc->endpoint);
	while ((map = rproc->maps) != NULL) {
		rproc->maps = map->next;
		free(map->segments);
		free(map);
	}
	close_fd(rproc->importer_fd);
	close_fd(rproc->owner_fd);
	close_fd(rproc->state_fd);
	close_fd(rproc->timer_fd);
	close_fd(rproc->epoll_fd);
	pthread_mutex_destroy(&rproc->lock);
	free(rproc);
}

static void closed(struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	leave(rproc);
	shm__rproc_rings_end(&rproc->rings);
	free_rproc(rproc);
}

static int poll_handle(struct metal_device *dev)
{
	return shm__rproc_of(dev)->epoll_fd;
}

const struct metal_shm_device_ops shm__rproc_ops = {
	.struct_size = sizeof(shm__rproc_ops),
	.constraints = shm__rproc_constraints,
	.attach = shm__rproc_attach,
	.detach = shm__rproc_detach,
	.give = shm__rproc_give,
	.recall = shm__rproc_recall,
	.poll_handle = poll_handle,
	.dispatch = shm__rproc_dispatch,
	.shutdown = shutdown_device,
	.close = closed,
};

static struct shm__rproc *new_rproc(void)
{
	struct shm__rproc *rproc = calloc(1, sizeof(*rproc));

	if (!rproc)
		return NULL;
	pthread_mutex_init(&rproc->lock, NULL);
	rproc->owner_fd = rproc->importer_fd = rproc->timer_fd = rproc->epoll_fd = rproc->state_fd =
		-1;
	rproc->endpoint.fd = -1;
	rproc->patience_ns = PATIENCE_NS;
	return rproc;
}

int metal_shm_rproc_open(const char *name, struct metal_device **ret_dev)
{
	char device[SHM__RPROC_TEXT + 8], core[SHM__RPROC_TEXT];
	struct shm__rproc *rproc;
	int error;

	if (!name || !ret_dev)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_open: NULL");
	rproc = new_rproc();
	if (!rproc)
		return metal_shm_set_error(ENOMEM, "no memory for a coprocessor");
	error = shm__rproc_parse(name, core, rproc);
	if (!error)
		error = shm__rproc_find(core, rproc->id);
	if (!error)
		error = shm__rproc_state_open(rproc);
	if (!error)
		error = shm__rproc_events_open(rproc);
	if (!error) {
		snprintf(device, sizeof(device), "rproc:%s", rproc->id);
		error = metal_shm_device_create(&shm__rproc_ops, device, rproc, &rproc->dev);
	}
	if (error) {
		free_rproc(rproc);
		return error;
	}
	*ret_dev = rproc->dev;
	return 0;
}

static int open_scheme(const char *rest, struct metal_device **ret_dev)
{
	if (!rest[0])
		return metal_shm_set_error(EINVAL,
					   "rproc needs a remoteproc, as in rproc:remoteproc0");
	return strchr(rest, '/') ? shm__rproc_open_carveout(rest, ret_dev)
				 : metal_shm_rproc_open(rest, ret_dev);
}

static const struct metal_shm_driver rproc_driver = {
	.struct_size = sizeof(rproc_driver),
	.scheme = "rproc",
	.open = open_scheme,
	.enumerate = shm__rproc_each_carveout,
	.rank = 40,
};

__attribute__((constructor)) static void register_driver(void)
{
	metal_shm_driver_register(&rproc_driver);
}
