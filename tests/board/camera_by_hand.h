/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of the board's camera by V4L2's calls alone, in buffers that a device has attached each. */
#ifndef CAMERA_BY_HAND_H
#define CAMERA_BY_HAND_H

#include <poll.h>

#include <linux/videodev2.h>

#include "bounced.h"
#include "camera_path.h"

#define HAND_FRAMES 3u

struct hand_camera {
	int fd;
	size_t size; /* bytes of a frame */
	struct hand frames[HAND_FRAMES];
};

static inline void camera_call(const struct hand_camera *c, unsigned long request, void *argument,
			       const char *name)
{
	if (ioctl(c->fd, request, argument))
		fail_msg("%s: %s", name, strerror(errno));
}

static inline struct v4l2_buffer hand_buffer(const struct hand_camera *c, unsigned i)
{
	return (struct v4l2_buffer){
		.index = i,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = c->frames[i].fd,
		.length = (uint32_t)c->frames[i].size,
	};
}

/* 320x180 YUYV, streaming; the bytes are 0 until the camera writes. */
static inline void hand_camera_start(struct hand_camera *c, const char *node, const char *heap)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct v4l2_requestbuffers request = { .count = HAND_FRAMES,
					       .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
					       .memory = V4L2_MEMORY_DMABUF };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	c->fd = open(video_path(node), O_RDWR | O_CLOEXEC);
	assert_true(c->fd >= 0);
	format.fmt.pix.width = 320;
	format.fmt.pix.height = 180;
	format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
	camera_call(c, VIDIOC_S_FMT, &format, "S_FMT");
	c->size = format.fmt.pix.sizeimage;
	camera_call(c, VIDIOC_REQBUFS, &request, "REQBUFS");
	assert_int_equal(request.count, HAND_FRAMES);
	for (unsigned i = 0; i < HAND_FRAMES; i++) {
		struct v4l2_buffer buffer;

		hand_open(&c->frames[i], heap, (c->size + 4095) & ~(size_t)4095, 0);
		buffer = hand_buffer(c, i);
		camera_call(c, VIDIOC_QBUF, &buffer, "QBUF");
	}
	camera_call(c, VIDIOC_STREAMON, &type, "STREAMON");
}

static inline const struct hand *hand_camera_next(struct hand_camera *c)
{
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
				      .memory = V4L2_MEMORY_DMABUF };
	struct pollfd wait = { .fd = c->fd, .events = POLLIN };

	assert_int_equal(poll(&wait, 1, 10000), 1);
	camera_call(c, VIDIOC_DQBUF, &buffer, "DQBUF");
	return &c->frames[buffer.index];
}

static inline void hand_camera_stop(struct hand_camera *c)
{
	struct v4l2_requestbuffers none = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
					    .memory = V4L2_MEMORY_DMABUF };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	camera_call(c, VIDIOC_STREAMOFF, &type, "STREAMOFF");
	camera_call(c, VIDIOC_REQBUFS, &none, "REQBUFS");
	close(c->fd);
	for (unsigned i = 0; i < HAND_FRAMES; i++)
		hand_close(&c->frames[i]);
}

#endif
