/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources that run out of something: each failure is named, and leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <shm/shm.h>

#include "shm_test.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static const char *const dmabuf_sources[] = { "heap:system", "heap:contiguous", "udmabuf" };

#define DMABUF_SOURCES SHM_TEST_COUNT(dmabuf_sources)

static struct metal_device *open_device(const char *name)
{
	struct metal_device *dev = NULL;

	if (metal_shm_device_open(name, &dev))
		fail_msg("%s: %s", name, metal_shm_last_error());
	return dev;
}

static struct metal_generic_shm *allocate(size_t size, struct metal_device *dev,
					  metal_shm_type type)
{
	struct metal_generic_shm *shm = metal_shm_allocate(size, dev, type);

	if (!shm)
		fail_msg("%s: %s", metal_shm_device_name(dev), metal_shm_last_error());
	return shm;
}

static void refuse_allocation(const char *name, size_t size, metal_shm_type type, int error,
			      const char *word)
{
	struct metal_device *dev = open_device(name);

	errno = 0;
	assert_null(metal_shm_allocate(size, dev, type));
	assert_int_equal(errno, error);
	assert_reason(word);
	metal_shm_device_close(dev);
}

static void impossible_size_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		const char *name = dmabuf_sources[i];

		refuse_allocation(name, 0, 0, EINVAL, "0 bytes");
		refuse_allocation(name, SIZE_MAX, 0, EOVERFLOW, "address space");
		refuse_allocation(name, SIZE_MAX - 4095, 0, EOVERFLOW, "address space");
		refuse_allocation(name, (size_t)PTRDIFF_MAX, 0, EOVERFLOW, "address space");
		refuse_allocation(name, (size_t)1 << 40, 0, ENOMEM, "1099511627776");
	}
}

static size_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t kib = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %zu", &kib);
	fclose(file);
	return kib * KIB;
}

/* Left to itself the kernel kills processes for it before it says no: the CMA area is of no use. */
static void size_that_would_use_up_the_machine_is_refused(void **state)
{
	(void)state;
	refuse_allocation("heap:system", available_memory() - 32 * MIB, 0, ENOMEM, "available");
}

static void cma_heap_that_is_full_says_so_and_goes_on(void **state)
{
	struct metal_device *dev = open_device("heap:contiguous");
	struct metal_generic_shm *shm;

	(void)state;
	assert_null(metal_shm_allocate(256 * MIB, dev, 0));
	assert_int_equal(errno, ENOMEM);
	assert_reason("heap:reserved");
	assert_reason("no 268435456 bytes");
	assert_null(metal_shm_allocate((size_t)1 << 40, dev, 0));
	assert_reason("no 1099511627776 bytes");
	shm = allocate(4096, dev, 0);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void udmabuf_above_the_kernels_limit_names_the_parameter(void **state)
{
	struct metal_device *dev = open_device("udmabuf");
	struct metal_generic_shm *shm;

	(void)state;
	shm = allocate(64 * MIB, dev, 0);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
	refuse_allocation("udmabuf", 64 * MIB + 1, 0, ENOMEM, "udmabuf.size_limit_mb");
	refuse_allocation("udmabuf", 64 * MIB + 1, 0, ENOMEM, "64 MiB");
}

static int lowest_free_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void each_missing_descriptor_refuses_the_allocation(void **state)
{
	static const rlim_t needed[DMABUF_SOURCES] = { 1, 1, 2 };

	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);
		rlim_t used = (rlim_t)lowest_free_descriptor();
		struct rlimit before;

		assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
		for (rlim_t left = 0; left <= needed[i]; left++) {
			const struct rlimit limit = { used + left, before.rlim_max };
			struct metal_generic_shm *shm;
			int error;

			assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
			shm = metal_shm_allocate(64 * KIB, dev, 0);
			error = errno;
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
			assert_int_equal(!shm, left < needed[i]);
			if (!shm)
				assert_int_equal(error, EMFILE);
			metal_shm_free(shm, dev);
		}
		metal_shm_device_close(dev);
	}
}

static void inject(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), (int)strlen(value));
	close(fd);
}

static int every_kernel_allocation_may_fail(void **state)
{
	(void)state;
	inject("/sys/kernel/debug/failslab/verbose", "0");
	inject("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	inject("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	inject("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	inject("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	inject("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	return 0;
}

static int no_kernel_allocation_may_fail(void **state)
{
	(void)state;
	inject("/sys/kernel/debug/failslab/ignore-gfp-wait", "Y");
	inject("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "Y");
	inject("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "Y");
	inject("/sys/kernel/debug/fail_page_alloc/min-order", "1");
	return 0;
}

/* Lets the n-th of this thread's kernel allocations fail; false when there were fewer. */
static bool allocate_with_fault(int nth, struct metal_device *dev, struct metal_generic_shm **ret)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), error;
	char text[16] = "";

	assert_true(fd >= 0);
	snprintf(text, sizeof(text), "%d", nth);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), (int)strlen(text));
	*ret = metal_shm_allocate(64 * KIB, dev, 0);
	error = errno;
	memset(text, 0, sizeof(text));
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_int_equal(pwrite(fd, "0", 1, 0), 1);
	close(fd);
	errno = error;
	return atoi(text) == 0;
}

/* The case's own count of descriptors and DMA-BUFs says whether anything was kept. */
static void each_failure_in_the_kernel_gives_back_what_was_taken(void **state)
{
	static const char *const names[] = { "memfd", "heap:system", "heap:contiguous", "udmabuf" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		struct metal_device *dev = open_device(names[i]);
		struct metal_generic_shm *shm;
		int failed = 0, nth = 1;

		while (allocate_with_fault(nth, dev, &shm)) {
			if (!shm) {
				failed++;
				if (errno != ENOMEM && errno != ENFILE)
					fail_msg("fault %d: errno %d, %s", nth, errno,
						 metal_shm_last_error());
				assert_reason(strcmp(names[i], "heap:contiguous") ? names[i]
										  : "heap:");
			}
			metal_shm_free(shm, dev);
			assert_in_range(nth++, 1, 200);
		}
		print_message("%s: %d of %d faults refuse it\n", names[i], failed, nth - 1);
		assert_non_null(shm);
		assert_true(failed >= 3);
		metal_shm_free(shm, dev);
		metal_shm_device_close(dev);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_size_is_refused),
		cmocka_unit_test(size_that_would_use_up_the_machine_is_refused),
		cmocka_unit_test(cma_heap_that_is_full_says_so_and_goes_on),
		cmocka_unit_test(udmabuf_above_the_kernels_limit_names_the_parameter),
		cmocka_unit_test(each_missing_descriptor_refuses_the_allocation),
		cmocka_unit_test_setup_teardown(
			each_failure_in_the_kernel_gives_back_what_was_taken,
			every_kernel_allocation_may_fail, no_kernel_allocation_may_fail),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
