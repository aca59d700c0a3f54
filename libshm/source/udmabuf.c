/* SPDX-License-Identifier: BSD-3-Clause */
/* True DMA-BUFs made of memfd pages, for importers that live with scattered memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/udmabuf.h>

#include <shm/device.h>

#include "dmabuf.h"
#include "drivers.h"
#include "node.h"
#include "pages.h"

#define NODE             "/dev/udmabuf"
#define LIMIT            "/sys/module/udmabuf/parameters/size_limit_mb"
#define DEFAULT_LIMIT_MB 64
#define MIB              1048576

struct udmabuf {
	int fd;
};

static const struct metal_shm_device_ops udmabuf_ops;

static int udmabuf_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			      struct metal_shm_properties *ret)
{
	int error = shm__pages_properties(dev, memory, ret);

	ret->dmabuf = METAL_SHM_YES;
	return error;
}

static uint64_t limit_mb(void)
{
	FILE *file = fopen(LIMIT, "re");
	unsigned long long limit;

	if (!file)
		return DEFAULT_LIMIT_MB;
	if (fscanf(file, "%llu", &limit) != 1)
		limit = DEFAULT_LIMIT_MB;
	fclose(file);
	return limit;
}

/* The kernel says EINVAL of a size above its limit. */
static int create_failed(size_t size, int error)
{
	uint64_t mb = limit_mb();

	if (error == EINVAL && (size - 1) / MIB >= mb)
		return metal_shm_set_error(ENOMEM,
					   "udmabuf: %zu bytes, the kernel's limit is %llu MiB a "
					   "buffer (module parameter udmabuf.size_limit_mb)",
					   size, (unsigned long long)mb);
	return metal_shm_set_error(error, "udmabuf: UDMABUF_CREATE of %zu bytes: %s", size,
				   strerror(error));
}

/*
 * A DMA-BUF for which there is no descriptor is kept for ever by some kernels (Debian's 6.1.176; no more
 * by 6.1.192), so one has to be free before. Another thread may still take it in between.
 */
static int create_buffer(int dev, const struct udmabuf_create *create, size_t size, int *ret_fd)
{
	int spare = fcntl((int)create->memfd, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return create_failed(size, errno);
	close(spare);
	*ret_fd = ioctl(dev, UDMABUF_CREATE, create);
	return *ret_fd < 0 ? create_failed(size, errno) : 0;
}

/* What a buffer is made of: its memfd, kept so that pages of it can be exported by themselves. */
static int memfd_of(const struct metal_shm_memory *memory)
{
	return (int)(intptr_t)memory->data - 1;
}

static void *data_of(int memfd)
{
	return (void *)(intptr_t)(memfd + 1);
}

static int udmabuf_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			    struct metal_shm_memory *ret_memory)
{
	struct udmabuf *udmabuf = metal_shm_device_data(dev, &udmabuf_ops);
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC };
	size_t rounded;
	int error, memfd, fd = -1;

	(void)type;
	error = shm__round_to_pages(size, "udmabuf", &rounded);
	if (!error)
		error = shm__check_available(rounded, "udmabuf");
	if (!error)
		error = shm__memfd_create(rounded, "udmabuf", &rounded, &memfd);
	if (error)
		return error;
	create.memfd = (uint32_t)memfd;
	create.size = rounded;
	error = create_buffer(udmabuf->fd, &create, rounded, &fd);
	if (error) {
		close(memfd);
		return error;
	}
	*ret_memory = (struct metal_shm_memory){ data_of(memfd), rounded, fd };
	return 0;
}

/* The pages stay as long as a DMA-BUF has them. */
static int udmabuf_window(struct metal_device *dev, struct metal_shm_memory *memory,
			  const struct metal_shm_range *range, struct metal_shm_memory *ret_window)
{
	struct udmabuf *udmabuf = metal_shm_device_data(dev, &udmabuf_ops);
	const struct udmabuf_create create = {
		.memfd = (uint32_t)memfd_of(memory),
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = range->offset,
		.size = range->length,
	};
	int error, fd;

	if (memfd_of(memory) < 0)
		return metal_shm_set_error(ENOTSUP, "udmabuf: a window has no windows");
	error = create_buffer(udmabuf->fd, &create, (size_t)range->length, &fd);
	if (error)
		return error;
	*ret_window = (struct metal_shm_memory){ NULL, (size_t)range->length, fd };
	return 0;
}

static void udmabuf_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
	if (memfd_of(memory) >= 0)
		close(memfd_of(memory));
}

/* The driver refuses an END before it has seen a START, and that START moves nothing. */
static int udmabuf_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				   const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	int error = shm__dmabuf_end(memory->os_handle, dir);

	if (!error)
		return 0;
	if (error == -EINVAL)
		shm__dmabuf_start(memory->os_handle, METAL_SHM_DIR_DEV_R);
	return shm__dmabuf_sync_for_device(dev, memory, range, dir);
}

static void udmabuf_close(struct metal_device *dev)
{
	struct udmabuf *udmabuf = metal_shm_device_data(dev, &udmabuf_ops);

	close(udmabuf->fd);
	free(udmabuf);
}

static const struct metal_shm_device_ops udmabuf_ops = {
	.struct_size = sizeof(udmabuf_ops),
	.allocate = udmabuf_allocate,
	.release = udmabuf_release,
	.properties = udmabuf_properties,
	.map = shm__fd_map,
	.unmap = shm__fd_unmap,
	.sync_for_cpu = shm__dmabuf_sync_for_cpu,
	.sync_for_device = udmabuf_sync_for_device,
	.window = udmabuf_window,
	.close = udmabuf_close,
};

static int udmabuf_open(const char *rest, struct metal_device **ret_dev)
{
	struct udmabuf *udmabuf;
	int error;

	if (rest[0])
		return metal_shm_set_error(EINVAL, "udmabuf takes no name, but got '%.40s'", rest);
	udmabuf = calloc(1, sizeof(*udmabuf));
	if (!udmabuf)
		return metal_shm_set_error(ENOMEM, "udmabuf: no memory for its record");
	udmabuf->fd = shm__node_open(NODE, "misc");
	if (udmabuf->fd == -ENOENT) {
		error = metal_shm_set_error(ENOENT, "no " NODE ": modprobe udmabuf, or a kernel "
						    "with CONFIG_UDMABUF");
		goto free_udmabuf;
	}
	if (udmabuf->fd < 0) {
		error = udmabuf->fd;
		goto free_udmabuf;
	}
	error = metal_shm_device_create(&udmabuf_ops, "udmabuf", udmabuf, ret_dev);
	if (error)
		goto close_node;
	return 0;
close_node:
	close(udmabuf->fd);
free_udmabuf:
	free(udmabuf);
	return error;
}

static int udmabuf_enumerate(int (*found)(void *user, const char *name), void *user)
{
	return access(NODE, F_OK) == 0 ? found(user, "udmabuf") : 0;
}

const struct metal_shm_driver shm__udmabuf_driver = {
	.struct_size = sizeof(shm__udmabuf_driver),
	.scheme = "udmabuf",
	.open = udmabuf_open,
	.enumerate = udmabuf_enumerate,
	.rank = 20,
};
