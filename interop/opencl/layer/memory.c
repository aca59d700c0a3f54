/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors become mappings, and DMA_BUF_IOCTL_SYNC brackets become one for each DMA-BUF.
 *
 * Kernel: Documentation/driver-api/dma-buf.rst ("CPU Access to DMA Buffer Objects"),
 * include/uapi/linux/dma-buf.h, include/uapi/linux/magic.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/magic.h>

#include "layer.h"

static struct layer_buffer *buffers;

static bool kind_of(int fd, enum layer_kind *ret_kind)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch (fs.f_type) {
	case DMA_BUF_MAGIC:
		*ret_kind = LAYER_DMABUF;
		return true;
	case TMPFS_MAGIC:
	case HUGETLBFS_MAGIC:
		*ret_kind = LAYER_MEMFD;
		return true;
	default:
		return false;
	}
}

/* The descriptor given up last is closed outside of the lock: that may free the DMA-BUF. */
static void buffer_put(struct layer_buffer *buffer)
{
	struct layer_buffer **link = &buffers;
	bool last;

	pthread_mutex_lock(&layer_objects_lock);
	last = !--buffer->refs;
	if (last) {
		while (*link != buffer)
			link = &(*link)->next;
		*link = buffer->next;
	}
	pthread_mutex_unlock(&layer_objects_lock);
	if (!last)
		return;
	close(buffer->fd);
	free(buffer);
}

/* Takes fd over. */
static struct layer_buffer *buffer_get(int fd, const struct stat *st, enum layer_kind kind)
{
	struct layer_buffer *fresh = calloc(1, sizeof(*fresh)), *buffer;

	if (!fresh) {
		close(fd);
		return NULL;
	}
	pthread_mutex_lock(&layer_objects_lock);
	for (buffer = buffers; buffer; buffer = buffer->next)
		if (buffer->ino == st->st_ino && buffer->dev == st->st_dev)
			break;
	if (buffer) {
		buffer->refs++;
	} else {
		buffer = fresh;
		fresh = NULL;
		buffer->refs = 1;
		buffer->dev = st->st_dev;
		buffer->ino = st->st_ino;
		buffer->dmabuf = kind == LAYER_DMABUF;
		buffer->fd = fd;
		buffer->next = buffers;
		buffers = buffer;
		fd = -1;
	}
	pthread_mutex_unlock(&layer_objects_lock);
	free(fresh);
	if (fd >= 0)
		close(fd);
	return buffer;
}

/* What nobody can shrink stays as large as it was measured. DMA-BUFs never change. */
static bool can_shrink(int fd, enum layer_kind kind)
{
	int seals;

	if (kind == LAYER_DMABUF)
		return false;
	seals = fcntl(fd, F_GET_SEALS);
	return seals < 0 || !(seals & F_SEAL_SHRINK);
}

/* The mapping and what is known of it, of a descriptor of ours that is taken over. */
static cl_int import_ours(int fd, size_t size, struct layer_import *import)
{
	int flags = fcntl(fd, F_GETFL);
	off_t end = lseek(fd, 0, SEEK_END);
	struct stat st;
	cl_int code = CL_SUCCESS;

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(fd, &st) ||
	    !kind_of(fd, &import->kind) || end <= 0)
		code = CL_INVALID_OPERATION;
	else if (!size || size > (uint64_t)end)
		code = CL_INVALID_BUFFER_SIZE;
	if (code != CL_SUCCESS) {
		close(fd);
		return code;
	}
	import->size = size;
	import->writable = (flags & O_ACCMODE) == O_RDWR;
	import->shrinks = can_shrink(fd, import->kind);
	import->bracketed = import->kind == LAYER_DMABUF || layer_forced();
	import->address = mmap(NULL, size, PROT_READ | (import->writable ? PROT_WRITE : 0),
			       MAP_SHARED, fd, 0);
	if (import->address == MAP_FAILED) {
		code = errno == ENOMEM ? CL_OUT_OF_HOST_MEMORY : CL_INVALID_OPERATION;
		close(fd);
		return code;
	}
	import->buffer = buffer_get(fd, &st, import->kind);
	if (!import->buffer) {
		munmap(import->address, size);
		return CL_OUT_OF_HOST_MEMORY;
	}
	return CL_SUCCESS;
}

