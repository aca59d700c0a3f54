/* SPDX-License-Identifier: BSD-3-Clause */
/* The two kinds of device: a display that also gives memory, and a card for its memory alone. */
#include "drm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Closing doesn't wait longer for a flip whose fence never comes; the kernel ends it then. */
#define CLOSING_PATIENCE_NS INT64_C(1000000000)

static void drm_shutdown(struct metal_device *dev)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);
	struct drm_done done = { .count = 0 };

	if (!d)
		return;
	pthread_mutex_lock(&d->verb);
	d->closed = true;
	if (d->touched && !shm__drm_wait_shown(d, true, CLOSING_PATIENCE_NS, &done))
		shm__drm_restore(d);
	shm__drm_release_all(d, &done);
	shm__drm_before_writeback(d);
	/* Views may keep the descriptor open; the card is free for the next program now. */
	drmDropMaster(d->fd);
	pthread_mutex_unlock(&d->verb);
	shm__drm_done_give_back(d, &done);
}

static void display_close(struct metal_device *dev)
{
	struct drm_device *d = metal_shm_device_data(dev, &shm__drm_display_ops);

	if (!d)
		return;
	shm__drm_picture_drop(d, &d->picture);
	shm__drm_destroy(d);
}

static int display_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			    struct metal_shm_memory *ret_memory)
{
	return shm__drm_dumb_allocate(metal_shm_device_data(dev, &shm__drm_display_ops), size, type,
				      ret_memory);
}

static void display_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	shm__drm_dumb_release(metal_shm_device_data(dev, &shm__drm_display_ops), memory);
}

static int display_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			      struct metal_shm_properties *ret)
{
	return shm__drm_dumb_properties(metal_shm_device_data(dev, &shm__drm_display_ops), memory,
					ret);
}

const struct metal_shm_device_ops shm__drm_display_ops = {
	.struct_size = sizeof(struct metal_shm_device_ops),
	.allocate = display_allocate,
	.release = display_release,
	.properties = display_properties,
	.map = shm__drm_dumb_map,
	.unmap = shm__drm_dumb_unmap,
	.sync_for_cpu = shm__drm_dumb_sync_for_cpu,
	.sync_for_device = shm__drm_dumb_sync_for_device,
	.constraints = shm__drm_constraints,
	.attach = shm__drm_attach,
	.detach = shm__drm_detach,
	.layout = shm__drm_layout,
	.trial = shm__drm_trial,
	.poll_handle = shm__drm_poll_handle,
	.dispatch = shm__drm_dispatch,
	.shutdown = drm_shutdown,
	.close = display_close,
};

static int memory_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			   struct metal_shm_memory *ret_memory)
{
	return shm__drm_dumb_allocate(metal_shm_device_data(dev, &shm__drm_memory_ops), size, type,
				      ret_memory);
}

static void memory_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	shm__drm_dumb_release(metal_shm_device_data(dev, &shm__drm_memory_ops), memory);
}

static int memory_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			     struct metal_shm_properties *ret)
{
	return shm__drm_dumb_properties(metal_shm_device_data(dev, &shm__drm_memory_ops), memory,
					ret);
}

static void memory_close(struct metal_device *dev)
{
	shm__drm_destroy(metal_shm_device_data(dev, &shm__drm_memory_ops));
}

const struct metal_shm_device_ops shm__drm_memory_ops = {
	.struct_size = sizeof(struct metal_shm_device_ops),
	.allocate = memory_allocate,
	.release = memory_release,
	.properties = memory_properties,
	.map = shm__drm_dumb_map,
	.unmap = shm__drm_dumb_unmap,
	.sync_for_cpu = shm__drm_dumb_sync_for_cpu,
	.sync_for_device = shm__drm_dumb_sync_for_device,
	.close = memory_close,
};

/* "PATH", "PATH,writeback", "PATH,memory" */
static int open_by_name(const char *rest, struct metal_device **ret_dev)
{
	struct metal_shm_drm_options options = { .struct_size = sizeof(options) };
	const char *comma = strchr(rest, ',');
	char path[128];

	if (!comma)
		return metal_shm_drm_open(rest, ret_dev);
	if (!strcmp(comma, ",writeback"))
		options.flags = METAL_SHM_DRM_WRITEBACK;
	else if (!strcmp(comma, ",memory"))
		options.flags = METAL_SHM_DRM_MEMORY;
	else
		return metal_shm_set_error(EINVAL, "drm:%s: only ,writeback and ,memory are known",
					   rest);
	if ((size_t)(comma - rest) >= sizeof(path))
		return metal_shm_set_error(EINVAL, "drm:%s: too long", rest);
	snprintf(path, sizeof(path), "%.*s", (int)(comma - rest), rest);
	return metal_shm_drm_open_options(path, &options, ret_dev);
}

static const struct metal_shm_driver drm_driver = {
	.struct_size = sizeof(drm_driver),
	.scheme = "drm",
	.open = open_by_name,
	.rank = 40,
};

__attribute__((constructor)) static void register_driver(void)
{
	metal_shm_driver_register(&drm_driver);
}
