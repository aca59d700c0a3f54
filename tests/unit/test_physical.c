/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical addresses as the kernel tells them, or doesn't. There is no DMA-BUF here and no right to see
 * addresses, so the program exports what looks: a memfd passes as a DMA-BUF, another one as the page map.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "physical_device.h"

#define PAGE    4096u
#define PAGES   700u /* more than are read at once */
#define PRESENT (UINT64_C(1) << 63)

/* The machine. */
static struct {
	const char *exporter; /* NULL: the kernel doesn't say */
	enum metal_shm_tri cached, coherent;
	uint64_t entry[PAGES];
	size_t entries;
	int refuse_pagemap; /* errno */
	bool driver;        /* TI's */
	uint64_t driver_says;
	int driver_fails; /* errno */
} is;

static int memory = -1;
static char *mapped;

static bool is_memory(int fd)
{
	struct stat a, b;

	return memory >= 0 && !fstat(fd, &a) && !fstat(memory, &b) && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

int fstatfs64(int fd, struct statfs64 *st)
{
	int ret = (int)syscall(SYS_fstatfs, fd, st);

	if (!ret && is.exporter && is_memory(fd))
		st->f_type = DMA_BUF_MAGIC;
	return ret;
}

static int page_map(void)
{
	int fd = memfd_create("pagemap", MFD_CLOEXEC);
	off_t at = (off_t)((uintptr_t)mapped / PAGE * 8);

	if (pwrite(fd, is.entry, is.entries * 8, at) != (ssize_t)is.entries * 8)
		abort();
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode = 0;

	va_start(list, flags);
	if (flags & O_CREAT)
		mode = va_arg(list, mode_t);
	va_end(list);
	if (!strcmp(path, "/proc/self/pagemap")) {
		if (!is.refuse_pagemap)
			return page_map();
		errno = is.refuse_pagemap;
		return -1;
	}
	if (!strcmp(path, "/dev/dma-buf-phys") && is.driver)
		path = "/dev/null";
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	FILE *file;
	int fd;

	if (strncmp(path, "/proc/self/fdinfo/", 18) != 0 || !is_memory(atoi(path + 18)) ||
	    !is.exporter) {
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? NULL : fdopen(fd, mode);
	}
	file = tmpfile();
	if (is.exporter[0])
		fprintf(file, "pos:\t0\nsize:\t4096\ncount:\t2\nexp_name:\t%s\n", is.exporter);
	rewind(file);
	return file;
}

int access(const char *path, int how)
{
	if (!strcmp(path, "/dev/dma_heap/system"))
		return 0;
	return (int)syscall(SYS_faccessat, AT_FDCWD, path, how);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (request != _IOWR('D', 0, uint64_t[2]))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	if (is.driver_fails || !is_memory(*(int *)arg)) {
		errno = is.driver_fails ? is.driver_fails : EINVAL;
		return -1;
	}
	((uint64_t *)arg)[1] = is.driver_says;
	return 0;
}

/* A source of it. */
static int allocate(struct metal_device *dev, size_t size, metal_shm_type type,
		    struct metal_shm_memory *ret)
{
	(void)dev;
	(void)type;
	memory = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memory, (off_t)size), 0);
	*ret = (struct metal_shm_memory){ .size = size, .os_handle = memory };
	return 0;
}

static void release(struct metal_device *dev, struct metal_shm_memory *of)
{
	(void)dev;
	close(of->os_handle);
	memory = -1;
}

static int properties(struct metal_device *dev, const struct metal_shm_memory *of,
		      struct metal_shm_properties *ret)
{
	(void)dev;
	(void)of;
	ret->cached = is.cached;
	ret->coherent = is.coherent;
	return 0;
}

static int map(struct metal_device *dev, struct metal_shm_memory *of, int prot, void **ret_address)
{
	(void)dev;
	(void)prot;
	mapped = mmap(NULL, of->size, PROT_READ | PROT_WRITE, MAP_SHARED, of->os_handle, 0);
	*ret_address = mapped;
	return mapped == MAP_FAILED ? metal_shm_set_error(errno, "mmap") : 0;
}

