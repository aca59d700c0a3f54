/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's DMA-BUF heaps. What they promise the kernel doesn't say: it is known or configured. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include <shm/device.h>

#include "config.h"
#include "dmabuf.h"
#include "drivers.h"
#include "heap_names.h"
#include "node.h"
#include "pages.h"

#define SCHEME    "heap"
#define PREFIX    SCHEME ":"
#define NAME_SIZE (sizeof(PREFIX) - 1 + SHM__HEAP_NAME_SIZE)

struct heap {
	int fd;
	char name[NAME_SIZE]; /* "heap:" and its node's, whatever it was opened by */
	struct metal_shm_properties promised;
};

static const struct metal_shm_device_ops heap_ops;

static const char *node_of(const struct heap *heap)
{
	return heap->name + strlen(PREFIX);
}

static void promise(struct heap *heap)
{
	struct metal_shm_properties *p = &heap->promised;
	bool contiguous = shm__heap_is_contiguous_role(node_of(heap));

	p->dmabuf = METAL_SHM_YES;
	if (!contiguous && strcmp(node_of(heap), "system") != 0)
		return;
	p->cached = METAL_SHM_YES;
	p->contiguous = contiguous ? METAL_SHM_YES : METAL_SHM_NO;
	p->secure = METAL_SHM_NO;
	p->zeroed = METAL_SHM_YES;
	p->granularity = shm__page_size();
	p->alignment = shm__page_size();
}

static int heap_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			   struct metal_shm_properties *ret)
{
	const struct heap *heap = metal_shm_device_data(dev, &heap_ops);
	uint32_t struct_size = ret->struct_size;

	*ret = heap->promised;
	ret->struct_size = struct_size;
	ret->size = memory ? memory->size : 0;
	return 0;
}

static int alloc_ioctl(const struct heap *heap, size_t size)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
	int ret;

	do {
		ret = ioctl(heap->fd, DMA_HEAP_IOCTL_ALLOC, &data);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : (int)data.fd;
}

static int heap_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			 struct metal_shm_memory *ret_memory)
{
	const struct heap *heap = metal_shm_device_data(dev, &heap_ops);
	size_t rounded;
	off_t given;
	int error, fd;

	(void)type;
	error = shm__round_to_pages(size, heap->name, &rounded);
	/* A CMA area knows by itself when it is full. */
	if (!error && heap->promised.contiguous != METAL_SHM_YES)
		error = shm__check_available(rounded, heap->name);
	if (error)
		return error;
	fd = alloc_ioctl(heap, rounded);
	if (fd < 0)
		return metal_shm_set_error(-fd, "%s: no %zu bytes: %s", heap->name, rounded,
					   strerror(-fd));
	/* A heap of large chunks gives more than was asked for. */
	given = lseek(fd, 0, SEEK_END);
	if (given < 0 || (uintmax_t)given < rounded) {
		close(fd);
		return metal_shm_set_error(EIO, "%s gave %jd bytes for %zu", heap->name,
					   (intmax_t)given, rounded);
	}
	*ret_memory = (struct metal_shm_memory){ .size = (size_t)given, .os_handle = fd };
	return 0;
}

static void heap_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
}

static int heap_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		    void **ret_address)
{
	const struct heap *heap = metal_shm_device_data(dev, &heap_ops);

	if (heap->promised.secure == METAL_SHM_YES)
		return metal_shm_set_error(EACCES, "%s is secure: the CPU can't map it",
					   heap->name);
	return shm__fd_map(dev, memory, prot, ret_address);
}

static void heap_close(struct metal_device *dev)
{
	struct heap *heap = metal_shm_device_data(dev, &heap_ops);

	close(heap->fd);
	free(heap);
}

static const struct metal_shm_device_ops heap_ops = {
	.struct_size = sizeof(heap_ops),
	.allocate = heap_allocate,
	.release = heap_release,
	.properties = heap_properties,
	.map = heap_map,
	.unmap = shm__fd_unmap,
	.sync_for_cpu = shm__dmabuf_sync_for_cpu,
	.sync_for_device = shm__dmabuf_sync_for_device,
	.close = heap_close,
};

/* The first that exists of the nodes that the name may mean. */
static int open_node(struct heap *heap, const char *name)
{
	char path[sizeof(SHM__HEAP_DIR "/") + SHM__HEAP_NAME_SIZE];
	const char *node;

	for (size_t i = 0; (node = shm__heap_candidate(name, i)); i++) {
		snprintf(path, sizeof(path), SHM__HEAP_DIR "/%s", node);
		heap->fd = shm__node_open(path, "dma_heap");
		if (heap->fd == -ENOENT)
			continue;
		snprintf(heap->name, sizeof(heap->name), PREFIX "%s", node);
		return heap->fd < 0 ? heap->fd : 0;
	}
	return shm__heap_missing(name);
}

static int heap_open(const char *rest, struct metal_device **ret_dev)
{
	char name[NAME_SIZE];
	struct heap *heap;
	int error;

	error = shm__heap_name_check(rest);
	if (error)
		return error;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return metal_shm_set_error(ENOMEM, PREFIX "%s: no memory for its record", rest);
	error = open_node(heap, rest);
	if (error)
		goto free_heap;
	promise(heap);
	error = shm__config_heap(node_of(heap), &heap->promised);
	if (error)
		goto close_node;
	snprintf(name, sizeof(name), PREFIX "%s", rest);
	error = metal_shm_device_create(&heap_ops, name, heap, ret_dev);
	if (error)
		goto close_node;
	return 0;
close_node:
	close(heap->fd);
free_heap:
	free(heap);
	return error;
}

struct prefixed {
	int (*found)(void *user, const char *name);
	void *user;
};

static int prefix(void *user, const char *node)
{
	const struct prefixed *to = user;
	char name[sizeof(PREFIX) + 256];

	snprintf(name, sizeof(name), PREFIX "%s", node);
	return to->found(to->user, name);
}

static int heap_enumerate(int (*found)(void *user, const char *name), void *user)
{
	struct prefixed to = { .found = found, .user = user };

	return shm__heap_each(prefix, &to);
}

const struct metal_shm_driver shm__heap_driver = {
	.struct_size = sizeof(shm__heap_driver),
	.scheme = SCHEME,
	.open = heap_open,
	.enumerate = heap_enumerate,
	.rank = 30,
};
