/* SPDX-License-Identifier: BSD-3-Clause */
/* Trying a memory for real, since V4L2 says what it can't use only when it is queued. */
#include <errno.h>

#include "internal.h"

/* A driver's settings, as they were. */
struct settings {
	struct v4l2_format format;
	struct v4l2_streamparm parm;
	bool has_parm;
};

static int save(struct shm__v4l2_queue *queue, struct settings *was)
{
	int error;

	*was = (struct settings){ .format.type = queue->type, .parm.type = queue->type };
	error = shm__v4l2_ioctl(queue->node, VIDIOC_G_FMT, &was->format);
	if (error)
		return shm__v4l2_failed(queue, error, "VIDIOC_G_FMT");
	was->has_parm = !shm__v4l2_ioctl(queue->node, VIDIOC_G_PARM, &was->parm);
	return 0;
}

static void restore(struct shm__v4l2_queue *queue, struct settings *was)
{
	shm__v4l2_ioctl(queue->node, VIDIOC_S_FMT, &was->format);
	if (was->has_parm)
		shm__v4l2_ioctl(queue->node, VIDIOC_S_PARM, &was->parm);
}

/* The frame's format; without a frame the one that is set, if the memory is large enough for it. */
static int set_format(struct shm__v4l2_queue *queue, const struct metal_shm_frame *frame,
		      uint64_t size, const struct settings *was)
{
	if (frame)
		return shm__v4l2_set_frame(queue, frame, &queue->size);
	queue->size = queue->multiplanar ? was->format.fmt.pix_mp.plane_fmt[0].sizeimage
					 : was->format.fmt.pix.sizeimage;
	if (queue->size > size)
		return metal_shm_set_error(ENOTSUP, "%s can't try %llu bytes: its format needs %u",
					   queue->name, (unsigned long long)size, queue->size);
	return 0;
}

/* The one memory at as many indices as the driver needs to start. */
static int stream(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot, uint32_t count)
{
	int type = (int)queue->type, error = 0;

	pthread_mutex_lock(&queue->lock);
	queue->moved = 0;
	for (uint32_t i = 0; i < count && !error; i++)
		error = shm__v4l2_qbuf(queue, slot, i, NULL);
	queue->lost = 0;
	pthread_mutex_unlock(&queue->lock);
	if (error)
		return error;
	if (queue->moved)
		return metal_shm_set_error(ENOTSUP,
					   "%s puts the picture at byte %u of the buffer, frames "
					   "start at 0",
					   queue->name, queue->moved);
	error = shm__v4l2_ioctl(queue->node, VIDIOC_STREAMON, &type);
	return error ? shm__v4l2_failed(queue, error, "VIDIOC_STREAMON") : 0;
}

static int map(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot)
{
	int error;

	pthread_mutex_lock(&queue->lock);
	error = shm__v4l2_qbuf(queue, slot, 0, NULL);
	queue->lost = 0;
	pthread_mutex_unlock(&queue->lock);
	return error;
}

static int try_memory(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot,
		      struct metal_generic_shm *shm, bool on)
{
	int type = (int)queue->type, error;
	uint32_t count = 1, none = 0;

	error = shm__v4l2_request(queue, &count);
	if (error)
		return shm__v4l2_failed(queue, error, "VIDIOC_REQBUFS");
	error = on ? stream(queue, slot, count) : map(queue, slot);
	shm__v4l2_ioctl(queue->node, VIDIOC_STREAMOFF, &type);
	metal_shm_settle(shm);
	shm__v4l2_request(queue, &none);
	return error;
}

/*
 * Leaves the device as it was. A plain output is not turned on: it would show what happens to be in the
 * memory.
 */
int shm__v4l2_trial(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	const struct shm__v4l2_slot *slot = metal_shm_view_data(shm, dev);
	enum metal_shm_dir dir = queue->output ? METAL_SHM_DIR_DEV_R : METAL_SHM_DIR_DEV_W;
	struct settings was = { 0 };
	int error;

	if (!slot)
		return -errno;
	error = metal_shm_hold(shm, dev, dir, METAL_SHM_FOREVER);
	if (error)
		return error;
	pthread_mutex_lock(&queue->node->control);
	if (queue->started)
		error = metal_shm_set_error(EBUSY, "%s streams and can't try another memory",
					    queue->name);
	else
		error = save(queue, &was);
	if (error)
		goto unlock;
	error = set_format(queue, metal_shm_frame_of(shm), metal_shm_size(shm), &was);
	if (!error)
		error = try_memory(queue, slot, shm, !queue->output || queue->node->queue[0]);
	restore(queue, &was);
unlock:
	pthread_mutex_unlock(&queue->node->control);
	metal_shm_unhold(shm, dev, 0);
	if (error)
		errno = -error;
	return error;
}

/*
 * Map a memory once, since a source that promises nothing may give one piece today and several
 * tomorrow. Only the driver's refusal of the memory counts. Another thread's start or stop may wait for
 * this attachment to end, so this one doesn't wait for it.
 */
int shm__v4l2_try_map(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot,
		      const struct metal_shm_attachment *at)
{
	struct settings was = { 0 };
	int error = 0;

	if (pthread_mutex_trylock(&queue->node->control))
		return 0;
	if (queue->started || save(queue, &was))
		goto unlock;
	if (!set_format(queue, at->frame, at->range.length, &was))
		error = try_memory(queue, slot, at->shm, false);
	restore(queue, &was);
unlock:
	pthread_mutex_unlock(&queue->node->control);
	return error == -ENOTSUP ? error : 0;
}
