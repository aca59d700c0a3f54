/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel: Documentation/admin-guide/mm/pagemap.rst. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shm/device.h>

#include "pagemap.h"
#include "pages.h"

#define PAGEMAP "/proc/self/pagemap"
#define PRESENT (UINT64_C(1) << 63)
#define FRAME   ((UINT64_C(1) << 55) - 1)
#define AT_ONCE 512 /* entries */

struct runs {
	struct metal_shm_segment *segment;
	size_t n, room;
};

static int add(struct runs *runs, uint64_t address, uint64_t length)
{
	struct metal_shm_segment *last = runs->n ? &runs->segment[runs->n - 1] : NULL;

	if (last && last->device_address + last->length == address) {
		last->length += length;
		return 0;
	}
	if (runs->n == runs->room) {
		size_t room = runs->room ? runs->room * 2 : 4;

		last = realloc(runs->segment, room * sizeof(*last));
		if (!last)
			return metal_shm_set_error(ENOMEM, "no memory for %zu segments", room);
		runs->segment = last;
		runs->room = room;
	}
	runs->segment[runs->n++] = (struct metal_shm_segment){ address, length };
	return 0;
}

/* A frame of 0 is what the kernel shows to those who may not know, and never a buffer's. */
static int check(uint64_t entry)
{
	if (!(entry & PRESENT))
		return metal_shm_set_error(ENODATA,
					   PAGEMAP " shows no page there; it never does where a "
						   "driver maps frames, as the heap system");
	if (!(entry & FRAME))
		return metal_shm_set_error(EPERM,
					   PAGEMAP " shows physical addresses only to who has "
						   "CAP_SYS_ADMIN");
	return 0;
}

static int add_pages(struct runs *runs, const uint64_t *entry, size_t n, size_t page)
{
	int error = 0;

	for (size_t i = 0; i < n && !error; i++) {
		error = check(entry[i]);
		if (!error)
			error = add(runs, (entry[i] & FRAME) * page, page);
	}
	return error;
}

static int read_pages(int fd, uintptr_t first, size_t pages, size_t page, struct runs *runs)
{
	uint64_t entry[AT_ONCE];
	int error = 0;

	for (size_t done = 0; done < pages && !error;) {
		size_t n = pages - done < AT_ONCE ? pages - done : AT_ONCE;
		ssize_t got = pread(fd, entry, n * sizeof(entry[0]),
				    (off_t)((first / page + done) * sizeof(entry[0])));

		if (got < (ssize_t)sizeof(entry[0]))
			return metal_shm_set_error(got < 0 ? errno : ENODATA,
						   PAGEMAP ": can't read it: %s",
						   got < 0 ? strerror(errno) : "it ends");
		n = (size_t)got / sizeof(entry[0]);
		error = add_pages(runs, entry, n, page);
		done += n;
	}
	return error;
}

int shm__pagemap_segments(const void *address, size_t size, struct metal_shm_segment **ret_segments,
			  size_t *ret_n)
{
	size_t page = shm__page_size(), ahead = (uintptr_t)address % page;
	size_t pages = (ahead + size + page - 1) / page;
	struct runs runs = { 0 };
	int error, fd;

	fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return metal_shm_set_error(errno, PAGEMAP ": %s", strerror(errno));
	error = read_pages(fd, (uintptr_t)address - ahead, pages, page, &runs);
	close(fd);
	if (!error && !runs.segment)
		error = metal_shm_set_error(EINVAL, PAGEMAP ": no bytes to look for");
	if (error) {
		free(runs.segment);
		return error;
	}
	/* whole pages so far */
	runs.segment[0].device_address += ahead;
	runs.segment[0].length -= ahead;
	runs.segment[runs.n - 1].length -= pages * page - ahead - size;
	*ret_segments = runs.segment;
	*ret_n = runs.n;
	return 0;
}
