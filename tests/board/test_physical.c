/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a buffer lies: what pagemap says is what the kernel's own importer is told, and holds the bytes. */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "importer.h"
#include "physical_device.h"

#define SIZE   (2u << 20)
#define NOBODY 65534
#define CONF   "/tmp/physical.conf"

static struct metal_device *device;

static int begin(void **state)
{
	FILE *file = fopen(CONF, "we");

	(void)state;
	assert_non_null(file);
	fputs("[heap:system]\ncoherent = yes\n[heap:reserved]\ncoherent = yes\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(setenv("LIBSHM_HEAPS_CONF", CONF, 1), 0);
	device = physical_device(METAL_SHM_ACCESS_DMA);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	metal_shm_device_close(device);
	unlink(CONF);
	return unsetenv("LIBSHM_HEAPS_CONF");
}

static struct metal_generic_shm *memory_of(const char *name, size_t size)
{
	struct metal_generic_shm *shm;
	struct metal_device *dev;

	if (metal_shm_device_open(name, &dev))
		fail_msg("%s: %s", name, metal_shm_last_error());
	shm = metal_shm_allocate(size, dev, 0);
	if (!shm)
		fail_msg("%s: %s", name, metal_shm_last_error());
	metal_shm_device_close(dev);
	return shm;
}

static const struct metal_shm_segment *segments_of(struct metal_generic_shm *view, size_t *ret_n)
{
	const struct metal_shm_segment *segments = NULL;

	if (!view || metal_shm_segments(view, &segments, ret_n))
		fail_msg("%s", metal_shm_last_error());
	return segments;
}

static void address_is_what_the_kernels_importer_is_told(void **state)
{
	static const char *const names[] = { "heap:reserved", "udmabuf" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		struct metal_generic_shm *shm = memory_of(names[i], SIZE);
		struct metal_generic_shm *view = metal_shm_attach(shm, device);
		struct board_attachment told;
		const struct metal_shm_segment *segments;
		int fd = metal_shm_export(shm, 0), importer;
		size_t n;

		segments = segments_of(view, &n);
		importer = importer_attach(fd, &told);
		assert_int_equal(told.bounced, 0);
		assert_int_equal(segments[0].device_address, told.address);
		if (i == 0) {
			assert_int_equal(n, 1);
			assert_int_equal(told.pieces, 1);
			assert_int_equal(segments[0].length, SIZE);
		}
		close(importer);
		close(fd);
		metal_shm_detach(view, device);
		metal_shm_free(shm, NULL);
	}
}

/* Read past every mapping of the buffer. */
static void memory_holds_the_bytes_in_the_order_of_the_segments(void **state)
{
	static const char *const names[] = { "heap:reserved", "udmabuf" };
	int physical = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	unsigned char *found = malloc(SIZE);

	(void)state;
	assert_true(physical >= 0);
	assert_non_null(found);
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		struct metal_generic_shm *shm = memory_of(names[i], SIZE), *view;
		unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
		const struct metal_shm_segment *segments;
		size_t n, at = 0;

		assert_non_null(bytes);
		for (size_t j = 0; j < SIZE; j++)
			bytes[j] = (unsigned char)(j * 31 + (j >> 12) * 7 + i);
		view = metal_shm_attach(shm, device);
		segments = segments_of(view, &n);
		for (size_t j = 0; j < n; j++) {
			assert_true(at + segments[j].length <= SIZE);
			assert_int_equal(pread(physical, found + at, segments[j].length,
					       (off_t)segments[j].device_address),
					 segments[j].length);
			at += segments[j].length;
		}
		assert_int_equal(at, SIZE);
		assert_memory_equal(found, bytes, SIZE);
		metal_shm_detach(view, device);
		metal_shm_free(shm, NULL);
	}
	free(found);
	close(physical);
}

static void address_of_a_part_is_that_of_its_first_byte(void **state)
{
	struct metal_generic_shm *shm = memory_of("heap:reserved", SIZE), *part, *view, *part_view;
	const struct metal_shm_segment *segments;
	uint64_t address;
	size_t n;

	(void)state;
	part = metal_shm_sub(shm, 123456, 7890, METAL_SHM_SUB_NO_COPY);
	view = metal_shm_attach(shm, device);
	part_view = metal_shm_attach(part, device);
	address = segments_of(view, &n)[0].device_address;
	segments = segments_of(part_view, &n);
	assert_int_equal(n, 1);
	assert_int_equal(segments[0].device_address, address + 123456);
	assert_int_equal(segments[0].length, 7890);
	metal_shm_detach(part_view, device);
	metal_shm_detach(view, device);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
}

static void memory_whose_place_nobody_tells_is_refused(void **state)
{
	struct metal_generic_shm *memfd = memory_of("memfd", SIZE), *anon = memory_of("anon", SIZE);
	struct metal_generic_shm *system = memory_of("heap:system", SIZE);

	(void)state;
	physical_refuse(system, device, ENODATA, "where a driver maps frames");
	metal_shm_free(system, NULL);
	physical_refuse(memfd, device, ENOTSUP, "may move the pages");
	physical_refuse(anon, device, ENOTSUP, "may move the pages");
	metal_shm_free(memfd, NULL);
	metal_shm_free(anon, NULL);
}

static void heap_that_nobody_calls_coherent_is_refused(void **state)
{
	struct metal_generic_shm *shm;

	(void)state;
	unlink(CONF);
	unsetenv("LIBSHM_HEAPS_CONF");
	shm = memory_of("heap:reserved", SIZE);
	physical_refuse(shm, device, ENOTSUP, "heaps.conf");
	metal_shm_free(shm, NULL);
}

/* Their frames read as 0, which is no address. */
static void who_may_not_see_addresses_gets_none(void **state)
{
	struct metal_generic_shm *shm = memory_of("heap:reserved", SIZE), *view;
	int error;

	(void)state;
	assert_int_equal(seteuid(NOBODY), 0);
	view = metal_shm_attach(shm, device);
	error = errno;
	assert_int_equal(seteuid(0), 0);
	assert_null(view);
	if (error != EACCES) /* of a page map that only root may open */
		assert_int_equal(error, EPERM);
	assert_reason("/proc/self/pagemap");
	metal_shm_free(shm, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(address_is_what_the_kernels_importer_is_told),
		CASE(memory_holds_the_bytes_in_the_order_of_the_segments),
		CASE(address_of_a_part_is_that_of_its_first_byte),
		CASE(memory_whose_place_nobody_tells_is_refused),
		CASE(heap_that_nobody_calls_coherent_is_refused),
		CASE(who_may_not_see_addresses_gets_none),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
