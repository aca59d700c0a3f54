/* SPDX-License-Identifier: BSD-3-Clause */
/* Records, locks, time, reasons and the identity of a memory. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <shm/device.h>

#include "dmabuf.h"
#include "system.h"
#include "trace_file.h"

/* Long enough for a refusal that lists every source with what it failed. */
#define ERROR_TEXT_SIZE 2048

/* Where the kernel doesn't tell the cache's line: longer than most have is safe. */
#define LIKELY_LINE 128

static _Thread_local char error_text[ERROR_TEXT_SIZE];

static atomic_bool used;
atomic_bool shm__os_fork_flag;

static void note_fork(void)
{
	if (atomic_load(&used))
		atomic_store(&shm__os_fork_flag, true);
}

/* At load: no fork of a process that uses the library can come before. */
__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, note_fork);
}

/* The first record is the first use: a program may become a daemon before that. */
void *shm__os_alloc(size_t size)
{
	if (!atomic_load_explicit(&used, memory_order_relaxed) && !atomic_exchange(&used, true))
		shm__trace_file_begin();
	return calloc(1, size);
}

void shm__os_free(void *memory)
{
	free(memory);
}

void shm__mutex_init(shm__mutex *mutex)
{
	pthread_mutex_init(mutex, NULL);
}

void shm__mutex_destroy(shm__mutex *mutex)
{
	pthread_mutex_destroy(mutex);
}

int shm__os_at_exit(void (*function)(void))
{
	return atexit(function);
}

int64_t shm__os_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

size_t shm__os_cache_line(void)
{
	static _Atomic size_t line;
	size_t known = atomic_load_explicit(&line, memory_order_relaxed);
	long told;

	if (known)
		return known;
	told = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
	known = told > 0 ? (size_t)told : LIKELY_LINE;
	atomic_store_explicit(&line, known, memory_order_relaxed);
	return known;
}

uint32_t shm__os_thread_number(void)
{
	static _Thread_local uint32_t number;

	if (!number)
		number = (uint32_t)gettid();
	return number;
}

const char *shm__os_program(uint32_t *ret_number)
{
	*ret_number = (uint32_t)getpid();
	return program_invocation_short_name;
}

int shm__os_write(int os_handle, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(os_handle, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int error = n < 0 ? errno : EIO;

			return metal_shm_set_error(error, "descriptor %d: %s", os_handle,
						   strerror(error));
		}
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

char *shm__os_error_text(size_t *ret_size)
{
	*ret_size = sizeof(error_text);
	return error_text;
}

void shm__os_set_errno(int error)
{
	errno = error;
}

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a file";
	case S_IFDIR:
		return "a directory";
	case S_IFSOCK:
		return "a socket";
	case S_IFIFO:
		return "a pipe";
	case S_IFCHR:
	case S_IFBLK:
		return "a device node";
	default:
		return "of another kind";
	}
}

/* Memory of tmpfs or hugetlbfs without a name left, which is what memfd_create() makes. */
static bool is_memfd(int fd, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 0 && fcntl(fd, F_GET_SEALS) >= 0;
}

int shm__os_identity(int os_handle, struct shm__identity *ret)
{
	struct stat st;

	if (fstat(os_handle, &st) < 0) {
		int error = errno;

		return metal_shm_set_error(error, "descriptor %d: %s", os_handle, strerror(error));
	}
	if (!shm__fd_is_dmabuf(os_handle) && !is_memfd(os_handle, &st))
		return metal_shm_set_error(EINVAL,
					   "descriptor %d is %s, neither a DMA-BUF nor a memfd",
					   os_handle, kind_of(st.st_mode));
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
	return 0;
}
