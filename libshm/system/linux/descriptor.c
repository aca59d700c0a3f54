/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors in and out: metal_shm_export(), metal_shm_import(), metal_shm_device_poll_fd(). */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>

#include "core.h"
#include "descriptor.h"
#include "dmabuf.h"

/* Finding a memory and making its record are one step: the same memory is one buffer. */
static shm__mutex import_lock = SHM__MUTEX_INITIALISER;

static int foreign_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			    struct metal_shm_memory *ret_memory)
{
	(void)dev;
	(void)size;
	(void)type;
	(void)ret_memory;
	return shm__error(ENOTSUP, "metal_shm_import() makes these buffers");
}

static void foreign_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	close(memory->os_handle);
}

/* The exporter is somebody else's; what it promised him is not known here. */
static int foreign_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			      struct metal_shm_properties *ret)
{
	(void)dev;
	if (memory)
		ret->dmabuf = shm__fd_is_dmabuf(memory->os_handle) ? METAL_SHM_YES : METAL_SHM_NO;
	return 0;
}

/* A memfd takes no sync; the table has to fit both, so the operation looks. */
static int foreign_sync_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
				const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	if (!memory->data)
		return 0;
	return shm__dmabuf_sync_for_cpu(dev, memory, range, dir);
}

static int foreign_sync_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
				   const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	if (!memory->data)
		return 0;
	return shm__dmabuf_sync_for_device(dev, memory, range, dir);
}

static const struct metal_shm_device_ops foreign_ops = {
	.struct_size = sizeof(foreign_ops),
	.allocate = foreign_allocate,
	.release = foreign_release,
	.properties = foreign_properties,
	.map = shm__fd_map,
	.unmap = shm__fd_unmap,
	.sync_for_cpu = foreign_sync_for_cpu,
	.sync_for_device = foreign_sync_for_device,
};

/* What a descriptor says of its memory. */
struct found {
	size_t size;
	bool dmabuf, read_only;
};

/*
 * A memory is a DMA-BUF or a memfd: what else can be mapped is a file that may change under us. A file of
 * a tmpfs has seals too, but also a name, by which anybody may cut it short.
 */
static int check_memory(int fd, struct found *ret)
{
	struct stat status;
	off_t end;

	if (fstat(fd, &status))
		return shm__error(errno, "descriptor %d is closed", fd);
	ret->dmabuf = shm__fd_is_dmabuf(fd);
	if (!ret->dmabuf && (fcntl(fd, F_GET_SEALS) < 0 || status.st_nlink))
		return shm__error(EINVAL, "descriptor %d is neither a DMA-BUF nor a memfd", fd);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return shm__error(EACCES, "descriptor %d is open for writing only", fd);
	end = ret->dmabuf ? lseek(fd, 0, SEEK_END) : status.st_size;
	if (end <= 0)
		return shm__error(EINVAL, "descriptor %d has no bytes", fd);
	ret->size = (size_t)end;
	ret->read_only = shm__fd_is_read_only(fd);
	return 0;
}

bool shm__fd_is_read_only(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS); /* which a DMA-BUF hasn't */

	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ||
	       (seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)));
}

int shm__import_source(const char *name, struct metal_device **ret_src)
{
	return metal_shm_device_create(&foreign_ops, name, NULL, ret_src);
}

/*
 * Nobody knows who wrote it last: others may have it mapped, and devices may have written. But whoever
 * stays around says it when bytes change hands, and then they are as a CPU left them.
 */
static void note_origin(struct shm__root *root, bool devices_wrote, bool read_only)
{
	shm__mutex_lock(&root->lock);
	root->unusual |= SHM__SHARED;
	root->read_only = read_only;
	if (devices_wrote)
		shm__range_at(&root->ranges, 0)->flags |= SHM__DEV_DIRTY;
	root->device_dirty = devices_wrote;
	shm__mutex_unlock(&root->lock);
}

static int import_memory(int fd, const struct found *found, struct metal_device *src,
			 struct metal_generic_shm **ret_shm)
{
	static const char mark = 'd';
	struct metal_shm_memory memory = { .size = found->size };
	struct metal_device *dev = src;
	int error = 0;

	memory.data = found->dmabuf ? (void *)(uintptr_t)&mark : NULL;
	memory.os_handle = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (memory.os_handle < 0)
		return shm__error(errno, "descriptor %d can't be duplicated", fd);
	if (!src)
		error = shm__import_source("import", &dev);
	if (error)
		goto close_fd;
	error = shm__root_create(dev, &memory, found->size, ret_shm);
	if (!src)
		metal_shm_device_close(dev);
	if (error)
		goto close_fd;
	note_origin((*ret_shm)->root, found->dmabuf && !src, found->read_only);
	return 0;
close_fd:
	close(memory.os_handle);
	return error;
}

