/* SPDX-License-Identifier: BSD-3-Clause */
/* Attaching memory: what can be known before it is queued, and the index that it gets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"

/* The kernel's name for whoever made a DMA-BUF. */
static bool is_udmabuf(int fd)
{
	char path[48], text[512];
	ssize_t length;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	length = read(info, text, sizeof(text) - 1);
	close(info);
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "exp_name:\tudmabuf\n");
}

/* From 6.2 on. */
static bool udmabuf_maps_for_kernel(void)
{
	unsigned major, minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 2);
}

/*
 * Most drivers that map with the CPU refuse at QBUF what can't be mapped. Those on dma-contig don't, and
 * follow a null pointer when the first frame comes.
 */
static int check_cpu_map(const struct shm__v4l2_queue *queue, const struct metal_shm_memory *memory)
{
	if (queue->node->access != METAL_SHM_ACCESS_CPU_KERNEL || !is_udmabuf(memory->os_handle) ||
	    udmabuf_maps_for_kernel())
		return 0;
	return metal_shm_set_error(ENOTSUP,
				   "%s maps buffers for the CPU, and this kernel's udmabuf can't "
				   "be mapped so",
				   queue->name);
}

static struct shm__v4l2_slot *take_slot(struct shm__v4l2_queue *queue,
					const struct metal_shm_attachment *at)
{
	struct shm__v4l2_slot *slot = queue->slot, *end = slot + SHM__V4L2_BUFFERS;
	uint64_t length = at->range.length;

	pthread_mutex_lock(&queue->lock);
	while (slot < end && slot->attached)
		slot++;
	if (slot < end) {
		slot->attached = true;
		slot->view = at->shm;
		slot->fd = at->memory->os_handle;
		slot->length = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
	}
	pthread_mutex_unlock(&queue->lock);
	return slot < end ? slot : NULL;
}

static void give_slot(struct shm__v4l2_slot *slot)
{
	pthread_mutex_lock(&slot->queue->lock);
	slot->attached = false;
	pthread_mutex_unlock(&slot->queue->lock);
}

int shm__v4l2_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *ret_view)
{
	struct metal_shm_properties is = { .struct_size = sizeof(is) };
	struct shm__v4l2_queue *queue = shm__v4l2_queue_of(dev);
	struct shm__v4l2_slot *slot;
	int error;

	if (at->memory->os_handle < 0)
		return metal_shm_set_error(ENOTSUP, "%s takes DMA-BUFs only", queue->name);
	error = check_cpu_map(queue, at->memory);
	if (error)
		return error;
	slot = take_slot(queue, at);
	if (!slot)
		return metal_shm_set_error(ENOSPC, "%s has %d buffers attached: V4L2 has no more",
					   queue->name, SHM__V4L2_BUFFERS);
	if (metal_shm_properties(at->shm, &is) || is.contiguous != METAL_SHM_YES)
		error = shm__v4l2_try_map(queue, slot, at);
	if (error) {
		give_slot(slot);
		return error;
	}
	ret_view->data = slot;
	ret_view->access = queue->node->access;
	return 0;
}

void shm__v4l2_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *view)
{
	(void)dev;
	(void)at;
	give_slot(view->data);
}
