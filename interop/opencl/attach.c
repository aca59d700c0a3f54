/* SPDX-License-Identifier: BSD-3-Clause */
/* Attachments: which path a memory takes, and the buffer object that a range of it is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const struct shm__cl_path *const paths[] = {
	&shm__cl_path_arm,
	&shm__cl_path_khr,
	&shm__cl_path_hostptr,
	&shm__cl_path_copy,
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

const char *metal_shm_opencl_path_name(int path)
{
	switch (path) {
	case METAL_SHM_OPENCL_ARM_IMPORT:
		return "arm-import";
	case METAL_SHM_OPENCL_KHR_EXTERNAL:
		return "khr-external";
	case METAL_SHM_OPENCL_HOST_PTR:
		return "host-pointer";
	case METAL_SHM_OPENCL_COPY:
		return "copy";
	default:
		return "unknown";
	}
}

static int import_bytes(struct shm__cl *cl, struct shm__cl_import *import,
			const struct metal_shm_attachment *at, bool dmabuf)
{
	struct shm__cl_bytes bytes = { .fd = dmabuf ? at->memory->os_handle : -1,
				       .size = import->size,
				       .writable = true };
	int error;

	if (import->path->maps) {
		error = shm__cl_mapping_open(at, &bytes.writable, &import->mapping);
		if (error)
			return error;
		bytes.address = (char *)import->mapping->address + import->offset;
	} else {
		bytes.writable = shm__cl_fd_writable(bytes.fd);
	}
	import->writable = bytes.writable;
	error = import->path->import(cl, &bytes, &import->mem);
	if (error || !import->path->maps || !import->path->shares)
		return error;
	error = shm__cl_mapping_bind(import->mapping, import->mem);
	if (error) {
		clReleaseMemObject(import->mem);
		import->mem = NULL;
	}
	return error;
}

static struct shm__cl_import *import_find(struct shm__cl *cl, const struct shm__cl_path *path,
					  const struct metal_shm_memory *memory)
{
	struct shm__cl_import *import;

	pthread_mutex_lock(&cl->lock);
	for (import = cl->imports; import; import = import->next)
		if (import->memory == memory && import->path == path)
			break;
	if (import)
		import->views++;
	pthread_mutex_unlock(&cl->lock);
	return import;
}

/* Attachments of one memory come one at a time, so nobody makes the same import meanwhile. */
static struct shm__cl_import *import_get(struct shm__cl *cl, const struct shm__cl_path *path,
					 const struct metal_shm_attachment *at, const char *kind,
					 bool exact)
{
	struct shm__cl_import *import = path->shares ? import_find(cl, path, at->memory) : NULL;
	int error;

	if (import)
		return import;
	import = calloc(1, sizeof(*import));
	if (!import) {
		metal_shm_set_error(ENOMEM, "no memory for an import's record");
		return NULL;
	}
	import->path = path;
	import->exact = exact;
	import->views = 1;
	import->memory = path->shares ? at->memory : NULL;
	import->offset = path->shares ? 0 : (size_t)at->range.offset;
	import->size = path->shares ? at->memory->size : (size_t)at->range.length;
	error = import_bytes(cl, import, at, shm__cl_is_dmabuf(kind));
	if (error) {
		shm__cl_mapping_close(import->mapping, at);
		free(import);
		errno = -error;
		return NULL;
	}
	pthread_mutex_lock(&cl->lock);
	import->next = cl->imports;
	cl->imports = import;
	pthread_mutex_unlock(&cl->lock);
	return import;
}

static void import_put(struct shm__cl *cl, struct shm__cl_import *import,
		       const struct metal_shm_attachment *at)
{
	struct shm__cl_import **link = &cl->imports;
	bool last;

	pthread_mutex_lock(&cl->lock);
	last = !--import->views;
	while (last && *link != import)
		link = &(*link)->next;
	if (last)
		*link = import->next;
	pthread_mutex_unlock(&cl->lock);
	if (!last)
		return;
	clReleaseMemObject(import->mem);
	shm__cl_mapping_close(import->mapping, at);
	free(import);
}

/* A buffer object of its own at the range's address: only CPUs that see the mapping take any. */
static int exact_buffer(struct shm__cl *cl, const struct shm__cl_import *import, size_t offset,
			size_t size, cl_mem *ret_mem)
{
	const struct shm__cl_bytes bytes = {
		.fd = -1,
		.address = (char *)import->mapping->address + offset,
		.size = size,
		.writable = import->writable,
	};
	int error = import->path->import(cl, &bytes, ret_mem);

	if (error)
		return error;
	error = shm__cl_mapping_bind(import->mapping, *ret_mem);
	if (error)
		clReleaseMemObject(*ret_mem);
	return error;
}

