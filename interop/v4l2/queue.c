/* SPDX-License-Identifier: BSD-3-Clause */
/* Handing buffers to the driver: by the program, and by themselves when they become idle. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static struct shm__v4l2_slot *slot_of(struct shm__v4l2_queue *queue, struct metal_generic_shm *shm)
{
	return metal_shm_view_data(shm, queue->dev);
}

static int check(const struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot)
{
	if (!queue->queueing)
		return metal_shm_set_error(EINVAL, "%s is not started", queue->name);
	if (queue->lost)
		return metal_shm_set_error(-queue->lost, "%s: %s", queue->name,
					   strerror(-queue->lost));
	if (slot->queued || slot->stuck)
		return metal_shm_set_error(EBUSY, "%s has buffer %u queued already", queue->name,
					   slot->index);
	if (slot->fetched)
		return metal_shm_set_error(EBUSY,
					   "%s: metal_shm_v4l2_wait() has not taken buffer "
					   "%u yet",
					   queue->name, slot->index);
	if (slot->index >= queue->buffers)
		return metal_shm_set_error(EBUSY, "%s was started before buffer %u was attached",
					   queue->name, slot->index);
	/* the kernel says no more than that an argument is invalid */
	if (slot->length < queue->size)
		return metal_shm_set_error(EINVAL, "%s: a buffer of %u bytes for frames of %u",
					   queue->name, slot->length, queue->size);
	return 0;
}

/* Under the queue's lock. */
static int accept(struct shm__v4l2_queue *queue, struct shm__v4l2_slot *slot,
		  struct metal_generic_shm *shm, const struct metal_shm_v4l2_work *work)
{
	int error = check(queue, slot);

	if (!error)
		error = shm__v4l2_qbuf(queue, slot, slot->index, work);
	if (error)
		return error;
	slot->shm = shm;
	slot->held = true;
	slot->queued = true;
	slot->report = work && work->flags & METAL_SHM_V4L2_REPORT;
	queue->queued++;
	queue->reports += slot->report;
	if (queue->starved)
		shm__v4l2_wake(queue);
	queue->starved = false;
	return 0;
}

/*
 * On success the reference is the queue's. The first time the view is attached once more, for as long
 * as the driver maps the memory, which V4L2 ends only for all buffers at once: it is settled then.
 */
static int enqueue(struct shm__v4l2_queue *queue, struct shm__v4l2_slot *slot,
		   struct metal_generic_shm *shm, const struct metal_shm_v4l2_work *work,
		   int64_t timeout_ns)
{
	enum metal_shm_dir dir = queue->output ? METAL_SHM_DIR_DEV_R : METAL_SHM_DIR_DEV_W;
	struct metal_generic_shm *pin = NULL;
	int error, lost;

	error = metal_shm_hold(shm, queue->dev, dir, timeout_ns);
	if (error)
		return error;
	if (!atomic_load_explicit(&slot->pin, memory_order_relaxed)) {
		pin = metal_shm_attach(shm, queue->dev);
		if (!pin) {
			error = -errno;
			goto unhold;
		}
	}
	pthread_mutex_lock(&queue->lock);
	if (!slot->pin && !pin)
		error = metal_shm_set_error(EINVAL, "%s was stopped meanwhile", queue->name);
	else
		error = accept(queue, slot, shm, work);
	if (!error && pin && !slot->pin) {
		slot->pin = pin;
		pin = NULL;
	}
	lost = queue->lost;
	pthread_mutex_unlock(&queue->lock);
	if (pin)
		metal_shm_detach(pin, queue->dev);
	if (!error)
		return 0;
	if (lost) {
		shm__v4l2_lose(queue);
		metal_shm_set_error(-error, "%s: VIDIOC_QBUF: %s", queue->name, strerror(-error));
	}
unhold:
	metal_shm_unhold(shm, queue->dev, 0);
	return error;
}

/* Keep a reference that could not be queued, for metal_shm_v4l2_wait() to try again and to tell. */
static bool keep_stuck(struct shm__v4l2_queue *queue, struct shm__v4l2_slot *slot,
		       struct metal_generic_shm *shm, int error)
{
	bool kept;

	pthread_mutex_lock(&queue->lock);
	kept = queue->queueing && !queue->lost && !slot->shm && !slot->fetched &&
	       slot->index < queue->buffers;
	if (kept) {
		slot->shm = shm;
		slot->stuck = true;
		queue->stuck++;
		if (!queue->stuck_error && error != -ETIMEDOUT)
			queue->stuck_error = error;
		shm__v4l2_wake(queue);
	}
	pthread_mutex_unlock(&queue->lock);
	return kept;
}

