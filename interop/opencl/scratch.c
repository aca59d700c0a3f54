/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a proof is made on. Where this process can allocate memory of the same kind, on such memory:
 * nobody else has it. Else on the memory itself, of which every byte that is touched is put back.
 */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <shm/linux.h>

#include "internal.h"

#define SCRATCH_SIZE 16384u
#define DMABUF       "dmabuf:"

/* A DMA-BUF's exporter as the kernel names it. */
static void exporter(int fd, char *name, size_t size)
{
	char path[64], line[128];
	FILE *info;

	snprintf(name, size, "unknown");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return;
	while (fgets(line, sizeof(line), info)) {
		if (strncmp(line, "exp_name:", 9) != 0)
			continue;
		snprintf(name, size, "%s", line + 9 + strspn(line + 9, " \t"));
		name[strcspn(name, "\n")] = '\0';
	}
	fclose(info);
}

/* "memfd", "dmabuf:EXPORTER", "host" without a descriptor, "file" for any other. */
void shm__cl_kind(int fd, char *kind, size_t size)
{
	char path[64], target[64], name[48];
	ssize_t n = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	if (!strncmp(target, "/dmabuf", 7) || !strcmp(target, "anon_inode:dmabuf")) {
		exporter(fd, name, sizeof(name));
		snprintf(kind, size, DMABUF "%s", name);
	} else if (!strncmp(target, "/memfd:", 7)) {
		snprintf(kind, size, "memfd");
	} else {
		snprintf(kind, size, fd < 0 ? "host" : "file");
	}
}

bool shm__cl_is_dmabuf(const char *kind)
{
	return !strncmp(kind, DMABUF, strlen(DMABUF));
}

bool shm__cl_fd_writable(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* Another memory of the kind, or -ENOENT. */
static int same_kind(const char *kind, struct shm__cl_scratch *scratch)
{
	char name[80];
	int error;

	if (!strcmp(kind, "memfd") || !strcmp(kind, DMABUF "udmabuf"))
		snprintf(name, sizeof(name), "%s", kind[0] == 'm' ? kind : "udmabuf");
	else if (shm__cl_is_dmabuf(kind))
		snprintf(name, sizeof(name), "heap:%s", kind + strlen(DMABUF));
	else
		return -ENOENT;
	if (metal_shm_device_open(name, &scratch->src))
		return -ENOENT;
	scratch->shm = metal_shm_allocate(SCRATCH_SIZE, scratch->src, 0);
	if (!scratch->shm)
		return -errno;
	error = metal_shm_export(scratch->shm, 0);
	if (error < 0)
		return error;
	scratch->own_fd = error;
	error = shm__cl_mapping_make(scratch->own_fd, SCRATCH_SIZE, &scratch->mapping);
	if (!error)
		error = shm__cl_mapping_make(scratch->own_fd, SCRATCH_SIZE, &scratch->second);
	if (error)
		return error;
	scratch->bytes.fd = shm__cl_is_dmabuf(kind) ? scratch->own_fd : -1;
	scratch->bytes.address = scratch->mapping->address;
	scratch->bytes.size = SCRATCH_SIZE;
	scratch->check = scratch->second->address;
	scratch->whole = true;
	return 0;
}

/* Host memory has one mapping: what a kernel wrote must be there without asking the runtime. */
static int host_memory(struct shm__cl_scratch *scratch)
{
	int error = shm__cl_mapping_make(-1, SCRATCH_SIZE, &scratch->mapping);

	if (error)
		return error;
	scratch->bytes.address = scratch->mapping->address;
	scratch->bytes.size = SCRATCH_SIZE;
	scratch->check = scratch->bytes.address;
	scratch->whole = true;
	return 0;
}

/* CPUs of this process: the address that a kernel sees is proof enough, no byte is touched. */
static int in_place(const struct shm__cl *cl, const struct shm__cl_path *path,
		    const struct metal_shm_attachment *at, const char *kind,
		    struct shm__cl_scratch *scratch)
{
	bool look = path->maps && cl->on_cpu;
	bool writable;
	int error;

	if (!look) {
		error = metal_shm_sync_for_cpu_timeout(at->shm, METAL_SHM_DIR_DEV_RW, 0);
		if (error == -ETIMEDOUT)
			return metal_shm_set_error(EBUSY, "the first memory of its kind is in "
							  "use while it is proven");
		if (error)
			return error;
	}
	error = shm__cl_mapping_open(at, &writable, &scratch->mapping);
	if (error)
		return error;
	scratch->bytes.address = scratch->mapping->address;
	scratch->bytes.fd = shm__cl_is_dmabuf(kind) ? at->memory->os_handle : -1;
	scratch->bytes.size = at->memory->size;
	scratch->bytes.writable = writable;
	if (look)
		return 0;
	if (!writable)
		return metal_shm_set_error(ENOTSUP, "read-only memory can't be proven");
	error = shm__cl_mapping_open(at, &writable, &scratch->second);
	if (!error)
		scratch->check = scratch->second->address;
	return error;
}

int shm__cl_scratch_make(const struct shm__cl *cl, const struct shm__cl_path *path,
			 const struct metal_shm_attachment *at, const char *kind,
			 struct shm__cl_scratch *ret)
{
	int error;

	*ret = (struct shm__cl_scratch){
		.bytes = { .fd = -1, .writable = true },
		.own_fd = -1,
		.at = at,
	};
	error = strcmp(kind, "host") ? same_kind(kind, ret) : host_memory(ret);
	if (error == -ENOENT)
		error = in_place(cl, path, at, kind, ret);
	if (error)
		shm__cl_scratch_free(ret);
	return error;
}

/* After the release of every cl_mem over it. */
void shm__cl_scratch_free(struct shm__cl_scratch *scratch)
{
	shm__cl_mapping_close(scratch->second, scratch->at);
	shm__cl_mapping_close(scratch->mapping, scratch->at);
	if (scratch->own_fd >= 0)
		close(scratch->own_fd);
	metal_shm_free(scratch->shm, NULL);
	metal_shm_device_close(scratch->src);
}

static int sync_dmabuf(int fd, uint64_t flags)
{
	struct dma_buf_sync arg = { .flags = flags };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &arg) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return metal_shm_set_error(errno, "DMA_BUF_IOCTL_SYNC: %s",
						   strerror(errno));
	return 0;
}

/*
 * Before the CPU touches the bytes and after. A device that is the CPU needs neither, but bytes put
 * back in place must not stay in the cache: others may have the memory attached.
 */
int shm__cl_scratch_begin(const struct shm__cl *cl, const struct shm__cl_scratch *scratch)
{
	if (scratch->bytes.fd < 0 || (cl->on_cpu && scratch->whole))
		return 0;
	return sync_dmabuf(scratch->bytes.fd, DMA_BUF_SYNC_START | (cl->on_cpu ? DMA_BUF_SYNC_WRITE
									       : DMA_BUF_SYNC_RW));
}

int shm__cl_scratch_end(const struct shm__cl *cl, const struct shm__cl_scratch *scratch)
{
	if (scratch->bytes.fd < 0 || (cl->on_cpu && scratch->whole))
		return 0;
	return sync_dmabuf(scratch->bytes.fd,
			   DMA_BUF_SYNC_END | (cl->on_cpu ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_RW));
}
