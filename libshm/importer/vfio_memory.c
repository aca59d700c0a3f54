/* SPDX-License-Identifier: BSD-3-Clause */
/* Which memory the kernel can pin for VFIO, known before it is asked, and why it refused some. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dmabuf.h"
#include "vfio.h"

#define LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

/*
 * Measured: of the system heap's mapping MAP_DMA fails with EFAULT, over that of a CMA heap the kernel
 * spins until the program is killed. Others' mappings are like one of these.
 */
int shm__vfio_check_descriptor(const char *name, const struct metal_shm_memory *memory)
{
	char exporter[64];

	if (memory->os_handle < 0)
		return 0;
	if (!shm__fd_is_dmabuf(memory->os_handle)) {
		if (fcntl(memory->os_handle, F_GET_SEALS) >= 0)
			return 0;
		return metal_shm_set_error(ENOTSUP,
					   "%s: VFIO maps memory of anon, memfd, udmabuf and "
					   "metal_shm_wrap(), and this is none of these",
					   name);
	}
	if (shm__dmabuf_exporter(memory->os_handle, exporter, sizeof(exporter)))
		exporter[0] = '\0';
	if (!strcmp(exporter, "udmabuf"))
		return 0;
	return metal_shm_set_error(
		ENOTSUP,
		"%s: VFIO maps memory of anon, memfd, udmabuf and metal_shm_wrap(), "
		"not a DMA-BUF that '%s' exports: the kernel can't pin its mapping",
		name, exporter);
}

struct span {
	unsigned long start, end, inode;
	char access[5];
	char path[64]; /* or its beginning */
};

static bool begins(const struct span *span, const char *with)
{
	return !strncmp(span->path, with, strlen(with));
}

/* Private pages are the process's own; shared ones may be a driver's. */
static bool can_be_pinned(const struct span *span)
{
	if (span->access[3] == 'p')
		return !span->inode || !(begins(span, "/dev/") || begins(span, "/dmabuf"));
	return begins(span, "/memfd:") || begins(span, "/dev/zero (deleted)") ||
	       begins(span, "/SYSV") || begins(span, "/anon_hugepage (deleted)");
}

static int refuse_span(const char *name, const struct span *span)
{
	if (strncmp(span->access, "rw", 2) != 0)
		return metal_shm_set_error(EACCES,
					   "%s: the memory at 0x%lx is mapped %s, and a device may "
					   "write what it gets",
					   name, span->start, span->access);
	return metal_shm_set_error(
		ENOTSUP,
		"%s: the memory at 0x%lx is a mapping of %s; VFIO maps what is the program's own, "
		"anonymous pages and memfds",
		name, span->start, span->path);
}

/* What maps says of the range, span after span; they come in order. */
static int check_spans(const char *name, FILE *maps, uintptr_t at, uintptr_t end)
{
	char line[512];

	while (at < end && fgets(line, sizeof(line), maps)) {
		struct span span = { .path = "" };

		if (sscanf(line, "%lx-%lx %4s %*s %*s %lu %63[^\n]", &span.start, &span.end,
			   span.access, &span.inode, span.path) < 4)
			continue;
		if (span.end <= at)
			continue;
		if (span.start > at)
			break;
		if (strncmp(span.access, "rw", 2) != 0 || !can_be_pinned(&span))
			return refuse_span(name, &span);
		at = span.end;
	}
	if (at >= end)
		return 0;
	return metal_shm_set_error(EFAULT, "%s: nothing is mapped at 0x%" PRIxPTR, name, at);
}

int shm__vfio_check_addresses(const char *name, const void *address, size_t size)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int error;

	if (!maps)
		return metal_shm_set_error(errno, "%s: /proc/self/maps: %s", name, strerror(errno));
	error = check_spans(name, maps, (uintptr_t)address, (uintptr_t)address + size);
	fclose(maps);
	return error;
}

/* The number in the line that begins with a key, which may be "". */
static bool read_number(const char *path, const char *key, unsigned long long *ret)
{
	FILE *file = fopen(path, "re");
	char line[128];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, key, strlen(key));
		if (found)
			*ret = strtoull(line + strlen(key), NULL, 10);
	}
	if (file)
		fclose(file);
	return found;
}

static int no_entry(const char *name)
{
	unsigned long long limit = 65535;

	read_number(LIMIT, "", &limit);
	return metal_shm_set_error(
		ENOSPC,
		"%s: the container has its %llu mappings; more: module parameter "
		"vfio_iommu_type1.dma_entry_limit (for containers opened later)",
		name, limit);
}

/*
 * What is to stay where it is must not lie in an area for what moves out of the way, so the kernel moves it
 * first, which it can't where a udmabuf refers to the pages: measured, ENOMEM, with pages that were a CMA
 * heap's before.
 */
static int no_pages(const char *name, uint64_t size)
{
	return metal_shm_set_error(
		ENOMEM,
		"%s: no memory to map %" PRIu64 " bytes, or a udmabuf keeps their "
		"pages in a CMA area, out of which they must be moved: memory of memfd "
		"or anon can be",
		name, size);
}

/* The kernel says ENOMEM of the limit on locked memory, too. */
static int no_memory(const char *name, uint64_t size)
{
	unsigned long long locked_kib = 0;
	struct rlimit limit;
	uint64_t wanted;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    !read_number("/proc/self/status", "VmLck:", &locked_kib))
		return no_pages(name, size);
	wanted = locked_kib * 1024 + size;
	if (wanted <= limit.rlim_cur)
		return no_pages(name, size);
	return metal_shm_set_error(ENOMEM,
				   "%s: %" PRIu64 " bytes beside %llu KiB that are locked exceed "
				   "RLIMIT_MEMLOCK, %ju: ulimit -l %" PRIu64 ", or CAP_IPC_LOCK",
				   name, size, locked_kib, (uintmax_t)limit.rlim_cur,
				   (wanted + 1023) / 1024);
}

int shm__vfio_map_failed(const char *name, uint64_t size, int error)
{
	if (error == ENOSPC)
		return no_entry(name);
	if (error == ENOMEM)
		return no_memory(name, size);
	return metal_shm_set_error(error, "%s: VFIO_IOMMU_MAP_DMA of %" PRIu64 " bytes: %s", name,
				   size, strerror(error));
}