/* Queue an idle buffer of the pool; its reference is used up whatever happens. */
void shm__v4l2_idle(struct metal_device *dev, struct metal_generic_shm *shm)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);

	shm__v4l2_give(queue, shm);
}

int shm__v4l2_give(struct shm__v4l2_queue *queue, struct metal_generic_shm *shm)
{
	struct shm__v4l2_slot *slot = slot_of(queue, shm);
	int error = slot ? enqueue(queue, slot, shm, NULL, 0) : -errno;

	if (error && !(slot && keep_stuck(queue, slot, shm, error)))
		metal_shm_free(shm, NULL);
	return error;
}

/* Take one stuck slot out, with what it has. */
static struct shm__v4l2_slot *take_stuck(struct shm__v4l2_queue *queue,
					 struct metal_generic_shm **ret_shm, bool *ret_held)
{
	struct shm__v4l2_slot *slot = NULL;

	pthread_mutex_lock(&queue->lock);
	for (uint32_t i = 0; i < queue->buffers && !slot; i++)
		if (queue->slot[i].stuck)
			slot = &queue->slot[i];
	if (slot) {
		*ret_shm = slot->shm;
		*ret_held = slot->held;
		slot->shm = NULL;
		slot->held = false;
		slot->stuck = false;
		queue->stuck--;
	}
	pthread_mutex_unlock(&queue->lock);
	return slot;
}

/* Try the stuck buffers once more. What the first failure was, or 0. */
int shm__v4l2_unstick(struct shm__v4l2_queue *queue, int64_t timeout_ns)
{
	struct metal_generic_shm *shm;
	struct shm__v4l2_slot *slot;
	unsigned tries;
	bool held;
	int error;

	pthread_mutex_lock(&queue->lock);
	error = queue->stuck_error;
	queue->stuck_error = 0;
	tries = queue->stuck;
	pthread_mutex_unlock(&queue->lock);
	while (tries-- && (slot = take_stuck(queue, &shm, &held))) {
		int again = enqueue(queue, slot, shm, NULL, timeout_ns);

		if (held)
			metal_shm_unhold(shm, queue->dev, 0);
		if (!again)
			continue;
		if (!error)
			error = again;
		if (!keep_stuck(queue, slot, shm, again))
			metal_shm_free(shm, NULL);
	}
	return error;
}

static int check_work(const struct shm__v4l2_queue *queue, const struct metal_shm_v4l2_work *work)
{
	if (!queue->output)
		return metal_shm_set_error(EINVAL, "%s captures: there is no work to describe",
					   queue->name);
	if (work->struct_size < sizeof(*work) || work->flags & ~METAL_SHM_V4L2_REPORT)
		return metal_shm_set_error(EINVAL, "%s: struct_size is not set, or unknown flags",
					   queue->name);
	if (work->bytes_used > queue->size)
		return metal_shm_set_error(EINVAL, "%s: %llu bytes used of a frame of %u",
					   queue->name, (unsigned long long)work->bytes_used,
					   queue->size);
	return 0;
}

int metal_shm_v4l2_queue_work(struct metal_device *dev, struct metal_generic_shm *shm,
			      const struct metal_shm_v4l2_work *work)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct shm__v4l2_slot *slot;
	int error = 0;

	if (!queue)
		return -errno;
	slot = slot_of(queue, shm);
	if (!slot)
		return -errno;
	if (!atomic_load_explicit(&queue->queueing, memory_order_relaxed))
		return metal_shm_set_error(EINVAL, "%s is not started", metal_shm_device_name(dev));
	if (work)
		error = check_work(queue, work);
	if (error)
		return error;
	shm = metal_shm_ref(shm);
	if (!shm)
		return -errno;
	error = enqueue(queue, slot, shm, work, METAL_SHM_FOREVER);
	if (error) {
		metal_shm_free(shm, NULL);
		errno = -error;
	}
	return error;
}

int metal_shm_v4l2_queue(struct metal_device *dev, struct metal_generic_shm *shm)
{
	return metal_shm_v4l2_queue_work(dev, shm, NULL);
}

int metal_shm_v4l2_index(struct metal_device *dev, struct metal_generic_shm *shm,
			 uint32_t *ret_index)
{
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct shm__v4l2_slot *slot;

	if (!queue)
		return -errno;
	if (!ret_index)
		return metal_shm_set_error(EINVAL, "metal_shm_v4l2_index: NULL");
	slot = slot_of(queue, shm);
	if (!slot)
		return -errno;
	*ret_index = slot->index;
	return 0;
}
