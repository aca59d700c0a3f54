/* SPDX-License-Identifier: BSD-3-Clause */
/* The program exports fstatfs(), ioctl() and ppoll(), so they come before the C library's. */
#include "fake_fence.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <linux/sync_file.h>

#include "shm_test.h"

#define MOST 64

/* Readable when it is signalled. Records stay: a sync_file may go before its fence. */
struct fence {
	ino_t ino; /* of its sync_file */
	int status;
	int event;
	ino_t memory; /* that it was imported into */
	bool writes;
	unsigned long long members; /* of one that was exported, by number */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_heap heap;
static struct fence fences[MOST];
static unsigned fence_count;
static ino_t memories[MOST];
static unsigned memory_count;

static ino_t ino_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static bool is_memory(ino_t ino)
{
	for (unsigned i = 0; i < memory_count; i++)
		if (ino && memories[i] == ino)
			return true;
	return false;
}

static struct fence *find(int fd)
{
	ino_t ino = ino_of(fd);

	for (unsigned i = 0; i < fence_count; i++)
		if (ino && fences[i].ino == ino)
			return &fences[i];
	return NULL;
}

static int status_of(const struct fence *fence)
{
	int status = 1;

	if (!fence->members)
		return fence->event < 0 ? 1 : fence->status;
	for (unsigned i = 0; i < fence_count; i++) {
		if (!(fence->members >> i & 1))
			continue;
		if (!fences[i].status)
			return 0;
		if (fences[i].status < 0)
			status = fences[i].status;
	}
	return status;
}

/* One for which an access to the memory has to wait. */
static struct fence *pending(ino_t memory, bool writes)
{
	for (unsigned i = 0; i < fence_count; i++)
		if (fences[i].memory == memory && !fences[i].status && (writes || fences[i].writes))
			return &fences[i];
	return NULL;
}

static int new_fence(bool done)
{
	int fd = memfd_create("sync_file", MFD_CLOEXEC);

	if (fd < 0 || fence_count == MOST)
		abort();
	fences[fence_count++] = (struct fence){
		.ino = ino_of(fd),
		.event = done ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	return fd;
}

int fstatfs(int fd, struct statfs *fs)
{
	int ret = (int)syscall(SYS_fstatfs, fd, fs);

	pthread_mutex_lock(&lock);
	if (!ret && is_memory(ino_of(fd)))
		fs->f_type = DMA_BUF_MAGIC;
	pthread_mutex_unlock(&lock);
	return ret;
}

static int put(ino_t memory, const struct dma_buf_import_sync_file *import)
{
	struct fence *fence = find(import->fd);
	int error = heap.fail_put;

	heap.fail_put = 0;
	if (error)
		return error;
	if (!fence)
		return EINVAL;
	fence->memory = memory;
	fence->writes = import->flags & DMA_BUF_SYNC_WRITE;
	return 0;
}

static int get(ino_t memory, struct dma_buf_export_sync_file *export)
{
	struct fence *fence;

	export->fd = new_fence(true);
	fence = find(export->fd);
	for (unsigned i = 0; i < fence_count; i++)
		if (fences[i].memory == memory && !fences[i].status &&
		    (fences[i].writes || export->flags & DMA_BUF_SYNC_WRITE))
			fence->members |= 1ull << i;
	return 0;
}

/* Positive: an error. -1: it is the kernel's to answer. */
static int answer(int fd, unsigned long request, void *arg)
{
	ino_t ino = ino_of(fd);

	if (request == SYNC_IOC_FILE_INFO && find(fd)) {
		((struct sync_file_info *)arg)->status = status_of(find(fd));
		return 0;
	}
	if (!is_memory(ino) || heap.old)
		return -1;
	if (request == DMA_BUF_IOCTL_IMPORT_SYNC_FILE)
		return put(ino, arg);
	if (request == DMA_BUF_IOCTL_EXPORT_SYNC_FILE)
		return get(ino, arg);
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int error;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	pthread_mutex_lock(&lock);
	error = answer(fd, request, arg);
	pthread_mutex_unlock(&lock);
	if (error < 0)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	errno = error;
	return error ? -1 : 0;
}

/* The library polls a memory alone. One wait for each fence is as long as the limit, and no shorter. */
int own_ppoll(
	struct pollfd *fds, nfds_t n, const struct timespec *timeout,
	const sigset_t *
		mask) __asm__("ppoll"); /* as it is declared elsewhere it reads nothing of the first */

int own_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd event = { .fd = -1, .events = POLLIN };
	ino_t memory = n == 1 ? ino_of(fds[0].fd) : 0;
	const struct fence *fence;
	int ret;

	for (;;) {
		struct timespec left = timeout ? *timeout : (struct timespec){ 0 };

		pthread_mutex_lock(&lock);
		fence = is_memory(memory) ? pending(memory, fds[0].events & POLLOUT) : NULL;
		event.fd = fence ? fence->event : -1;
		pthread_mutex_unlock(&lock);
		if (!fence)
			return (int)syscall(SYS_ppoll, fds, n, timeout ? &left : NULL, mask,
					    (size_t)8);
		ret = (int)syscall(SYS_ppoll, &event, 1, timeout ? &left : NULL, mask, (size_t)8);
		if (ret <= 0)
			return ret;
	}
}

int fake_fence_new(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = new_fence(false);
	pthread_mutex_unlock(&lock);
	return fd;
}

void fake_fence_signal(int fd, int status)
{
	struct fence *fence;

	pthread_mutex_lock(&lock);
	fence = find(fd);
	fence->status = status;
	eventfd_write(fence->event, 1);
	pthread_mutex_unlock(&lock);
}

int fake_fence_status(int fd)
{
	int status;

	pthread_mutex_lock(&lock);
	status = status_of(find(fd));
	pthread_mutex_unlock(&lock);
	return status;
}

/* ---- the source ---- */

static int heap_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
			 struct metal_shm_memory *ret_memory)
{
	int fd = memfd_create("dma-buf", MFD_CLOEXEC);

