/* SPDX-License-Identifier: BSD-3-Clause */
/* What is attached to a core, from the first address to the firmware's last word about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "way.h"

static const struct shm__rproc_way *const ways[] = {
	&shm__rproc_by_importer,
	&shm__rproc_by_place,
};

static int find_addresses(struct shm__rproc *rproc, const struct metal_shm_attachment *at,
			  struct shm__rproc_map *map)
{
	char tried[512] = "";
	int error = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t length = strlen(tried);
		bool absent = false;

		error = ways[i]->map(rproc, at, map, &absent);
		if (!error) {
			map->way = ways[i];
			return 0;
		}
		free(map->segments);
		map->segments = NULL;
		map->segment_count = 0;
		if (!absent)
			return error;
		snprintf(tried + length, sizeof(tried) - length, "%s%s: %s", length ? "; " : "",
			 ways[i]->name, metal_shm_last_error());
	}
	return metal_shm_set_error(ENOTSUP, "nobody tells %s's addresses of the memory: %s",
				   rproc->id, tried);
}

int shm__rproc_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *ret_view)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct shm__rproc_map *map;
	int error;

	if (at->memory->os_handle < 0)
		return metal_shm_set_error(ENOTSUP, "%s needs a DMA-BUF, and the memory is none",
					   rproc->id);
	map = calloc(1, sizeof(*map));
	if (!map)
		return metal_shm_set_error(ENOMEM, "no memory for an attachment");
	map->view = at->shm;
	map->memory = at->memory;
	map->range = at->range;
	map->elsewhere = ret_view->mode != METAL_SHM_VIEW_IN_PLACE;
	error = find_addresses(rproc, at, map);
	if (error) {
		free(map);
		return error;
	}
	ret_view->data = map;
	ret_view->segments = map->segments;
	ret_view->segment_count = map->segment_count;
	ret_view->access = map->coherent ? METAL_SHM_ACCESS_DMA_COHERENT : METAL_SHM_ACCESS_DMA;
	if (map->bounced)
		ret_view->flags |= METAL_SHM_VIEW_BOUNCES;
	pthread_mutex_lock(&rproc->lock);
	map->next = rproc->maps;
	rproc->maps = map;
	rproc->seen_off = false;
	pthread_mutex_unlock(&rproc->lock);
	return 0;
}

static void unlink_map(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	struct shm__rproc_map **at = &rproc->maps;

	while (*at != map)
		at = &(*at)->next;
	*at = map->next;
}

/* Not of interest to the core any more, or until it says so. */
void shm__rproc_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		       struct metal_shm_view *view)
{
	struct shm__rproc *rproc = shm__rproc_of(dev);
	struct shm__rproc_map *map = view->data;
	bool end;

	(void)at;
	pthread_mutex_lock(&rproc->lock);
	map->view = NULL;
	map->memory = NULL;
	end = !map->told || map->gone;
	if (end) {
		unlink_map(rproc, map);
	} else {
		map->asked = shm__rproc_now_ms();
		if (map->id && !map->unshare) {
			map->unshare = true;
			rproc->queued++;
			shm__rproc_flush(rproc);
		}
		shm__rproc_arm(rproc);
	}
	pthread_mutex_unlock(&rproc->lock);
	if (end)
		shm__rproc_map_end(rproc, map);
}

void shm__rproc_map_end(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	if (map->table)
		shm__rproc_table_end(rproc, map->table);
	map->way->unmap(rproc, map);
	free(map->segments);
	free(map);
}