/* A memory that a source shares is its alone, and for one use. */
static int check_known(const struct shm__root *root, const struct found *found,
		       const struct metal_device *src)
{
	if (root->src != src)
		return shm__error(EEXIST, "%s shares memory that %s gave", src->name,
				  root->src->name);
	if (root->read_only != found->read_only)
		return shm__error(EEXIST, "%s shares memory for reading only and for writing",
				  src->name);
	return 0;
}

/* The buffer of a memory, known or new. */
static int find_memory(int fd, const struct found *found, struct metal_device *src,
		       struct metal_generic_shm **ret_shm)
{
	struct shm__identity identity = { 0 };
	struct metal_generic_shm *shm;
	int error = shm__os_identity(fd, &identity);

	if (error)
		return error;
	shm__mutex_lock(&import_lock);
	shm = shm__root_find(&identity, NULL);
	if (!shm)
		error = errno == ENOENT ? import_memory(fd, found, src, &shm) : -errno;
	shm__mutex_unlock(&import_lock);
	if (!shm)
		return error ? error : -ENOMEM;
	if (src)
		error = check_known(shm->root, found, src);
	if (error)
		metal_shm_free(shm, NULL);
	else
		*ret_shm = shm;
	return error;
}

static int import(int borrow_fd, uint64_t offset, size_t size, bool read_only,
		  struct metal_device *src, struct metal_generic_shm **ret_shm)
{
	struct metal_generic_shm *shm, *part;
	struct found found = { 0 };
	int error = check_memory(borrow_fd, &found);

	if (!error && (offset >= found.size || size > found.size - offset))
		error = shm__error(ERANGE, "%zu bytes at %llu are outside the memory's %zu", size,
				   (unsigned long long)offset, found.size);
	found.read_only |= read_only;
	if (!error)
		error = find_memory(borrow_fd, &found, src, &shm);
	if (error)
		return error;
	shm__count(shm->root, NULL, SHM__IMPORTS, 1);
	shm__trace(shm->root, NULL, SHM__TRACE_IMPORTED, offset, size, 0);
	if (!size)
		size = shm->size > offset ? shm->size - (size_t)offset : 0;
	if (!offset && size >= shm->size) {
		*ret_shm = shm;
		return 0;
	}
	part = metal_shm_sub(shm, (size_t)offset, size, 0);
	error = part ? 0 : -errno;
	metal_shm_free(shm, NULL);
	if (part)
		*ret_shm = part;
	return error;
}

int shm__import(int borrow_fd, uint64_t offset, size_t size, struct metal_device *src,
		struct metal_generic_shm **ret_shm)
{
	return import(borrow_fd, offset, size, false, src, ret_shm);
}

int shm__import_read_only(int borrow_fd, uint64_t offset, size_t size, struct metal_device *src,
			  struct metal_generic_shm **ret_shm)
{
	return import(borrow_fd, offset, size, true, src, ret_shm);
}

struct metal_generic_shm *metal_shm_import(int borrow_fd, uint64_t offset, size_t size)
{
	struct metal_generic_shm *shm = NULL;
	int error = shm__enter();

	if (!error)
		error = shm__import(borrow_fd, offset, size, NULL, &shm);
	if (error)
		shm__os_set_errno(-error);
	return shm;
}

int metal_shm_export(struct metal_generic_shm *shm, uint32_t flags)
{
	struct shm__root *root;
	int fd, error = shm__handle_check(shm);

	if (error)
		return error;
	if (flags & ~METAL_SHM_EXPORT_DMABUF)
		return shm__error(EINVAL, "metal_shm_export: unknown flags 0x%x", flags);
	root = shm->root;
	if (shm->offset || shm->size != root->size)
		return shm__error(ENOTSUP,
				  "a part has no descriptor of its own: export its buffer");
	if (root->memory.os_handle < 0)
		return shm__error(ENOTSUP, "%s memory has no descriptor", root->src->name);
	if ((flags & METAL_SHM_EXPORT_DMABUF) && root->properties.dmabuf != METAL_SHM_YES)
		return shm__error(ENOTSUP, "%s memory is not a DMA-BUF", root->src->name);
	fd = fcntl(root->memory.os_handle, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return shm__error(errno, "no descriptor left for an export");
	shm__mutex_lock(&root->lock);
	root->unusual |= SHM__SHARED;
	shm__mutex_unlock(&root->lock);
	return fd;
}

int metal_shm_device_poll_fd(struct metal_device *dev)
{
	int fd, error = shm__device_check(dev);

	if (error)
		return error;
	fd = dev->ops->poll_handle ? dev->ops->poll_handle(dev) : -1;
	if (fd < 0)
		return shm__error(ENOTSUP, "%s has no events", dev->name);
	return fd;
}