	(void)dev;
	(void)type;
	if (fd < 0 || ftruncate(fd, (off_t)size) || memory_count == MOST)
		abort();
	pthread_mutex_lock(&lock);
	memories[memory_count++] = ino_of(fd);
	pthread_mutex_unlock(&lock);
	*ret_memory = (struct metal_shm_memory){ .data = &heap, .size = size, .os_handle = fd };
	return 0;
}

static void heap_release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	ino_t ino = ino_of(memory->os_handle);

	(void)dev;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < memory_count; i++)
		if (memories[i] == ino)
			memories[i] = 0;
	pthread_mutex_unlock(&lock);
	close(memory->os_handle);
}

static int heap_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			   struct metal_shm_properties *ret)
{
	(void)dev;
	(void)memory;
	ret->dmabuf = METAL_SHM_YES;
	ret->cached = METAL_SHM_YES;
	ret->coherent = heap.coherent ? METAL_SHM_YES : METAL_SHM_UNKNOWN;
	return 0;
}

static int heap_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		    void **ret_address)
{
	(void)dev;
	(void)prot;
	*ret_address =
		mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->os_handle, 0);
	return *ret_address == MAP_FAILED ? -ENOMEM : 0;
}

static void heap_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		       size_t length)
{
	(void)dev;
	(void)memory;
	munmap(address, length);
}

static int heap_start(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	(void)range;
	pthread_mutex_lock(&lock);
	heap.starts++;
	if (pending(ino_of(memory->os_handle), dir & METAL_SHM_DIR_DEV_R))
		heap.starts_too_early++;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int heap_end(struct metal_device *dev, struct metal_shm_memory *memory,
		    const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	(void)memory;
	(void)range;
	(void)dir;
	heap.ends++;
	return 0;
}

static const struct metal_shm_device_ops heap_ops = {
	.struct_size = sizeof(heap_ops),
	.allocate = heap_allocate,
	.release = heap_release,
	.properties = heap_properties,
	.map = heap_map,
	.unmap = heap_unmap,
	.sync_for_cpu = heap_start,
	.sync_for_device = heap_end,
};

struct fake_heap *fake_heap_new(void)
{
	heap = (struct fake_heap){ 0 };
	assert_int_equal(metal_shm_device_create(&heap_ops, "heap", NULL, &heap.dev), 0);
	return &heap;
}

void fake_heap_end(void)
{
	metal_shm_device_close(heap.dev);
	for (unsigned i = 0; i < fence_count; i++)
		if (fences[i].event >= 0)
			close(fences[i].event);
	fence_count = 0;
	memory_count = 0;
}
