/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between map and unmap the bytes are the CPU's: START comes before the map is complete, END after the
 * unmap is. Some runtimes abort when what is mapped is released, so what the program left mapped is
 * unmapped before its last reference goes.
 */
#include <stdlib.h>

#include "calls.h"
#include "layer.h"

static bool writes(cl_map_flags flags)
{
	return flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION);
}

/* *ret is what to remember of the map of an import; NULL for any other mem, and without memory. */
static void prepare(struct layer_bracket *b, cl_mem mem, cl_map_flags flags, struct layer_map **ret)
{
	struct layer_import *import = layer_mem_import(mem);
	bool write = writes(flags);

	*ret = NULL;
	if (!import)
		return;
	if (write && !import->writable)
		layer_refuse(b, CL_INVALID_OPERATION);
	if (!layer_import_is_whole(import))
		layer_refuse(b, CL_MAP_FAILURE);
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		layer_refuse(b, CL_OUT_OF_HOST_MEMORY);
	else
		(*ret)->write = write;
	layer_touch_bracketed(b, import, write);
}

/* The record takes over the map, and its reference of the queue. */
static void keep(cl_mem mem, struct layer_map *map)
{
	struct layer_mem *record;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	map->next = record->maps;
	record->maps = map;
	pthread_mutex_unlock(&layer_objects_lock);
}

static void remember(cl_command_queue queue, cl_mem mem, void *address, struct layer_map *map)
{
	layer_next.clRetainCommandQueue(queue);
	map->address = address;
	map->queue = queue;
	keep(mem, map);
}

/* Takes the map at the address out of the record, any if address is NULL. */
static struct layer_map *take(cl_mem mem, const void *address)
{
	struct layer_map **link, *map = NULL;
	struct layer_mem *record;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record) {
		link = &record->maps;
		while (*link && address && (*link)->address != address)
			link = &(*link)->next;
		map = *link;
		if (map)
			*link = map->next;
	}
	pthread_mutex_unlock(&layer_objects_lock);
	return map;
}

static void map_free(struct layer_map *map)
{
	layer_next.clReleaseCommandQueue(map->queue);
	free(map);
}

/* A blocking call has told the program that nothing is mapped. The map had no bracket to end. */
static void take_back(cl_command_queue queue, cl_mem mem, void *address)
{
	struct layer_map *map = take(mem, address);

	if (!map)
		return;
	layer_next.clEnqueueUnmapMemObject(queue, mem, address, 0, NULL, NULL);
	layer_next.clFlush(queue);
	map_free(map);
}

static void *mapped(struct layer_bracket *b, cl_command_queue queue, cl_mem mem, void *address,
		    cl_int code, struct layer_map *map, cl_int *errcode_ret)
{
	bool enqueued = code == CL_SUCCESS && map;

	if (enqueued)
		remember(queue, mem, address, map);
	else
		free(map);
	code = layer_close(b, code);
	if (code != CL_SUCCESS && enqueued)
		take_back(queue, mem, address);
	if (errcode_ret)
		*errcode_ret = code;
	return code == CL_SUCCESS ? address : NULL;
}

static void *refused(struct layer_map *map, cl_int code, cl_int *errcode_ret)
{
	free(map);
	if (errcode_ret)
		*errcode_ret = code;
	return NULL;
}

void *CL_API_CALL layer_enqueue_map_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
					   cl_map_flags flags, size_t offset, size_t size,
					   cl_uint wait_count, const cl_event *wait_list,
					   cl_event *event, cl_int *errcode_ret)
{
	struct layer_map *map;
	struct layer_bracket b;
	void *address;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueMapBuffer(queue, buffer, blocking, flags, offset, size,
						     wait_count, wait_list, event, errcode_ret);
	layer_begin(&b, queue, CL_COMMAND_MAP_BUFFER, blocking, wait_count, wait_list, event);
	prepare(&b, buffer, flags, &map);
	code = layer_open(&b, LAYER_BEGIN);
	if (code != CL_SUCCESS)
		return refused(map, code, errcode_ret);
	address = layer_next.clEnqueueMapBuffer(b.queue, buffer, b.blocking, flags, offset, size,
						b.wait_count, b.wait_list, b.event, &code);
	return mapped(&b, queue, buffer, address, code, map, errcode_ret);
}

