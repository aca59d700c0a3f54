/* SPDX-License-Identifier: BSD-3-Clause */
/* metal_shm_physical_get(): where memory lies, for devices that no IOMMU stands before. Never a guess. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/types.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "dmabuf.h"
#include "heap_names.h"
#include "pagemap.h"
#include "pages.h"

#define PHYS_NODE     "/dev/dma-buf-phys"
#define UDMABUF       "udmabuf"
#define EXPORTER_SIZE 64

/* Of TI's kernels alone, so no header of ours has it: include/uapi/linux/dma_buf_phys.h there. */
struct dma_buf_phys_data {
	__u32 fd;
	__u64 phys;
};
#define DMA_BUF_PHYS_IOC_CONVERT _IOWR('D', 0, struct dma_buf_phys_data)

/* That driver keeps the buffer mapped while the descriptor is open, and takes one piece only. */
static int ask_driver(const struct metal_shm_attachment *at, struct metal_shm_physical *ret)
{
	struct dma_buf_phys_data data = { .fd = (__u32)at->memory->os_handle };
	struct metal_shm_segment *segment;
	int fd = open(PHYS_NODE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, DMA_BUF_PHYS_IOC_CONVERT, &data) || !data.phys ||
	    data.phys > UINT64_MAX - at->memory->size)
		goto close_fd;
	segment = malloc(sizeof(*segment));
	if (!segment)
		goto close_fd;
	*segment = (struct metal_shm_segment){ data.phys + at->range.offset, at->range.length };
	*ret = (struct metal_shm_physical){ segment, 1, fd };
	return 0;
close_fd:
	close(fd);
	return -ENOTSUP;
}

/*
 * Who exports it, if its pages stay where they are: heaps' do, and those that a udmabuf refers to. Others may
 * move theirs while nobody has the DMA-BUF mapped.
 */
static int find_exporter(int fd, char *exporter, size_t size)
{
	char path[sizeof(SHM__HEAP_DIR "/") + EXPORTER_SIZE];

	if (shm__dmabuf_exporter(fd, exporter, size))
		return metal_shm_set_error(ENOTSUP,
					   "nothing tells whose DMA-BUF it is, so its pages "
					   "may move");
	snprintf(path, sizeof(path), SHM__HEAP_DIR "/%s", exporter);
	if (!strcmp(exporter, UDMABUF) || !access(path, F_OK))
		return 0;
	return metal_shm_set_error(ENOTSUP,
				   "%s may move the pages of its DMA-BUFs, so they have no "
				   "physical address",
				   exporter);
}

/*
 * A heap's sync works on the devices that the kernel has attached, and of this one it doesn't know. A
 * udmabuf's works on the memory.
 */
static int check_sync(const struct metal_shm_attachment *at, const char *exporter)
{
	struct metal_shm_properties is = { .struct_size = sizeof(is) };
	int error = metal_shm_properties(at->shm, &is);

	if (error || is.coherent == METAL_SHM_YES || is.cached == METAL_SHM_NO ||
	    !strcmp(exporter, UDMABUF))
		return error;
	return metal_shm_set_error(
		ENOTSUP,
		"no sync of %s's memory reaches a device that the kernel doesn't know; "
		"if it is coherent for this one, heaps.conf can say so",
		exporter);
}

static int look_up(const struct metal_shm_attachment *at, struct metal_shm_physical *ret)
{
	size_t page = shm__page_size(), length = at->range.length;
	char exporter[EXPORTER_SIZE];
	const volatile char *bytes;
	void *address;
	int error = find_exporter(at->memory->os_handle, exporter, sizeof(exporter));

	if (!error)
		error = check_sync(at, exporter);
	if (!error)
		error = metal_shm_importer_map(at, METAL_SHM_READ, &address);
	if (error)
		return error;
	/* pages of a mapping come at first touch */
	bytes = address;
	for (size_t i = 0; i < length; i += page)
		(void)bytes[i];
	(void)bytes[length - 1];
	error = shm__pagemap_segments(address, length, &ret->segments, &ret->segment_count);
	metal_shm_importer_unmap(at, address);
	ret->os_handle = -1;
	return error;
}

int metal_shm_physical_get(const struct metal_shm_attachment *at, struct metal_shm_physical *ret)
{
	struct metal_shm_physical found = { 0 };
	int error = 0;

	if (!at || !ret)
		return metal_shm_set_error(EINVAL, "metal_shm_physical_get: NULL");
	if (at->memory->os_handle < 0 || !shm__fd_is_dmabuf(at->memory->os_handle))
		return metal_shm_set_error(ENOTSUP,
					   "the kernel may move the pages of memory that is no "
					   "DMA-BUF, so it has no physical address");
	if (ask_driver(at, &found))
		error = look_up(at, &found);
	if (!error)
		*ret = found;
	return error;
}

void metal_shm_physical_put(struct metal_shm_physical *physical)
{
	if (!physical)
		return;
	free(physical->segments);
	if (physical->os_handle >= 0)
		close(physical->os_handle);
	*physical = (struct metal_shm_physical){ .os_handle = -1 };
}
