/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing a card, as a display or for its memory alone. */
#include "drm_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct drm_device *make(int take_fd, const char *path)
{
	struct drm_device *d = calloc(1, sizeof(*d));
	pthread_condattr_t monotonic;

	if (!d) {
		metal_shm_set_error(ENOMEM, "%s: no memory", path);
		close(take_fd);
		return NULL;
	}
	snprintf(d->name, sizeof(d->name), "drm:%s", path);
	d->fd = take_fd;
	d->poll_fd = take_fd;
	d->target_fence = -1;
	pthread_mutex_init(&d->gem_lock, NULL);
	pthread_mutex_init(&d->verb, NULL);
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return d;
}

void shm__drm_destroy(struct drm_device *d)
{
	if (d->poll_fd != d->fd)
		close(d->poll_fd);
	close(d->fd);
	shm__drm_forget_formats(d);
	free(d->modes);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->verb);
	pthread_mutex_destroy(&d->gem_lock);
	free(d);
}

static int set_caps(struct drm_device *d, uint32_t flags)
{
	drmModeResPtr resources = drmModeGetResources(d->fd);
	bool display = resources && resources->count_crtcs;

	drmModeFreeResources(resources);
	if (!display)
		return metal_shm_set_error(ENOTSUP, "%s (%s) has no display", d->name, d->driver);
	if (drmSetClientCap(d->fd, DRM_CLIENT_CAP_ATOMIC, 1) < 0)
		return metal_shm_set_error(ENOTSUP, "%s: driver %s has no atomic commits", d->name,
					   d->driver);
	if (flags & METAL_SHM_DRM_WRITEBACK &&
	    drmSetClientCap(d->fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1) < 0)
		return metal_shm_set_error(ENXIO, "%s: driver %s has no writeback connectors",
					   d->name, d->driver);
	return 0;
}

static int make_poll_fd(struct drm_device *d)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd;

	if (!d->writeback)
		return 0;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return metal_shm_set_error(errno, "%s: epoll: %s", d->name, strerror(errno));
	d->poll_fd = fd;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, d->fd, &event) < 0)
		return metal_shm_set_error(errno, "%s: epoll: %s", d->name, strerror(errno));
	return 0;
}

static int set_up(struct drm_device *d, const struct metal_shm_drm_options *options)
{
	int flags = fcntl(d->fd, F_GETFL), ret;

	if (flags < 0 || fcntl(d->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(d->fd, F_SETFD, FD_CLOEXEC) < 0)
		return metal_shm_set_error(errno, "%s: %s", d->name, strerror(errno));
	ret = shm__drm_learn_driver(d, options->flags);
	if (ret < 0 || options->flags & METAL_SHM_DRM_MEMORY) {
		/* Who opens a card first is its master, which this program has no use for. */
		drmDropMaster(d->fd);
		return ret;
	}
	ret = set_caps(d, options->flags);
	if (!ret)
		ret = shm__drm_become_master(d);
	if (!ret)
		ret = shm__drm_choose(d, options);
	if (!ret)
		ret = shm__drm_learn_formats(d);
	if (!ret)
		ret = make_poll_fd(d);
	return ret;
}

static int check_options(const struct metal_shm_drm_options *options,
			 struct metal_shm_drm_options *ret)
{
	const uint32_t known = METAL_SHM_DRM_WRITEBACK | METAL_SHM_DRM_MEMORY;

	*ret = (struct metal_shm_drm_options){ .flags = 0 };
	if (!options)
		return 0;
	if (options->struct_size < offsetof(struct metal_shm_drm_options, connector))
		return metal_shm_set_error(EINVAL, "struct_size is not set");
	memcpy(ret, options,
	       options->struct_size < sizeof(*ret) ? options->struct_size : sizeof(*ret));
	if (ret->flags & ~known || ret->reserved)
		return metal_shm_set_error(EINVAL, "unknown flags %#x", ret->flags);
	if (ret->flags == known)
		return metal_shm_set_error(EINVAL, "memory alone has nothing to write back");
	if (!ret->width != !ret->height)
		return metal_shm_set_error(EINVAL, "a mode has a width and a height");
	return 0;
}

static int open_taken(int take_fd, const char *path, const struct metal_shm_drm_options *options,
		      struct metal_device **ret_dev)
{
	const struct metal_shm_device_ops *ops = &shm__drm_display_ops;
	struct drm_device *d = make(take_fd, path);
	struct metal_device *dev = NULL;
	int ret;

	if (!d)
		return -ENOMEM;
	if (options->flags & METAL_SHM_DRM_MEMORY)
		ops = &shm__drm_memory_ops;
	ret = set_up(d, options);
	if (!ret)
		ret = metal_shm_device_create(ops, d->name, d, &dev);
	if (ret < 0) {
		shm__drm_destroy(d);
		return ret;
	}
	d->dev = dev;
	*ret_dev = dev;
	return 0;
}

int metal_shm_drm_open_options(const char *path, const struct metal_shm_drm_options *options,
			       struct metal_device **ret_dev)
{
	struct metal_shm_drm_options checked;
	int fd, ret;

	if (!path || !ret_dev)
		return metal_shm_set_error(EINVAL, "a path and a place for the device are needed");
	ret = check_options(options, &checked);
	if (ret < 0)
		return ret;
	ret = shm__drm_node_open(path, &fd);
	if (ret < 0)
		return ret;
	return open_taken(fd, path, &checked, ret_dev);
}

int metal_shm_drm_open(const char *path, struct metal_device **ret_dev)
{
	return metal_shm_drm_open_options(path, NULL, ret_dev);
}

int metal_shm_drm_open_fd_options(int take_fd, const struct metal_shm_drm_options *options,
				  struct metal_device **ret_dev)
{
	struct metal_shm_drm_options checked = { .flags = 0 };
	char path[64];
	char *node;
	int ret;

	snprintf(path, sizeof(path), "descriptor %d", take_fd);
	ret = shm__drm_node_check(take_fd, path);
	/* Of a closed one another thread may have made its own by now. */
	if (ret == -EBADF)
		return ret;
	if (!ret && !ret_dev)
		ret = metal_shm_set_error(EINVAL, "a place for the device is needed");
	if (!ret)
		ret = check_options(options, &checked);
	if (ret < 0) {
		close(take_fd);
		return ret;
	}
	node = drmGetDeviceNameFromFd2(take_fd);
	if (node)
		snprintf(path, sizeof(path), "%s", node);
	free(node);
	return open_taken(take_fd, path, &checked, ret_dev);
}

int metal_shm_drm_open_fd(int take_fd, uint32_t connector, uint32_t crtc, uint32_t plane,
			  struct metal_device **ret_dev)
{
	const struct metal_shm_drm_options options = {
		.struct_size = sizeof(options),
		.connector = connector,
		.crtc = crtc,
		.plane = plane,
	};

	return metal_shm_drm_open_fd_options(take_fd, &options, ret_dev);
}
