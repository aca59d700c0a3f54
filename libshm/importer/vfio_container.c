/* SPDX-License-Identifier: BSD-3-Clause */
/* A VFIO container: one set of IOMMU tables, which all devices in it share, and its addresses. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "node.h"
#include "pages.h"
#include "vfio.h"

#define NODE "/dev/vfio/vfio"

struct shm__vfio_container {
	int fd;
	pthread_mutex_t lock; /* all below */
	struct shm__iova_space space;
	struct shm__vfio_mapping *stuck; /* that the kernel didn't undo */
};

/* What the kernel says of the container, with its list of capabilities. NULL: -*ret_error. */
static struct vfio_iommu_type1_info *get_info(int fd, int *ret_error)
{
	struct vfio_iommu_type1_info *info = NULL, *more;
	uint32_t size = sizeof(*info);

	for (;;) {
		more = realloc(info, size);
		if (!more) {
			free(info);
			*ret_error = metal_shm_set_error(ENOMEM, "vfio: no memory");
			return NULL;
		}
		info = more;
		memset(info, 0, size);
		info->argsz = size;
		if (ioctl(fd, VFIO_IOMMU_GET_INFO, info)) {
			*ret_error = metal_shm_set_error(errno, "vfio: VFIO_IOMMU_GET_INFO: %s",
							 strerror(errno));
			free(info);
			return NULL;
		}
		if (info->argsz <= size)
			return info;
		size = info->argsz;
	}
}

static const struct vfio_iommu_type1_info_cap_iova_range *find_ranges(
	const struct vfio_iommu_type1_info *info)
{
	const char *base = (const char *)info;
	uint32_t at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;

	while (at && info->argsz > sizeof(struct vfio_info_cap_header) &&
	       at <= info->argsz - sizeof(struct vfio_info_cap_header)) {
		const struct vfio_info_cap_header *header = (const void *)(base + at);
		const struct vfio_iommu_type1_info_cap_iova_range *found = (const void *)header;

		if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			return info->argsz - at >= sizeof(*found) &&
					       (info->argsz - at - sizeof(*found)) /
							       sizeof(found->iova_ranges[0]) >=
						       found->nr_iovas
				       ? found
				       : NULL;
		/* each lies behind the one before */
		at = header->next > at ? header->next : 0;
	}
	return NULL;
}

/* Ask which addresses are translated. Under the container's lock. */
static int learn(struct shm__vfio_container *container)
{
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info *info;
	struct shm__iova_window *window;
	uint64_t granule;
	int error = 0;

	info = get_info(container->fd, &error);
	if (!info)
		return error;
	granule = info->iova_pgsizes & -info->iova_pgsizes;
	ranges = find_ranges(info);
	if (!(info->flags & VFIO_IOMMU_INFO_PGSIZES) || granule != shm__page_size()) {
		error = metal_shm_set_error(
			ENOTSUP, "vfio: the IOMMU's pages have %" PRIu64 " bytes, the CPU's %zu",
			granule, shm__page_size());
		goto free_info;
	}
	if (!ranges) {
		error = metal_shm_set_error(ENOTSUP, "vfio: the kernel doesn't say which addresses "
						     "the IOMMU translates (Linux 5.4 does)");
		goto free_info;
	}
	window = calloc(ranges->nr_iovas + 1, sizeof(*window));
	if (!window) {
		error = metal_shm_set_error(ENOMEM, "vfio: no memory");
		goto free_info;
	}
	for (uint32_t i = 0; i < ranges->nr_iovas; i++)
		window[i] = (struct shm__iova_window){ ranges->iova_ranges[i].start,
						       ranges->iova_ranges[i].end };
	free(container->space.window);
	shm__iova_windows(&container->space, window, ranges->nr_iovas, granule);
free_info:
	free(info);
	return error;
}

static int check_api(int fd)
{
	int version = ioctl(fd, VFIO_GET_API_VERSION);

	if (version != VFIO_API_VERSION)
		return metal_shm_set_error(ENOTSUP, NODE ": version %d, not %d", version,
					   VFIO_API_VERSION);
	if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return metal_shm_set_error(ENOTSUP,
					   NODE " has no type 1 IOMMU: modprobe vfio_iommu_type1");
	return 0;
}

static int open_node(void)
{
	int fd = shm__node_open(NODE, "misc");

	if (fd == -ENOENT)
		return metal_shm_set_error(ENOENT, "no " NODE ": modprobe vfio-pci, or a kernel "
						   "with CONFIG_VFIO_PCI");
	return fd;
}

int shm__vfio_container_new(int group_fd, const char *pci,
			    struct shm__vfio_container **ret_container)
{
	struct shm__vfio_container *container = calloc(1, sizeof(*container));
	const char *step = "VFIO_GROUP_SET_CONTAINER";
	int error;