void *CL_API_CALL layer_enqueue_map_image(cl_command_queue queue, cl_mem image, cl_bool blocking,
					  cl_map_flags flags, const size_t *origin,
					  const size_t *region, size_t *row, size_t *slice,
					  cl_uint wait_count, const cl_event *wait_list,
					  cl_event *event, cl_int *errcode_ret)
{
	struct layer_map *map;
	struct layer_bracket b;
	void *address;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueMapImage(queue, image, blocking, flags, origin, region,
						    row, slice, wait_count, wait_list, event,
						    errcode_ret);
	layer_begin(&b, queue, CL_COMMAND_MAP_IMAGE, blocking, wait_count, wait_list, event);
	prepare(&b, image, flags, &map);
	code = layer_open(&b, LAYER_BEGIN);
	if (code != CL_SUCCESS)
		return refused(map, code, errcode_ret);
	address =
		layer_next.clEnqueueMapImage(b.queue, image, b.blocking, flags, origin, region, row,
					     slice, b.wait_count, b.wait_list, b.event, &code);
	return mapped(&b, queue, image, address, code, map, errcode_ret);
}

/* *map, which may be NULL, is freed and NULL once it is unmapped. */
static cl_int unmap(cl_command_queue queue, cl_mem mem, void *address, struct layer_map **map,
		    cl_uint wait_count, const cl_event *wait_list, cl_event *event)
{
	struct layer_import *import = *map ? layer_mem_import(mem) : NULL;
	struct layer_bracket b;
	cl_int code;

	layer_begin(&b, queue, CL_COMMAND_UNMAP_MEM_OBJECT, CL_FALSE, wait_count, wait_list, event);
	if (import)
		layer_touch_bracketed(&b, import, (*map)->write);
	code = layer_open(&b, LAYER_FINISH);
	if (code != CL_SUCCESS)
		return code;
	code = layer_next.clEnqueueUnmapMemObject(b.queue, mem, address, b.wait_count, b.wait_list,
						  b.event);
	if (code == CL_SUCCESS && *map) {
		map_free(*map);
		*map = NULL;
	}
	return layer_close(&b, code);
}

cl_int CL_API_CALL layer_enqueue_unmap_mem_object(cl_command_queue queue, cl_mem mem, void *address,
						  cl_uint wait_count, const cl_event *wait_list,
						  cl_event *event)
{
	struct layer_map *map;
	cl_int code;

	if (layer_idle())
		return layer_next.clEnqueueUnmapMemObject(queue, mem, address, wait_count,
							  wait_list, event);
	map = address ? take(mem, address) : NULL;
	code = unmap(queue, mem, address, &map, wait_count, wait_list, event);
	if (map)
		keep(mem, map);
	return code;
}

/*
 * The program's last reference of mem is about to go. What is enqueued has references of its own, so
 * nothing is waited for: that might be for something the program does next.
 */
static void unmap_all(cl_mem mem)
{
	struct layer_map *map;

	while ((map = take(mem, NULL)) != NULL) {
		cl_command_queue queue = map->queue;

		layer_next.clRetainCommandQueue(queue);
		unmap(queue, mem, map->address, &map, 0, NULL, NULL);
		if (map)
			map_free(map);
		layer_next.clFlush(queue);
		layer_next.clReleaseCommandQueue(queue);
	}
}

cl_int CL_API_CALL layer_retain_mem_object(cl_mem mem)
{
	cl_int code = layer_next.clRetainMemObject(mem);
	struct layer_mem *record;

	if (layer_idle() || code != CL_SUCCESS)
		return code;
	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record)
		record->users++;
	pthread_mutex_unlock(&layer_objects_lock);
	return code;
}

cl_int CL_API_CALL layer_release_mem_object(cl_mem mem)
{
	struct layer_mem *record;
	bool last = false, silent = false;

	if (layer_idle())
		return layer_next.clReleaseMemObject(mem);
	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record) {
		last = !--record->users && record->maps;
		silent = !record->users && record->silent;
	}
	pthread_mutex_unlock(&layer_objects_lock);
	/* In a child nobody would unmap it. */
	if (last && atomic_load(&layer_forked))
		return CL_SUCCESS;
	if (last)
		unmap_all(mem);
	if (silent)
		layer_mem_forget(mem);
	return layer_next.clReleaseMemObject(mem);
}
