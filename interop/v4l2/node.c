/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening nodes, and the devices made of their queues. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

int shm__v4l2_ioctl(const struct shm__v4l2_node *node, unsigned long request, void *argument)
{
	int ret;

	if (atomic_load_explicit(&node->gone, memory_order_relaxed))
		return -ENODEV;
	do {
		ret = ioctl(node->fd, request, argument);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/*
 * Under control, with no queue streaming. The driver of a device that is gone refuses to let go of the
 * memory by VIDIOC_REQBUFS, and does it when its file is closed. The program may know the descriptor, so
 * the number stays taken.
 */
void shm__v4l2_let_go(struct shm__v4l2_node *node)
{
	struct v4l2_capability cap;
	int nothing;

	/* one call's word is not enough for what can't be undone */
	if (shm__v4l2_ioctl(node, VIDIOC_QUERYCAP, &cap) != -ENODEV)
		return;
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0)
		return;
	atomic_store(&node->gone, true);
	dup3(nothing, node->fd, O_CLOEXEC);
	close(nothing);
}

int shm__v4l2_failed(const struct shm__v4l2_queue *queue, int error, const char *call)
{
	return metal_shm_set_error(-error, "%s: %s: %s", queue->name, call, strerror(-error));
}

struct shm__v4l2_queue *shm__v4l2_queue_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__v4l2_ops);
}

/* Drivers that map the buffer and move the pixels with the CPU. Of others nothing is known. */
static enum metal_shm_access access_of(const char *driver)
{
	static const char *const cpu[] = { "uvcvideo", "vivid", "vim2m", "vicodec", "vimc" };

	for (size_t i = 0; i < sizeof(cpu) / sizeof(cpu[0]); i++)
		if (!strcmp(driver, cpu[i]))
			return METAL_SHM_ACCESS_CPU_KERNEL;
	return METAL_SHM_ACCESS_UNKNOWN;
}

