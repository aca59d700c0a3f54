/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A core's carveout as a source of memory, rproc:NAME/CARVEOUT: what its driver and the firmware's resource
 * table set aside for sharing, made DMA-BUFs by the kernel module shm_carveout.
 */
#include "static.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include "kmod/uapi/shm_carveout.h"
#include "sysfs.h"

#define PARAMETER "/sys/module/shm_carveout/parameters/region"
#define NODE      (sizeof(SHM_CARVEOUT_FOLDER) + (size_t)2 * SHM__RPROC_TEXT)

struct carveout {
	int fd; /* of the node */
	uint32_t flags;
	char name[2u * SHM__RPROC_TEXT]; /* "remoteproc0/shared" */
};

static const struct metal_shm_device_ops static_ops;

static int properties(struct metal_device *dev, const struct metal_shm_memory *memory,
		      struct metal_shm_properties *ret)
{
	const struct carveout *carveout = metal_shm_device_data(dev, &static_ops);
	struct shm_carveout_info info = { 0 };
	uint32_t struct_size = ret->struct_size;

	/* the module lets no device attach that would need a sync */
	*ret = (struct metal_shm_properties){
		.struct_size = struct_size,
		.cached = carveout->flags & SHM_CARVEOUT_CACHED ? METAL_SHM_YES : METAL_SHM_NO,
		.contiguous = METAL_SHM_YES,
		.secure = carveout->flags & SHM_CARVEOUT_SECURE ? METAL_SHM_YES : METAL_SHM_NO,
		.coherent = METAL_SHM_YES,
		.zeroed = carveout->flags & SHM_CARVEOUT_SECURE ? METAL_SHM_NO : METAL_SHM_YES,
		.dmabuf = METAL_SHM_YES,
		.size = memory ? memory->size : 0,
		.granularity = (uint64_t)sysconf(_SC_PAGESIZE),
		.alignment = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	if (!ioctl(carveout->fd, SHM_CARVEOUT_INFO, &info))
		ret->free_space = info.free;
	return 0;
}

static int allocate(struct metal_device *dev, size_t size, metal_shm_type type,
		    struct metal_shm_memory *ret_memory)
{
	const struct carveout *carveout = metal_shm_device_data(dev, &static_ops);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR | O_CLOEXEC };
	struct shm_carveout_info info = { 0 };

	(void)type;
	if (size > SIZE_MAX - page)
		return metal_shm_set_error(EOVERFLOW, "%zu bytes don't fit into memory", size);
	data.len = (size + page - 1) / page * page;
	if (!ioctl(carveout->fd, DMA_HEAP_IOCTL_ALLOC, &data)) {
		*ret_memory =
			(struct metal_shm_memory){ .size = data.len, .os_handle = (int)data.fd };
		return 0;
	}
	if (errno == ENOMEM && !ioctl(carveout->fd, SHM_CARVEOUT_INFO, &info))
		return metal_shm_set_error(ENOMEM,
					   "%s has %llu bytes, of which the largest free piece has "
					   "%llu",
					   carveout->name, (unsigned long long)info.size,
					   (unsigned long long)info.largest);
	return metal_shm_set_error(errno, "%s: no %zu bytes: %s", carveout->name, size,
				   strerror(errno));
}

static void release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
}

static int map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
	       void **ret_address)
{
	const struct carveout *carveout = metal_shm_device_data(dev, &static_ops);
	int how = (prot & METAL_SHM_READ ? PROT_READ : 0) |
		  (prot & METAL_SHM_WRITE ? PROT_READ | PROT_WRITE : 0);
	void *address = mmap(NULL, memory->size, how, MAP_SHARED, memory->os_handle, 0);

	if (address == MAP_FAILED)
		return metal_shm_set_error(errno, "%s can't be mapped: %s", carveout->name,
					   strerror(errno));
	*ret_address = address;
	return 0;
}

static void unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		  size_t length)
{
	(void)dev;
	(void)memory;
	munmap(address, length);
}

static void closed(struct metal_device *dev)
{
	struct carveout *carveout = metal_shm_device_data(dev, &static_ops);

	close(carveout->fd);
	free(carveout);
}

static const struct metal_shm_device_ops static_ops = {
	.struct_size = sizeof(static_ops),
	.allocate = allocate,
	.release = release,
	.properties = properties,
	.map = map,
	.unmap = unmap,
	.close = closed,
};