static void unmap(struct metal_device *dev, struct metal_shm_memory *of, void *address,
		  size_t length)
{
	(void)dev;
	(void)of;
	munmap(address, length);
}

static const struct metal_shm_device_ops source_ops = {
	.struct_size = sizeof(source_ops),
	.allocate = allocate,
	.release = release,
	.properties = properties,
	.map = map,
	.unmap = unmap,
};

static struct metal_device *source, *importer;

static int begin(void **state)
{
	(void)state;
	memset(&is, 0, sizeof(is));
	is.exporter = "system";
	is.cached = METAL_SHM_YES;
	is.coherent = METAL_SHM_YES;
	for (size_t i = 0; i < PAGES; i++)
		is.entry[i] = PRESENT | (UINT64_C(1) << 61) | (0x1000 + i);
	is.entries = PAGES;
	assert_int_equal(metal_shm_device_create(&source_ops, "source", NULL, &source), 0);
	importer = physical_device(METAL_SHM_ACCESS_CPU_USER); /* parts in place */
	return 0;
}

static int finish(void **state)
{
	(void)state;
	metal_shm_device_close(source);
	metal_shm_device_close(importer);
	return 0;
}

static struct metal_generic_shm *buffer(size_t size)
{
	struct metal_generic_shm *shm = metal_shm_allocate(size, source, 0);

	assert_non_null(shm);
	return shm;
}

static void expect(struct metal_generic_shm *shm, const struct metal_shm_segment *expected,
		   size_t n)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, importer);
	const struct metal_shm_segment *segments;
	size_t count;

	if (!view)
		fail_msg("attach: %s", metal_shm_last_error());
	assert_int_equal(metal_shm_segments(view, &segments, &count), 0);
	assert_int_equal(count, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(segments[i].device_address, expected[i].device_address);
		assert_int_equal(segments[i].length, expected[i].length);
	}
	metal_shm_detach(view, importer);
}

static void neighbouring_pages_are_one_segment(void **state)
{
	struct metal_generic_shm *shm = buffer(PAGES * PAGE);

	(void)state;
	expect(shm, (const struct metal_shm_segment[]){ { 0x1000000, PAGES * PAGE } }, 1);
	metal_shm_free(shm, NULL);
}

/* Six pages; the addresses jump where one read of the map ends, too. */
static void scattered_pages_are_segments_in_order(void **state)
{
	struct metal_generic_shm *shm = buffer(PAGES * PAGE);

	(void)state;
	is.entry[0] = PRESENT | 0x900;
	is.entry[1] = PRESENT | 0x100;
	is.entry[512] = PRESENT | 0x7ffffffffff;
	expect(shm,
	       (const struct metal_shm_segment[]){ { 0x900000, PAGE },
						   { 0x100000, PAGE },
						   { 0x1002000, 510 * PAGE },
						   { 0x7ffffffffff000, PAGE },
						   { 0x1201000, 187 * PAGE } },
	       5);
	metal_shm_free(shm, NULL);
}