static void queue_free(struct shm__v4l2_queue *queue)
{
	close(queue->wake_fd);
	pthread_cond_destroy(&queue->turn);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* A queue lives as long as its node, since dispatching one looks after the other too. */
static void node_put(struct shm__v4l2_node *node)
{
	if (atomic_fetch_sub(&node->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (node->queue[i])
			queue_free(node->queue[i]);
	close(node->epoll_fd);
	if (node->fd >= 0)
		close(node->fd);
	pthread_mutex_destroy(&node->control);
	free(node);
}

static void v4l2_shutdown(struct metal_device *dev)
{
	shm__v4l2_stop(shm__v4l2_queue_of(dev));
}

static void v4l2_close(struct metal_device *dev)
{
	node_put(shm__v4l2_queue_of(dev)->node);
}

const struct metal_shm_device_ops shm__v4l2_ops = {
	.struct_size = sizeof(shm__v4l2_ops),
	.constraints = shm__v4l2_constraints,
	.attach = shm__v4l2_attach,
	.detach = shm__v4l2_detach,
	.layout = shm__v4l2_layout,
	.trial = shm__v4l2_trial,
	.poll_handle = shm__v4l2_poll_handle,
	.dispatch = shm__v4l2_dispatch,
	.shutdown = v4l2_shutdown,
	.close = v4l2_close,
};

static struct shm__v4l2_queue *queue_new(struct shm__v4l2_node *node, enum v4l2_buf_type type)
{
	struct shm__v4l2_queue *queue = calloc(1, sizeof(*queue));
	pthread_condattr_t monotonic;

	if (!queue) {
		metal_shm_set_error(ENOMEM, "%s: no memory", node->name);
		return NULL;
	}
	queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->wake_fd < 0) {
		int error = errno;

		free(queue);
		metal_shm_set_error(error, "%s: eventfd: %s", node->name, strerror(error));
		return NULL;
	}
	queue->node = node;
	queue->type = type;
	queue->output = V4L2_TYPE_IS_OUTPUT(type);
	queue->multiplanar = V4L2_TYPE_IS_MULTIPLANAR(type);
	for (uint32_t i = 0; i < SHM__V4L2_BUFFERS; i++) {
		queue->slot[i].queue = queue;
		queue->slot[i].index = i;
	}
	pthread_mutex_init(&queue->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->turn, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return queue;
}

/* Asks without any effect, also while another program streams. Drivers without the call are believed. */
static int check_dmabuf(const struct shm__v4l2_node *node, enum v4l2_buf_type type)
{
	struct v4l2_create_buffers ask = {
		.memory = V4L2_MEMORY_DMABUF,
		.format.type = type,
	};

	if (shm__v4l2_ioctl(node, VIDIOC_CREATE_BUFS, &ask) == -EINVAL)
		return metal_shm_set_error(ENOTSUP, "%s imports no DMA-BUFs", node->name);
	return 0;
}

static int make_device(struct shm__v4l2_node *node, uint32_t type, const char *suffix,
		       struct metal_device **ret_dev)
{
	struct shm__v4l2_queue *queue;
	char name[128];
	int error;

	error = check_dmabuf(node, type);
	if (error)
		return error;
	queue = queue_new(node, type);
	if (!queue)
		return -errno;
	snprintf(name, sizeof(name), "v4l2:%s%s", node->name, suffix);
	error = metal_shm_device_create(&shm__v4l2_ops, name, queue, &queue->dev);
	if (error) {
		queue_free(queue);
		return error;
	}
	queue->name = metal_shm_device_name(queue->dev);
	atomic_fetch_add(&node->refs, 1);
	node->queue[queue->output] = queue;
	*ret_dev = queue->dev;
	return 0;
}

static int query(const struct shm__v4l2_node *node, struct v4l2_capability *cap, uint32_t *ret_caps)
{
	int error = shm__v4l2_ioctl(node, VIDIOC_QUERYCAP, cap);

	if (error == -ENOTTY || error == -EINVAL)
		return metal_shm_set_error(ENODEV, "%s is not a V4L2 device", node->name);
	if (error)
		return metal_shm_set_error(-error, "%s: VIDIOC_QUERYCAP: %s", node->name,
					   strerror(-error));
	*ret_caps = cap->capabilities & V4L2_CAP_DEVICE_CAPS ? cap->device_caps : cap->capabilities;
	if (!(*ret_caps & V4L2_CAP_STREAMING))
		return metal_shm_set_error(ENOTSUP, "%s doesn't stream", node->name);
	return 0;
}

static uint32_t queue_type(uint32_t caps, bool output)
{
	if (caps & (V4L2_CAP_VIDEO_M2M_MPLANE |
		    (output ? V4L2_CAP_VIDEO_OUTPUT_MPLANE : V4L2_CAP_VIDEO_CAPTURE_MPLANE)))
		return output ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE
			      : V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	if (caps & (V4L2_CAP_VIDEO_M2M | (output ? V4L2_CAP_VIDEO_OUTPUT : V4L2_CAP_VIDEO_CAPTURE)))
		return output ? V4L2_BUF_TYPE_VIDEO_OUTPUT : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	return 0;
}

static struct shm__v4l2_node *node_new(int fd, const char *name)
{
	struct shm__v4l2_node *node = calloc(1, sizeof(*node));

	if (!node) {
		metal_shm_set_error(ENOMEM, "%s: no memory", name);
		return NULL;
	}
	node->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (node->epoll_fd < 0) {
		int error = errno;

		free(node);
		metal_shm_set_error(error, "%s: epoll_create1: %s", name, strerror(error));
		return NULL;
	}
	atomic_init(&node->refs, 1);
	node->fd = fd;
	snprintf(node->name, sizeof(node->name), "%s", name);
	pthread_mutex_init(&node->control, NULL);
	return node;
}

/* Devices of an open descriptor, which becomes theirs only on success. */
int shm__v4l2_make(int fd, const char *name, bool m2m, struct metal_device **ret_output,
		   struct metal_device **ret_capture)
{
	struct shm__v4l2_node *node = node_new(fd, name);
	struct metal_device *output = NULL, *capture = NULL;
	struct v4l2_capability cap;
	uint32_t caps = 0, in, out;
	int error;

	if (!node)
		return -errno;
	error = query(node, &cap, &caps);
	if (error)
		goto release_fd;
	out = queue_type(caps, true);
	in = queue_type(caps, false);
	if (!m2m && out && in)
		error = metal_shm_set_error(
			ENOTSUP, "%s is a memory-to-memory device: open both of its queues", name);
	else if (m2m && !(out && in))
		error = metal_shm_set_error(ENOTSUP, "%s is no memory-to-memory device", name);
	else if ((ret_output && !out) || (ret_capture && !in))
		error = metal_shm_set_error(ENOTSUP, "%s has no video %s", name,
					    ret_output && !out ? "output" : "capture");
	if (error)
		goto release_fd;
	node->access = access_of((const char *)cap.driver);
	if (ret_output)
		error = make_device(node, out, in ? " output" : "", &output);
	if (!error && ret_capture)
		error = make_device(node, in, out ? " capture" : "", &capture);
	if (error)
		goto close_output;
	if (output)
		*ret_output = output;
	if (capture)
		*ret_capture = capture;
	node_put(node);
	return 0;

close_output:
	node->fd = -1;
	metal_shm_device_close(output);
release_fd:
	node->fd = -1;
	node_put(node);
	return error;
}
