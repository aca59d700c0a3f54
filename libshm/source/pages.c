/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <shm/device.h>

#include "pages.h"

/* Below it the look costs more than it tells. */
#define CHECKED_SIZE ((size_t)16 << 20)

size_t shm__page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int shm__pages_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			  struct metal_shm_properties *ret)
{
	(void)dev;
	ret->cached = METAL_SHM_YES;
	ret->contiguous = METAL_SHM_NO;
	ret->secure = METAL_SHM_NO;
	ret->coherent = METAL_SHM_UNKNOWN;
	ret->zeroed = METAL_SHM_YES;
	ret->dmabuf = METAL_SHM_NO;
	ret->size = memory ? memory->size : 0;
	ret->granularity = shm__page_size();
	ret->alignment = shm__page_size();
	ret->free_space = 0;
	return 0;
}

int shm__round_to_pages(size_t size, const char *name, size_t *ret_size)
{
	size_t mask = shm__page_size() - 1;

	if (size > PTRDIFF_MAX - mask)
		return metal_shm_set_error(EOVERFLOW, "%s: %zu bytes exceed the address space",
					   name, size);
	*ret_size = (size + mask) & ~mask;
	return 0;
}

int shm__check_total(size_t size, const char *name)
{
	struct sysinfo info;
	uint64_t have;

	if (sysinfo(&info) < 0)
		return 0;
	have = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	if (size <= have)
		return 0;
	return metal_shm_set_error(ENOMEM, "%s: %zu bytes, the machine has %" PRIu64, name, size,
				   have);
}

static uint64_t available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t all = UINT64_MAX / 1024, cma = 0;
	char line[128];

	if (!file)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "MemAvailable: %" SCNu64, &all);
		sscanf(line, "CmaFree: %" SCNu64, &cma);
	}
	fclose(file);
	/* What stays where it is can't lie in areas for what moves out of the way. */
	return (all > cma ? all - cma : 0) * 1024;
}

int shm__check_available(size_t size, const char *name)
{
	uint64_t have;

	if (size < CHECKED_SIZE)
		return 0;
	have = available();
	if (size <= have)
		return 0;
	return metal_shm_set_error(ENOMEM, "%s: %zu bytes, the machine has %" PRIu64 " available",
				   name, size, have);
}

int shm__memfd_create(size_t size, const char *name, size_t *ret_size, int *ret_fd)
{
	const char *step = "memfd_create";
	size_t rounded;
	int error, fd;

	error = shm__round_to_pages(size, name, &rounded);
	if (error)
		return error;
	error = shm__check_total(rounded, name);
	if (error)
		return error;
	fd = memfd_create("libshm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		error = errno;
		goto say;
	}
	step = "ftruncate";
	if (ftruncate(fd, (off_t)rounded) < 0) {
		error = errno;
		goto close_fd;
	}
	/* Whoever gets the descriptor can't take pages away under a mapping. */
	step = "sealing";
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = errno;
		goto close_fd;
	}
	*ret_size = rounded;
	*ret_fd = fd;
	return 0;
close_fd:
	close(fd);
say:
	/* The kernel's word for an inode that found no memory. */
	if (error == ENOSPC)
		error = ENOMEM;
	return metal_shm_set_error(error, "%s: %s of %zu bytes: %s", name, step, rounded,
				   strerror(error));
}