/* Who may writes the module's parameter; the core's driver tells the module where the carveout is. */
static int export_carveout(const char *id, const char *name, const char *node)
{
	char words[4u * SHM__RPROC_TEXT];
	int error;

	snprintf(words, sizeof(words), "%s.%s,remoteproc=%s/%s", id, name, id, name);
	error = shm__rproc_write(PARAMETER, words);
	switch (-error) {
	case 0:
		return 0;
	case ENOENT:
		return metal_shm_set_error(
			ENODEV, "%s is not there: the module shm_carveout is not loaded", node);
	case EACCES:
	case EPERM:
		return metal_shm_set_error(EACCES,
					   "%s is not there; root may make it: echo %s > %s", node,
					   words, PARAMETER);
	case EEXIST:
		return metal_shm_set_error(EEXIST,
					   "%s/%s, or a part of it, is exported already by another "
					   "name: see %s",
					   id, name, PARAMETER);
	default:
		return metal_shm_set_error(-error, "%s/%s can't be exported: %s: %s", id, name,
					   PARAMETER, strerror(-error));
	}
}

static int open_node(const char *id, const char *name)
{
	char node[NODE];
	int error, fd;

	snprintf(node, sizeof(node), SHM_CARVEOUT_FOLDER "%s.%s", id, name);
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		error = export_carveout(id, name, node);
		if (error)
			return error;
		fd = open(node, O_RDWR | O_CLOEXEC);
	}
	return fd < 0 ? metal_shm_set_error(errno, "%s: %s", node, strerror(errno)) : fd;
}

/* "remoteproc0.shared"; nodes of other regions are nobody's in particular. */
static bool source_of(const char *node, char *ret, size_t size)
{
	size_t length = strcspn(node, ".");
	char id[SHM__RPROC_TEXT], core[SHM__RPROC_TEXT];

	if (!length || length >= sizeof(id) || !node[length])
		return false;
	snprintf(id, sizeof(id), "%.*s", (int)length, node);
	if (shm__rproc_find(id, core) || strcmp(id, core) != 0)
		return false;
	return snprintf(ret, size, "rproc:%s/%s", id, node + length + 1) < (int)size;
}

/* Those that are exported already: to export one is a decision of whoever opens it. */
int shm__rproc_each_carveout(int (*found)(void *user, const char *name), void *user)
{
	int fd = open(SHM_CARVEOUT_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC), answer = 0;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char name[NODE];

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!answer && (entry = readdir(folder)) != NULL)
		if (source_of(entry->d_name, name, sizeof(name)))
			answer = found(user, name);
	closedir(folder);
	return answer;
}

int shm__rproc_open_carveout(const char *rest, struct metal_device **ret_dev)
{
	const char *slash = strchr(rest, '/');
	char core[SHM__RPROC_TEXT], id[SHM__RPROC_TEXT], device[NODE + 8];
	struct shm_carveout_info info = { 0 };
	struct carveout *carveout;
	int error, fd;

	if (!slash[1] || strpbrk(slash + 1, "/,\n") || strlen(slash + 1) >= SHM__RPROC_TEXT ||
	    slash == rest || slash - rest >= SHM__RPROC_TEXT)
		return metal_shm_set_error(EINVAL, "'%.64s' is not REMOTEPROC/CARVEOUT", rest);
	snprintf(core, sizeof(core), "%.*s", (int)(slash - rest), rest);
	error = shm__rproc_find(core, id);
	if (error)
		return error;
	fd = open_node(id, slash + 1);
	if (fd < 0)
		return fd;
	carveout = calloc(1, sizeof(*carveout));
	if (!carveout || ioctl(fd, SHM_CARVEOUT_INFO, &info)) {
		error = metal_shm_set_error(carveout ? errno : ENOMEM, "%s: %s", rest,
					    carveout ? strerror(errno) : "no memory");
		goto close_node;
	}
	carveout->fd = fd;
	carveout->flags = info.flags;
	snprintf(carveout->name, sizeof(carveout->name), "%s/%s", id, slash + 1);
	snprintf(device, sizeof(device), "rproc:%s", carveout->name);
	error = metal_shm_device_create(&static_ops, device, carveout, ret_dev);
	if (!error)
		return 0;
close_node:
	free(carveout);
	close(fd);
	return error;
}
