/* SPDX-License-Identifier: BSD-3-Clause */
/* The ways to open a V4L2 device. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>

#include "internal.h"

/* Looks before it opens: to open some devices has effects. */
static int open_node(const char *path)
{
	struct stat st;
	int error, fd;

	if (stat(path, &st) < 0) {
		error = errno == ENOTDIR ? ENOENT : errno;
		return metal_shm_set_error(error, "%s: %s", path, strerror(errno));
	}
	if (!S_ISCHR(st.st_mode))
		return metal_shm_set_error(ENODEV, "%s is not a V4L2 device, nor any device", path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return metal_shm_not_permitted(path, "video4linux");
	error = errno == ENXIO ? ENODEV : errno;
	return metal_shm_set_error(error, "%s: %s", path, strerror(errno));
}

static int open_path(const char *path, bool m2m, struct metal_device **ret_output,
		     struct metal_device **ret_capture)
{
	int error, fd;

	fd = open_node(path);
	if (fd < 0)
		return fd;
	error = shm__v4l2_make(fd, path, m2m, ret_output, ret_capture);
	if (error)
		close(fd);
	return error;
}

int metal_shm_v4l2_open(const char *path, struct metal_device **ret_capture)
{
	if (!path || !ret_capture)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_open: NULL");
	return open_path(path, false, NULL, ret_capture);
}

int metal_shm_v4l2_open_output(const char *path, struct metal_device **ret_output)
{
	if (!path || !ret_output)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_open_output: NULL");
	return open_path(path, false, ret_output, NULL);
}

int metal_shm_v4l2_open_m2m(const char *path, struct metal_device **ret_output,
			    struct metal_device **ret_capture)
{
	if (!path || !ret_output || !ret_capture)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_open_m2m: NULL");
	return open_path(path, true, ret_output, ret_capture);
}

static int prepare_fd(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return metal_shm_set_error(errno, "descriptor %d: %s", fd, strerror(errno));
	if ((flags & O_ACCMODE) != O_RDWR)
		return metal_shm_set_error(EACCES,
					   "descriptor %d is not open for reading and writing", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return metal_shm_set_error(errno, "descriptor %d: %s", fd, strerror(errno));
	return 0;
}

int metal_shm_v4l2_open_fd(int take_fd, struct metal_device **ret_output,
			   struct metal_device **ret_capture)
{
	char name[32];
	int error;

	if (!ret_output && !ret_capture)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_open_fd: NULL");
	error = prepare_fd(take_fd);
	if (error)
		return error;
	snprintf(name, sizeof(name), "descriptor %d", take_fd);
	return shm__v4l2_make(take_fd, name, ret_output && ret_capture, ret_output, ret_capture);
}

int metal_shm_v4l2_fd(const struct metal_device *dev)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);

	return queue ? queue->node->fd : -errno;
}

static int open_scheme(const char *rest, struct metal_device **ret_dev)
{
	char reason[256];
	int error;

	if (!rest[0])
		return metal_shm_set_error(EINVAL, "v4l2 needs a node, as in v4l2:/dev/video0");
	error = metal_shm_v4l2_open(rest, ret_dev);
	if (error != -ENOTSUP)
		return error;
	snprintf(reason, sizeof(reason), "%s", metal_shm_last_error());
	if (!metal_shm_v4l2_open_output(rest, ret_dev))
		return 0;
	return metal_shm_set_error(-error, "%s", reason);
}

static const struct metal_shm_driver v4l2_driver = {
	.struct_size = sizeof(v4l2_driver),
	.scheme = "v4l2",
	.open = open_scheme,
};

__attribute__((constructor)) static void register_driver(void)
{
	metal_shm_driver_register(&v4l2_driver);
}