cl_int layer_import_fd(int fd, size_t size, struct layer_import **ret_import)
{
	struct layer_import *import = calloc(1, sizeof(*import));
	cl_int code;
	int ours;

	if (!import)
		return CL_OUT_OF_HOST_MEMORY;
	ours = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ours < 0)
		code = errno == EMFILE ? CL_OUT_OF_RESOURCES : CL_INVALID_OPERATION;
	else
		code = import_ours(ours, size, import);
	if (code != CL_SUCCESS) {
		free(import);
		return code;
	}
	import->refs = 1;
	atomic_fetch_add(&layer_cares, 1);
	*ret_import = import;
	return CL_SUCCESS;
}

cl_int layer_import_host(void *address, size_t size, struct layer_import **ret_import)
{
	struct layer_import *import;

	if (!size || (uintptr_t)address + size < (uintptr_t)address)
		return CL_INVALID_BUFFER_SIZE;
	import = calloc(1, sizeof(*import));
	if (!import)
		return CL_OUT_OF_HOST_MEMORY;
	import->refs = 1;
	import->kind = LAYER_HOST;
	import->address = address;
	import->size = size;
	import->writable = true;
	atomic_fetch_add(&layer_cares, 1);
	*ret_import = import;
	return CL_SUCCESS;
}

void layer_import_get(struct layer_import *import)
{
	pthread_mutex_lock(&layer_objects_lock);
	import->refs++;
	pthread_mutex_unlock(&layer_objects_lock);
}

void layer_import_put(struct layer_import *import)
{
	bool last;

	pthread_mutex_lock(&layer_objects_lock);
	last = !--import->refs;
	if (last && import->held)
		import->refs = 1;
	pthread_mutex_unlock(&layer_objects_lock);
	if (!last)
		return;
	if (import->held && layer_engine_abandon(import))
		return;
	if (import->kind != LAYER_HOST) {
		munmap(import->address, import->size);
		buffer_put(import->buffer);
	}
	free(import);
	atomic_fetch_sub(&layer_cares, 1);
}

bool layer_import_is_whole(const struct layer_import *import)
{
	struct stat st;

	if (atomic_load(&layer_forked))
		return false;
	if (!import->shrinks || import->kind == LAYER_HOST)
		return true;
	return !fstat(import->buffer->fd, &st) && (uint64_t)st.st_size >= import->size;
}

static int sync_ioctl(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		if (errno != EINTR && errno != EAGAIN)
			return errno;
	return 0;
}

/*
 * A writer's bracket reads too: what it doesn't write of a cache line goes back to memory with the
 * rest. A writer that joins readers needs a START of its own, and is safe to have one: nothing they
 * did can be lost.
 */
int layer_buffer_start(struct layer_buffer *buffer, bool write)
{
	uint64_t flags = write ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ;
	int error = 0;

	if (!buffer->users || (flags & ~buffer->open)) {
		if (buffer->dmabuf)
			error = sync_ioctl(buffer->fd, DMA_BUF_SYNC_START | flags);
		if (error)
			return error;
		layer_stats_add(LAYER_STARTS);
		buffer->open |= flags;
	}
	buffer->users++;
	return 0;
}

int layer_buffer_end(struct layer_buffer *buffer)
{
	uint64_t flags = buffer->open;

	if (--buffer->users)
		return 0;
	buffer->open = 0;
	layer_stats_add(LAYER_ENDS);
	return buffer->dmabuf ? sync_ioctl(buffer->fd, DMA_BUF_SYNC_END | flags) : 0;
}
