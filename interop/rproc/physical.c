/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device addresses without a kernel module: where the memory lies, by TI's dma-buf-phys or pagemap, and where the
 * core sees that, by the carveouts of its resource table, into which remoteproc writes both addresses. Memory
 * that lies in none of them has no address that anybody stated, and nothing is guessed. So it is for memory that
 * was set aside for the core, and for cores without an IOMMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shm/linux.h>

#include "carveouts.h"
#include "way.h"

/* A carveout that is in the resource table; not all that the driver has are. */
struct window {
	uint64_t device, physical, length;
};

/* Of the lines of one entry: true when the last that counts is there. */
static bool take_line(const char *line, struct window *window, unsigned *fields)
{
	const char *value;

	if (!strncmp(line, "Entry ", strlen("Entry "))) {
		*fields = strstr(line, " is of type carveout") ? 1 : 0;
		return false;
	}
	if (!(*fields & 1))
		return false;
	if ((value = shm__rproc_value(line, "Device Address")) != NULL)
		*fields |= shm__rproc_number(value, &window->device) ? 2 : 0;
	else if ((value = shm__rproc_value(line, "Physical Address")) != NULL)
		*fields |= shm__rproc_number(value, &window->physical) ? 4 : 0;
	else if ((value = shm__rproc_value(line, "Length")) != NULL)
		*fields |= shm__rproc_number(value, &window->length) ? 8 : 0;
	if (*fields != 15)
		return false;
	*fields = 0;
	/* addresses that remoteproc left open have all bits set, or none */
	return window->length && window->device != UINT32_MAX && window->physical &&
	       window->physical != UINT32_MAX && window->length <= UINT64_MAX - window->physical &&
	       window->length <= UINT64_MAX - window->device;
}

static bool holds(const struct window *window, const struct metal_shm_segment *segment)
{
	return segment->device_address >= window->physical && segment->length <= window->length &&
	       segment->device_address - window->physical <= window->length - segment->length;
}

/* What a window has of the memory, in the core's addresses. Segments without a length are still to be found. */
static void translate(const struct window *window, const struct metal_shm_physical *physical,
		      struct metal_shm_segment *segments)
{
	for (size_t i = 0; i < physical->segment_count; i++) {
		const struct metal_shm_segment *from = &physical->segments[i];

		if (segments[i].length || !holds(window, from))
			continue;
		segments[i].device_address =
			window->device + (from->device_address - window->physical);
		segments[i].length = from->length;
	}
}

uint64_t shm__rproc_place_highest(const struct shm__rproc *rproc)
{
	struct window window = { 0 };
	char *table = NULL, *line, *rest;
	uint64_t highest = 0;
	unsigned fields = 0;

	if (shm__rproc_debug_file(rproc, "resource_table", &table))
		return 0;
	for (line = strtok_r(table, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (take_line(line, &window, &fields) &&
		    window.device + window.length - 1 > highest)
			highest = window.device + window.length - 1;
	}
	free(table);
	return highest;
}

static int translate_all(const struct shm__rproc *rproc, const struct metal_shm_physical *physical,
			 struct metal_shm_segment *segments, bool *ret_absent)
{
	struct window window = { 0 };
	char *table = NULL, *line, *rest;
	unsigned fields = 0;
	int error = shm__rproc_debug_file(rproc, "resource_table", &table);

	*ret_absent = error;
	if (error)
		return error;
	for (line = strtok_r(table, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (take_line(line, &window, &fields))
			translate(&window, physical, segments);
	free(table);
	for (size_t i = 0; i < physical->segment_count; i++) {
		if (!segments[i].length)
			return metal_shm_set_error(
				ENOTSUP,
				"the memory at physical %#llx is in no carveout of "
				"%s's resource table",
				(unsigned long long)physical->segments[i].device_address,
				rproc->id);
	}
	return 0;
}

static bool has_iommu(const struct shm__rproc *rproc)
{
	char path[SHM__RPROC_PATH];
	int fd;

	shm__rproc_path(rproc, "device/iommu_group", path);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int physical_map(struct shm__rproc *rproc, const struct metal_shm_attachment *at,
			struct shm__rproc_map *map, bool *ret_absent)
{
	struct metal_shm_physical physical;
	int error;

	*ret_absent = true;
	if (has_iommu(rproc))
		return metal_shm_set_error(ENOTSUP,
					   "%s's device has an IOMMU, behind which "
					   "physical addresses mean nothing",
					   rproc->id);
	error = metal_shm_physical_get(at, &physical);
	if (error)
		return error;
	map->segments = calloc(physical.segment_count, sizeof(*map->segments));
	if (map->segments) {
		map->segment_count = physical.segment_count;
		error = translate_all(rproc, &physical, map->segments, ret_absent);
	} else {
		error = metal_shm_set_error(ENOMEM, "no memory for the segments");
	}
	if (error) {
		metal_shm_physical_put(&physical);
		return error;
	}
	map->physical = physical;
	return 0;
}

static void physical_unmap(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	(void)rproc;
	metal_shm_physical_put(&map->physical);
}

const struct shm__rproc_way shm__rproc_by_place = {
	.name = "by its place",
	.map = physical_map,
	.unmap = physical_unmap,
};