static int view_buffer(struct shm__cl *cl, const struct shm__cl_import *import,
		       const struct metal_shm_range *range, cl_mem *ret_mem)
{
	cl_buffer_region region = { (size_t)range->offset - import->offset, (size_t)range->length };
	cl_int code = CL_SUCCESS;
	cl_mem mem;

	if (!region.origin && region.size == import->size) {
		clRetainMemObject(import->mem);
		*ret_mem = import->mem;
		return 0;
	}
	if (region.origin % cl->base_alignment) {
		if (import->exact)
			return exact_buffer(cl, import, region.origin, region.size, ret_mem);
		return metal_shm_set_error(ENOTSUP, "a part must start at a multiple of %zu bytes",
					   cl->base_alignment);
	}
	mem = clCreateSubBuffer(import->mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
	if (!mem)
		return shm__cl_error(code, "clCreateSubBuffer");
	*ret_mem = mem;
	return 0;
}

static int try_path(struct shm__cl_view *view, const struct shm__cl_path *path)
{
	const struct metal_shm_attachment *at = view->at;
	bool dmabuf = shm__cl_is_dmabuf(view->kind), exact = false;
	struct shm__cl_import *import;
	struct shm__cl *cl = view->cl;
	int error;

	error = path->usable(cl, dmabuf ? at->memory->os_handle : -1);
	if (!error && path->shares)
		error = shm__cl_prove_buffer(cl, path, at, view->kind, &exact);
	if (error)
		return error;
	import = import_get(cl, path, at, view->kind, exact);
	if (!import)
		return -errno;
	error = view_buffer(cl, import, &at->range, &view->mem);
	if (error) {
		import_put(cl, import, at);
		return error;
	}
	view->import = import;
	return 0;
}

/* -ENOTSUP with each path's reason, unless one failed for want of memory and could work later. */
static int choose_path(struct shm__cl_view *view)
{
	char reasons[512] = "";
	size_t length = 0;
	int result = -ENOTSUP;

	for (size_t i = 0; i < PATHS; i++) {
		int error = -ENOTSUP, n;
		const char *why = "left out by the options";

		if (view->cl->paths & METAL_SHM_OPENCL_PATH_BIT(paths[i]->id)) {
			error = try_path(view, paths[i]);
			why = metal_shm_last_error();
		}
		if (!error)
			return 0;
		if (error == -ENOMEM || error == -EBUSY || error == -EMFILE || error == -ENFILE)
			result = error;
		n = snprintf(reasons + length, sizeof(reasons) - length, "%s%s: %s", i ? "; " : "",
			     metal_shm_opencl_path_name(paths[i]->id), why);
		if (n > 0)
			length += (size_t)n;
		if (length >= sizeof(reasons))
			length = sizeof(reasons) - 1;
	}
	return metal_shm_set_error(-result, "%s can't use %s memory: %s",
				   metal_shm_device_name(view->cl->dev), view->kind, reasons);
}

static enum metal_shm_access access_of(const struct shm__cl *cl, const struct shm__cl_path *path)
{
	/* a copy is the runtime's own business with memory that it takes for the CPU's */
	if (cl->on_cpu || !path->shares)
		return METAL_SHM_ACCESS_CPU_USER;
	return path->maps ? METAL_SHM_ACCESS_UNKNOWN : METAL_SHM_ACCESS_DMA;
}

int shm__cl_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		   struct metal_shm_view *ret_view)
{
	struct shm__cl *cl = metal_shm_device_data(dev, &shm__cl_ops);
	struct shm__cl_view *view = calloc(1, sizeof(*view));
	int error;

	if (!view)
		return metal_shm_set_error(ENOMEM, "no memory for a view's record");
	view->cl = cl;
	view->at = at;
	shm__cl_kind(at->memory->os_handle, view->kind, sizeof(view->kind));
	error = choose_path(view);
	if (error) {
		free(view);
		return error;
	}
	ret_view->data = view;
	ret_view->access = access_of(cl, view->import->path);
	if (!view->import->path->shares)
		ret_view->mode = METAL_SHM_VIEW_SHADOW;
	if (ret_view->access == METAL_SHM_ACCESS_DMA)
		ret_view->flags |= METAL_SHM_VIEW_FENCES;
	pthread_mutex_lock(&cl->lock);
	view->next = cl->views;
	cl->views = view;
	pthread_mutex_unlock(&cl->lock);
	return 0;
}

void shm__cl_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		    struct metal_shm_view *core_view)
{
	struct shm__cl_view *view = core_view->data, **link;
	struct shm__cl *cl = view->cl;

	(void)dev;
	pthread_mutex_lock(&cl->lock);
	for (link = &cl->views; *link != view; link = &(*link)->next)
		;
	*link = view->next;
	pthread_mutex_unlock(&cl->lock);
	for (int i = 0; i < METAL_SHM_MAX_PLANES; i++) {
		if (view->images[i])
			clReleaseMemObject(view->images[i]);
		if (view->planes[i])
			clReleaseMemObject(view->planes[i]);
	}
	clReleaseMemObject(view->mem);
	import_put(cl, view->import, at);
	free(view);
}

int shm__cl_view_of(struct metal_device *gpu, struct metal_generic_shm *shm,
		    struct shm__cl_view **ret_view)
{
	struct shm__cl_view *view;

	if (!metal_shm_device_data(gpu, &shm__cl_ops))
		return -EINVAL;
	view = metal_shm_view_data(shm, gpu);
	if (!view)
		return -errno;
	*ret_view = view;
	return 0;
}

int metal_shm_opencl_mem(struct metal_device *gpu, struct metal_generic_shm *shm, cl_mem *ret_mem)
{
	struct shm__cl_view *view = NULL;
	int error = shm__cl_view_of(gpu, shm, &view);

	if (error)
		return error;
	assert(view);
	if (!ret_mem)
		return metal_shm_set_error(EINVAL, "metal_shm_opencl_mem: NULL");
	*ret_mem = view->mem;
	return 0;
}

int metal_shm_opencl_path(struct metal_device *gpu, struct metal_generic_shm *shm)
{
	struct shm__cl_view *view = NULL;
	int error = shm__cl_view_of(gpu, shm, &view);

	if (error)
		return error;
	assert(view);
	return (int)view->import->path->id;
}