	if (!container)
		return metal_shm_set_error(ENOMEM, "%s: no memory", pci);
	container->fd = open_node();
	error = container->fd < 0 ? container->fd : check_api(container->fd);
	if (error)
		goto close_node;
	if (ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container->fd))
		goto say;
	step = "VFIO_SET_IOMMU";
	if (ioctl(container->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		goto say;
	error = learn(container);
	if (error)
		goto close_node;
	pthread_mutex_init(&container->lock, NULL);
	*ret_container = container;
	return 0;
say:
	/* the kernel's word where interrupts aren't remapped, so that a device could forge any */
	if (errno == EPERM)
		error = metal_shm_set_error(EPERM,
					    "%s: %s: %s: does the IOMMU remap interrupts? If it "
					    "can't, and the device is trusted: module parameter "
					    "vfio_iommu_type1.allow_unsafe_interrupts",
					    pci, step, strerror(errno));
	else
		error = metal_shm_set_error(errno, "%s: %s: %s", pci, step, strerror(errno));
close_node:
	if (container->fd >= 0)
		close(container->fd);
	free(container);
	return error;
}

bool shm__vfio_container_join(struct shm__vfio_container *container, int group_fd)
{
	int error;

	if (ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container->fd))
		return false;
	pthread_mutex_lock(&container->lock);
	error = learn(container);
	pthread_mutex_unlock(&container->lock);
	if (error)
		ioctl(group_fd, VFIO_GROUP_UNSET_CONTAINER);
	return !error;
}

void shm__vfio_container_free(struct shm__vfio_container *container)
{
	struct shm__vfio_mapping *mapping;

	close(container->fd);
	while ((mapping = container->stuck) != NULL) {
		container->stuck = mapping->next;
		free(mapping);
	}
	free(container->space.window);
	pthread_mutex_destroy(&container->lock);
	free(container);
}

static int take(struct shm__vfio_container *container, const char *name,
		const struct shm__vfio_bytes *bytes, uint64_t *cursor, struct shm__iova *ret)
{
	uint64_t largest = 0;
	int error;

	pthread_mutex_lock(&container->lock);
	error = shm__iova_take(&container->space, bytes->size, bytes->last, cursor, ret);
	if (error)
		largest = shm__iova_largest(&container->space, bytes->last);
	pthread_mutex_unlock(&container->lock);
	if (error)
		return metal_shm_set_error(ENOSPC,
					   "%s: no %" PRIu64 " bytes of addresses in a row up to "
					   "0x%" PRIx64 ", at most %" PRIu64 " are left",
					   name, bytes->size, bytes->last, largest);
	return 0;
}

static void give_back(struct shm__vfio_container *container, struct shm__iova *iova)
{
	pthread_mutex_lock(&container->lock);
	shm__iova_give_back(&container->space, iova);
	pthread_mutex_unlock(&container->lock);
}

int shm__vfio_map(struct shm__vfio_container *container, const char *name,
		  const struct shm__vfio_bytes *bytes, uint64_t *cursor,
		  struct shm__vfio_mapping *mapping)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)bytes->address,
		.size = bytes->size,
	};
	int error = take(container, name, bytes, cursor, &mapping->iova);

	if (error)
		return error;
	mapping->size = bytes->size;
	map.iova = mapping->iova.start;
	if (bytes->writable)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	if (!ioctl(container->fd, VFIO_IOMMU_MAP_DMA, &map))
		return 0;
	error = shm__vfio_map_failed(name, bytes->size, errno);
	give_back(container, &mapping->iova);
	return error;
}

void shm__vfio_unmap(struct shm__vfio_container *container, const char *name,
		     struct shm__vfio_mapping *mapping)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = mapping->iova.start,
		.size = mapping->size,
	};
	int error = ioctl(container->fd, VFIO_IOMMU_UNMAP_DMA, &unmap) ? errno : 0;

	if (!error && unmap.size == mapping->size) {
		give_back(container, &mapping->iova);
		free(mapping);
		return;
	}
	/* Devices may still reach the pages, which stay pinned, so that nobody else gets them. */
	pthread_mutex_lock(&container->lock);
	mapping->next = container->stuck;
	container->stuck = mapping;
	pthread_mutex_unlock(&container->lock);
	metal_shm_set_error(error ? error : EIO,
			    "%s: VFIO_IOMMU_UNMAP_DMA of %" PRIu64 " bytes at 0x%" PRIx64
			    " undid %" PRIu64 ": the device may reach them until it is closed",
			    name, mapping->size, mapping->iova.start, (uint64_t)unmap.size);
}
