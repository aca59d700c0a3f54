/* SPDX-License-Identifier: BSD-3-Clause */
/* A coprocessor as a device of libshm. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

struct shm__rproc *shm__rproc_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__rproc_ops);
}

const char *metal_shm_rproc_id(const struct metal_device *dev)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	return rproc ? rproc->id : NULL;
}

static int constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
		       struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	ret->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

static int attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		  struct metal_shm_view *ret_view)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);

	(void)at;
	(void)ret_view;
	return metal_shm_set_error(ENOTSUP, "%s: nobody tells the device addresses of the memory",
				   rproc->id);
}

static void detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		   struct metal_shm_view *view)
{
	(void)dev;
	(void)at;
	(void)view;
}

static void free_rproc(struct shm__rproc *rproc)
{
	pthread_mutex_destroy(&rproc->lock);
	if (rproc->owner_fd >= 0)
		close(rproc->owner_fd);
	free(rproc);
}

static void closed(struct metal_device *dev)
{
	free_rproc(shm__rproc_of(dev));
}

const struct metal_shm_device_ops shm__rproc_ops = {
	.struct_size = sizeof(shm__rproc_ops),
	.constraints = constraints,
	.attach = attach,
	.detach = detach,
	.close = closed,
};

int metal_shm_rproc_open(const char *name, struct metal_device **ret_dev)
{
	char device[SHM__RPROC_TEXT + 8];
	struct shm__rproc *rproc;
	int error;

	if (!name || !ret_dev)
		return metal_shm_set_error(EINVAL, "metal_shm_rproc_open: NULL");
	if (!name[0] || strchr(name, '/') || strlen(name) >= SHM__RPROC_TEXT)
		return metal_shm_set_error(EINVAL, "'%.64s' is not the name of a remoteproc", name);
	rproc = calloc(1, sizeof(*rproc));
	if (!rproc)
		return metal_shm_set_error(ENOMEM, "no memory for a coprocessor");
	pthread_mutex_init(&rproc->lock, NULL);
	rproc->owner_fd = -1;
	error = shm__rproc_find(name, rproc->id);
	if (!error) {
		snprintf(device, sizeof(device), "rproc:%s", rproc->id);
		error = metal_shm_device_create(&shm__rproc_ops, device, rproc, ret_dev);
	}
	if (error) {
		free_rproc(rproc);
		return error;
	}
	rproc->dev = *ret_dev;
	return 0;
}

static int open_scheme(const char *rest, struct metal_device **ret_dev)
{
	if (!rest[0])
		return metal_shm_set_error(EINVAL,
					   "rproc needs a remoteproc, as in rproc:remoteproc0");
	return metal_shm_rproc_open(rest, ret_dev);
}

static const struct metal_shm_driver rproc_driver = {
	.struct_size = sizeof(rproc_driver),
	.scheme = "rproc",
	.open = open_scheme,
};

__attribute__((constructor)) static void register_driver(void)
{
	metal_shm_driver_register(&rproc_driver);
}
