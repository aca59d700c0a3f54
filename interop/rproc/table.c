/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of segments, in memory that the core reaches in one piece: for a SHARE that has too many. */
#include <errno.h>

#include "internal.h"

/* Pages of heaps may lie anywhere, so more than one is asked for in one piece. */
static struct metal_generic_shm *allocate(struct shm__rproc *rproc, size_t size)
{
	struct metal_generic_shm *shm;

	shm = metal_shm_allocate_for(size, &rproc->dev, 1, METAL_SHM_CONTIGUOUS);
	return shm ? shm : metal_shm_allocate_for(size, &rproc->dev, 1, 0);
}

static int fill(struct shm__rproc *rproc, const struct shm__rproc_map *map,
		struct metal_generic_shm *shm)
{
	uint8_t *entry = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	int error;

	if (!entry)
		return -errno;
	for (size_t i = 0; i < map->segment_count; i++, entry += SHM__SEGMENT_SIZE)
		shm__segment_encode(&(struct shm__wire_segment){ map->segments[i].device_address,
								 map->segments[i].length },
				    entry);
	/* past the CPU's cache; nobody is told, so nobody has to answer */
	error = metal_shm_hold(shm, rproc->dev, METAL_SHM_DIR_DEV_R, 0);
	return error ? error : metal_shm_unhold(shm, rproc->dev, 0);
}

int shm__rproc_table(struct shm__rproc *rproc, const struct shm__rproc_map *map,
		     struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *shm, *view;
	const struct metal_shm_segment *segments;
	size_t n = 0;
	int error;

	if (map->segment_count > UINT32_MAX / SHM__SEGMENT_SIZE)
		return metal_shm_set_error(E2BIG, "%s can't be told of %zu segments", rproc->id,
					   map->segment_count);
	shm = allocate(rproc, map->segment_count * SHM__SEGMENT_SIZE);
	if (!shm)
		return -errno;
	view = metal_shm_attach(shm, rproc->dev);
	error = view ? metal_shm_segments(view, &segments, &n) : -errno;
	if (!error && n != 1)
		error = metal_shm_set_error(ENOTSUP,
					    "%s has to be told of %zu segments by a table, for "
					    "which there is no memory in one piece",
					    rproc->id, map->segment_count);
	if (!error)
		error = fill(rproc, map, shm);
	if (error && view)
		metal_shm_detach(view, rproc->dev);
	else
		*ret_view = view;
	metal_shm_free(shm, NULL); /* the view keeps the memory */
	return error;
}

void shm__rproc_table_end(struct shm__rproc *rproc, struct metal_generic_shm *view)
{
	metal_shm_detach(view, rproc->dev);
}