static void part_begins_and_ends_at_its_bytes(void **state)
{
	struct metal_generic_shm *shm = buffer(4 * PAGE), *part, *small;

	(void)state;
	is.entry[2] = PRESENT | 0x20;
	part = metal_shm_sub(shm, 100, 2 * PAGE, 0);
	small = metal_shm_sub(shm, 2 * PAGE + 7, 1, 0);
	expect(part,
	       (const struct metal_shm_segment[]){ { 0x1000064, 2 * PAGE - 100 },
						   { 0x20000, 100 } },
	       2);
	expect(small, (const struct metal_shm_segment[]){ { 0x20007, 1 } }, 1);
	metal_shm_free(small, NULL);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void frame_zero_is_a_refusal(void **state)
{
	struct metal_generic_shm *shm = buffer(3 * PAGE);

	(void)state;
	is.entry[2] = PRESENT | (UINT64_C(1) << 61);
	physical_refuse(shm, importer, EPERM, "CAP_SYS_ADMIN");
	metal_shm_free(shm, NULL);
}

static void page_that_is_not_there_is_refused(void **state)
{
	struct metal_generic_shm *shm = buffer(3 * PAGE);

	(void)state;
	is.entry[1] = UINT64_C(1) << 62 | 0x1234; /* swapped out */
	physical_refuse(shm, importer, ENODATA, "shows no page");
	is.entries = 1;
	physical_refuse(shm, importer, ENODATA, "it ends");
	metal_shm_free(shm, NULL);
}

static void map_that_is_closed_to_us_is_refused(void **state)
{
	struct metal_generic_shm *shm = buffer(PAGE);

	(void)state;
	is.refuse_pagemap = EACCES;
	physical_refuse(shm, importer, EACCES, "/proc/self/pagemap");
	metal_shm_free(shm, NULL);
}

static void pages_that_may_move_have_no_address(void **state)
{
	struct metal_generic_shm *shm = buffer(PAGE), *wrapped;
	char bytes[16];

	(void)state;
	is.exporter = "i915";
	physical_refuse(shm, importer, ENOTSUP, "i915 may move");
	is.exporter = "";
	physical_refuse(shm, importer, ENOTSUP, "nothing tells whose");
	is.exporter = NULL;
	physical_refuse(shm, importer, ENOTSUP, "no DMA-BUF");
	wrapped = metal_shm_wrap(bytes, sizeof(bytes), NULL, NULL);
	physical_refuse(wrapped, importer, ENOTSUP, "no DMA-BUF");
	metal_shm_free(wrapped, NULL);
	metal_shm_free(shm, NULL);
}

static void memory_whose_sync_misses_the_device_is_refused(void **state)
{
	struct metal_shm_segment expected = { 0x1000000, PAGE };
	struct metal_generic_shm *shm;

	(void)state;
	is.coherent = METAL_SHM_UNKNOWN;
	shm = buffer(PAGE);
	physical_refuse(shm, importer, ENOTSUP, "heaps.conf");
	is.exporter = "udmabuf";
	expect(shm, &expected, 1);
	metal_shm_free(shm, NULL);
	is.exporter = "system";
	is.cached = METAL_SHM_NO;
	shm = buffer(PAGE);
	expect(shm, &expected, 1);
	metal_shm_free(shm, NULL);
}

/* It pins what it answers, whoever exports it, while its descriptor is open. */
static void driver_is_asked_first(void **state)
{
	struct metal_generic_shm *shm = buffer(2 * PAGE), *part = metal_shm_sub(shm, 5, 10, 0);

	(void)state;
	is.driver = true;
	is.driver_says = 0xabc000;
	is.exporter = "omapdrm";
	is.coherent = METAL_SHM_UNKNOWN;
	expect(part, (const struct metal_shm_segment[]){ { 0xabc005, 10 } }, 1);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void what_the_driver_refuses_is_looked_up(void **state)
{
	struct metal_shm_segment expected = { 0x1000000, 2 * PAGE };
	struct metal_generic_shm *shm = buffer(2 * PAGE);

	(void)state;
	is.driver = true;
	is.driver_fails = EINVAL;
	expect(shm, &expected, 1);
	is.driver_fails = 0;
	is.driver_says = 0;
	expect(shm, &expected, 1);
	is.driver_says = UINT64_MAX - PAGE;
	expect(shm, &expected, 1);
	assert_int_equal(metal_shm_physical_get(NULL, NULL), -EINVAL);
	metal_shm_physical_put(NULL);
	metal_shm_free(shm, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(neighbouring_pages_are_one_segment),
		CASE(scattered_pages_are_segments_in_order),
		CASE(part_begins_and_ends_at_its_bytes),
		CASE(frame_zero_is_a_refusal),
		CASE(page_that_is_not_there_is_refused),
		CASE(map_that_is_closed_to_us_is_refused),
		CASE(pages_that_may_move_have_no_address),
		CASE(memory_whose_sync_misses_the_device_is_refused),
		CASE(driver_is_asked_first),
		CASE(what_the_driver_refuses_is_looked_up),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
