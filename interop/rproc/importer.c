/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses from the kernel module shm_importer, which attaches a DMA-BUF on the core's behalf: the one
 * way that holds for any memory, with an IOMMU or without, and that keeps what a killed program shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmod/uapi/shm_importer.h"
#include "way.h"

static int bind_to(const struct shm__rproc *rproc, int fd, struct shm_import_bind *ret)
{
	*ret = (struct shm_import_bind){ .reserved = 0 };
	if (snprintf(ret->name, sizeof(ret->name), "%s", rproc->id) >= (int)sizeof(ret->name))
		return metal_shm_set_error(ENAMETOOLONG, "%s", rproc->id);
	if (ioctl(fd, SHM_IMPORT_BIND, ret))
		return metal_shm_set_error(errno, SHM_IMPORTER_NODE ": %s: %s", rproc->id,
					   strerror(errno));
	if (ret->version != SHM_IMPORTER_VERSION)
		return metal_shm_set_error(EPROTONOSUPPORT,
					   SHM_IMPORTER_NODE " speaks version %u, not %u",
					   ret->version, SHM_IMPORTER_VERSION);
	return 0;
}

/* The one opening of the device's, made when it is first wanted: the module may come later. */
int shm__rproc_importer(struct shm__rproc *rproc)
{
	struct shm_import_bind bind;
	int error, fd;

	pthread_mutex_lock(&rproc->lock);
	fd = rproc->importer_fd;
	if (fd >= 0)
		goto unlock;
	fd = open(SHM_IMPORTER_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fd = metal_shm_set_error(
			errno, SHM_IMPORTER_NODE ": %s%s", strerror(errno),
			errno == ENOENT ? " (the module shm_importer is not loaded)" : "");
		goto unlock;
	}
	error = bind_to(rproc, fd, &bind);
	if (error) {
		close(fd);
		fd = error;
		goto unlock;
	}
	rproc->importer_fd = fd;
	rproc->highest = bind.highest;
	rproc->coherent = bind.flags & SHM_IMPORT_COHERENT;
	shm__rproc_watch_importer(rproc);
unlock:
	pthread_mutex_unlock(&rproc->lock);
	return fd;
}

static int attach_error(const struct shm__rproc *rproc, int error)
{
	switch (error) {
	case EHOSTDOWN:
		return metal_shm_set_error(
			ENOTCONN, "%s doesn't run: what is attached is attached to a run of it",
			rproc->id);
	case ERANGE:
		return metal_shm_set_error(ERANGE,
					   "%s reaches addresses up to %#llx alone, and the memory "
					   "lies elsewhere",
					   rproc->id, (unsigned long long)rproc->highest);
	case EDQUOT:
		return metal_shm_set_error(EDQUOT,
					   "shm_importer's limit of attached bytes (its parameter) "
					   "is reached for %s",
					   rproc->id);
	default:
		return metal_shm_set_error(error, "%s can't be given the memory: %s", rproc->id,
					   strerror(error));
	}
}

/* What is in the range, of all the segments of the DMA-BUF; they are in the order of its bytes. */
static int cut(const struct shm_import_segment *all, uint32_t count, struct shm__rproc_map *map)
{
	uint64_t start = map->range.offset, left = map->range.length;

	map->segments = calloc(count, sizeof(*map->segments));
	if (!map->segments)
		return metal_shm_set_error(ENOMEM, "no memory for %u segments", count);
	for (uint32_t i = 0; i < count && left; i++) {
		uint64_t length = all[i].length;

		if (start >= length) {
			start -= length;
			continue;
		}
		length -= start;
		if (length > left)
			length = left;
		map->segments[map->segment_count++] = (struct metal_shm_segment){
			.device_address = all[i].address + start,
			.length = length,
		};
		left -= length;
		start = 0;
	}
	if (!left)
		return 0;
	return metal_shm_set_error(EIO, SHM_IMPORTER_NODE ": the segments end %llu bytes early",
				   (unsigned long long)left);
}

static int read_segments(int fd, uint64_t id, uint32_t count, struct shm__rproc_map *map)
{
	struct shm_import_segment *all = calloc(count, sizeof(*all));
	struct shm_import_segments want = { .id = id, .segments = (uintptr_t)all };
	int error = 0;

	if (!all)
		return metal_shm_set_error(ENOMEM, "no memory for %u segments", count);
	while (want.first < count && !error) {
		want.segments = (uintptr_t)(all + want.first);
		want.count = count - want.first;
		if (ioctl(fd, SHM_IMPORT_SEGMENTS, &want))
			error = metal_shm_set_error(errno, SHM_IMPORTER_NODE ": segments: %s",
						    strerror(errno));
		else if (!want.count || want.count > count - want.first)
			error = metal_shm_set_error(EIO, SHM_IMPORTER_NODE ": %u of %u segments",
						    want.first, count);
		else
			want.first += want.count;
	}
	if (!error)
		error = cut(all, count, map);
	free(all);
	return error;
}

static void release(int fd, uint64_t id)
{
	struct shm_import_release gone = { .id = id, .flags = SHM_IMPORT_UNSHARED };

	ioctl(fd, SHM_IMPORT_RELEASE, &gone);
}

/* A descriptor for reading only gives memory for reading only. */
static int attach(int fd, int memory, struct shm_import_attach *ret)
{
	*ret = (struct shm_import_attach){ .fd = memory,
					   .access = SHM_IMPORT_READ | SHM_IMPORT_WRITE };
	if (!ioctl(fd, SHM_IMPORT_ATTACH, ret))
		return 0;
	if (errno != EACCES)
		return errno;
	*ret = (struct shm_import_attach){ .fd = memory, .access = SHM_IMPORT_READ };
	return ioctl(fd, SHM_IMPORT_ATTACH, ret) ? errno : 0;
}

static int importer_map(struct shm__rproc *rproc, const struct metal_shm_attachment *at,
			struct shm__rproc_map *map, bool *ret_absent)
{
	struct shm_import_attach attached;
	int error, fd = shm__rproc_importer(rproc);

	*ret_absent = fd < 0;
	if (fd < 0)
		return fd;
	error = attach(fd, at->memory->os_handle, &attached);
	if (error == EBADF || error == EINVAL)
		return metal_shm_set_error(ENOTSUP, "%s needs a DMA-BUF, and the memory is none",
					   rproc->id);
	if (error)
		return attach_error(rproc, error);
	error = attached.segments ? read_segments(fd, attached.id, attached.segments, map)
				  : metal_shm_set_error(EIO, SHM_IMPORTER_NODE ": no segment");
	if (error) {
		release(fd, attached.id);
		return error;
	}
	map->import_id = attached.id;
	map->read_only = !(attached.access & SHM_IMPORT_WRITE);
	map->bounced = attached.flags & SHM_IMPORT_BOUNCED;
	map->coherent = attached.flags & SHM_IMPORT_COHERENT;
	return 0;
}

static void importer_unmap(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	release(rproc->importer_fd, map->import_id);
}

bool shm__rproc_importer_runs(struct shm__rproc *rproc)
{
	struct shm_import_status status = { .reserved = 0 };

	if (rproc->importer_fd < 0 || ioctl(rproc->importer_fd, SHM_IMPORT_STATUS, &status))
		return false;
	return status.running;
}

const struct shm__rproc_way shm__rproc_by_importer = {
	.name = "shm_importer",
	.map = importer_map,
	.unmap = importer_unmap,
};
