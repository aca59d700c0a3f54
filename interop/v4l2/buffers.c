/* SPDX-License-Identifier: BSD-3-Clause */
/* The two calls that every frame makes, and what is wrong with a frame. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int qbuf_failed(struct shm__v4l2_queue *queue, int error)
{
	if (error == -ENODEV || error == -EIO)
		queue->lost = error;
	if (error == -EFAULT)
		return metal_shm_set_error(
			ENOTSUP,
			"%s refused the memory at VIDIOC_QBUF with EFAULT: it is "
			"not contiguous, or the driver can't map it",
			queue->name);
	return shm__v4l2_failed(queue, error, "VIDIOC_QBUF");
}

/* Under the queue's lock. The index is the slot's, but for trials. */
int shm__v4l2_qbuf(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot, uint32_t index,
		   const struct metal_shm_v4l2_work *work)
{
	struct v4l2_plane plane;
	struct v4l2_buffer b;
	uint32_t used = 0;
	int error;

	memset(&b, 0, sizeof(b));
	b.type = queue->type;
	b.memory = V4L2_MEMORY_DMABUF;
	b.index = index;
	if (queue->output) {
		used = work && work->bytes_used ? (uint32_t)work->bytes_used : queue->size;
		b.field = V4L2_FIELD_NONE;
		if (work && work->timestamp_ns) {
			b.timestamp.tv_sec = (time_t)(work->timestamp_ns / 1000000000u);
			b.timestamp.tv_usec = (suseconds_t)(work->timestamp_ns / 1000u % 1000000u);
		}
	}
	if (queue->multiplanar) {
		memset(&plane, 0, sizeof(plane));
		plane.m.fd = slot->fd;
		plane.length = slot->length;
		plane.bytesused = used;
		b.m.planes = &plane;
		b.length = 1;
	} else {
		b.m.fd = slot->fd;
		b.length = slot->length;
		b.bytesused = used;
	}
	error = shm__v4l2_ioctl(queue->node, VIDIOC_QBUF, &b);
	if (error)
		return qbuf_failed(queue, error);
	if (queue->multiplanar && plane.data_offset)
		queue->moved = plane.data_offset;
	return 0;
}

static uint32_t judge(const struct shm__v4l2_queue *queue, const struct v4l2_buffer *b,
		      const struct metal_shm_v4l2_info *info)
{
	if (b->flags & V4L2_BUF_FLAG_ERROR)
		return METAL_SHM_V4L2_FLAGGED;
	if (queue->output)
		return METAL_SHM_V4L2_GOOD;
	if (queue->multiplanar && b->m.planes[0].data_offset)
		return METAL_SHM_V4L2_MOVED;
	return info->bytes_used < queue->least ? METAL_SHM_V4L2_SHORT : METAL_SHM_V4L2_GOOD;
}

/* A frame that is not good goes back at once, still held. */
static void requeue(struct shm__v4l2_queue *queue, struct shm__v4l2_slot *slot)
{
	int error = shm__v4l2_qbuf(queue, slot, slot->index, NULL);

	if (!error)
		return;
	slot->queued = false;
	queue->queued--;
	slot->stuck = true;
	queue->stuck++;
	if (!queue->stuck_error)
		queue->stuck_error = error;
}

/*
 * Under the queue's lock. The reference and the hold of a good frame become the caller's; one that is
 * not good is only told about. -EAGAIN: none is ready.
 */
int shm__v4l2_dqbuf(struct shm__v4l2_queue *queue, struct shm__v4l2_done *ret)
{
	struct shm__v4l2_slot *slot;
	struct v4l2_plane plane;
	struct v4l2_buffer b;
	int error;

	memset(&b, 0, sizeof(b));
	b.type = queue->type;
	b.memory = V4L2_MEMORY_DMABUF;
	if (queue->multiplanar) {
		memset(&plane, 0, sizeof(plane));
		b.m.planes = &plane;
		b.length = 1;
	}
	error = shm__v4l2_ioctl(queue->node, VIDIOC_DQBUF, &b);
	if (error == -EAGAIN)
		return error;
	if (error == -ENODEV || error == -EIO)
		queue->lost = error;
	if (error)
		return shm__v4l2_failed(queue, error, "VIDIOC_DQBUF");
	slot = b.index < SHM__V4L2_BUFFERS ? &queue->slot[b.index] : NULL;
	if (!slot || !slot->queued)
		return metal_shm_set_error(EPROTO, "%s answers buffer %u, which it doesn't have",
					   queue->name, b.index);

	ret->info.struct_size = sizeof(ret->info);
	ret->info.sequence = b.sequence;
	ret->info.timestamp_ns =
		(uint64_t)b.timestamp.tv_sec * 1000000000u + (uint64_t)b.timestamp.tv_usec * 1000u;
	ret->info.bytes_used = queue->multiplanar ? plane.bytesused : b.bytesused;
	ret->info.field = b.field;
	ret->info.flags = b.flags;
	ret->info.index = b.index;
	ret->info.error = judge(queue, &b, &ret->info);
	ret->report = slot->report;
	ret->shm = NULL;
	ret->held = false;
	if (ret->info.error && !queue->output) {
		requeue(queue, slot);
		return 0;
	}
	ret->shm = slot->shm;
	ret->held = true;
	slot->shm = NULL;
	slot->held = false;
	slot->queued = false;
	queue->queued--;
	return 0;
}
