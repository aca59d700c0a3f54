/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the program's cl_mem handles stand for imports. */
#include <search.h>
#include <stdlib.h>

#include "layer.h"

pthread_mutex_t layer_objects_lock = PTHREAD_MUTEX_INITIALIZER;

static void *mems;

int layer_by_handle(const void *left, const void *right)
{
	uintptr_t a = (uintptr_t) * (void *const *)left, b = (uintptr_t) * (void *const *)right;

	return (a > b) - (a < b);
}

void *layer_find(void *const *table, const void *handle)
{
	void *found = tfind(&handle, table, layer_by_handle);

	return found ? *(void **)found : NULL;
}

struct layer_mem *layer_mem_find(cl_mem mem)
{
	return layer_find(&mems, mem);
}

struct layer_import *layer_mem_import(cl_mem mem)
{
	struct layer_import *import = NULL;
	struct layer_mem *record;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record) {
		import = record->import;
		import->refs++;
	}
	pthread_mutex_unlock(&layer_objects_lock);
	return import;
}

static void free_record(struct layer_mem *record)
{
	layer_import_put(record->import);
	if (record->parent)
		layer_next.clReleaseMemObject(record->parent);
	free(record->properties);
	free(record);
}

/* The memory may be freed from here on, so what the record holds of it goes now. */
static void CL_CALLBACK destroyed(cl_mem mem, void *user_data)
{
	struct layer_mem *record = user_data;

	(void)mem;
	pthread_mutex_lock(&layer_objects_lock);
	tdelete(record, &mems, layer_by_handle);
	pthread_mutex_unlock(&layer_objects_lock);
	free_record(record);
}

void layer_mem_forget(cl_mem mem)
{
	struct layer_mem *record;

	pthread_mutex_lock(&layer_objects_lock);
	record = layer_mem_find(mem);
	if (record)
		tdelete(record, &mems, layer_by_handle);
	pthread_mutex_unlock(&layer_objects_lock);
	if (record)
		free_record(record);
}

cl_int layer_mem_add(const struct layer_mem *record)
{
	struct layer_mem *copy = malloc(sizeof(*copy));
	struct layer_import *import = record->import;
	cl_int code = CL_OUT_OF_HOST_MEMORY;
	void *added = NULL;

	if (!copy)
		goto fail;
	*copy = *record;
	copy->users = 1;
	pthread_mutex_lock(&layer_objects_lock);
	added = tsearch(copy, &mems, layer_by_handle);
	pthread_mutex_unlock(&layer_objects_lock);
	if (!added)
		goto fail;
	if (copy->silent)
		return CL_SUCCESS;
	/* Callbacks are called in the reverse order: the program's own come before ours. */
	code = layer_next.clSetMemObjectDestructorCallback(record->mem, destroyed, copy);
	if (code == CL_SUCCESS)
		return CL_SUCCESS;
	pthread_mutex_lock(&layer_objects_lock);
	tdelete(copy, &mems, layer_by_handle);
	pthread_mutex_unlock(&layer_objects_lock);
fail:
	if (record->parent)
		layer_next.clReleaseMemObject(record->parent);
	free(record->properties);
	free(copy);
	layer_import_put(import);
	return code;
}
