/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory sources as far as a machine without heaps shows them. tests/board has the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/shm.h>

#include "shm_test.h"

#define assert_reason(word)                                                            \
	do {                                                                           \
		if (!strstr(metal_shm_last_error(), word))                             \
			fail_msg("'%s' is not in '%s'", word, metal_shm_last_error()); \
	} while (0)

static struct metal_device *open_device(const char *name)
{
	struct metal_device *dev = NULL;
	int error = metal_shm_device_open(name, &dev);

	if (error)
		fail_msg("%s: %s", name, metal_shm_last_error());
	return dev;
}

static void refuse_open(const char *name, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_device_open(name, &dev), -error);
	assert_null(dev);
	assert_reason(word);
}

static void refuse_allocation(size_t size, metal_shm_type type, int error, const char *word)
{
	struct metal_device *dev = open_device("memfd");

	errno = 0;
	assert_null(metal_shm_allocate(size, dev, type));
	assert_int_equal(errno, error);
	assert_reason(word);
	metal_shm_device_close(dev);
}

static void memfd_is_opened_by_its_scheme_alone(void **state)
{
	struct metal_device *dev = open_device("memfd");

	(void)state;
	assert_string_equal(metal_shm_device_name(dev), "memfd");
	metal_shm_device_close(dev);
	refuse_open("memfd:x", EINVAL, "'x'");
}

static void memfd_promises_what_it_is(void **state)
{
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_device *dev = open_device("memfd");

	(void)state;
	assert_int_equal(metal_shm_device_properties(dev, &p), 0);
	assert_int_equal(p.cached, METAL_SHM_YES);
	assert_int_equal(p.zeroed, METAL_SHM_YES);
	assert_int_equal(p.contiguous, METAL_SHM_NO);
	assert_int_equal(p.secure, METAL_SHM_NO);
	assert_int_equal(p.dmabuf, METAL_SHM_NO);
	assert_int_equal(p.coherent, METAL_SHM_UNKNOWN);
	assert_int_equal(p.granularity, sysconf(_SC_PAGESIZE));
	metal_shm_device_close(dev);
}

static void memfd_meets_cached_and_zeroed(void **state)
{
	struct metal_device *dev = open_device("memfd");
	struct metal_generic_shm *shm;

	(void)state;
	shm = metal_shm_allocate(4096, dev, METAL_SHM_CACHED | METAL_SHM_ZEROED);
	assert_non_null(shm);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void memfd_refuses_what_it_is_not(void **state)
{
	(void)state;
	refuse_allocation(4096, METAL_SHM_DMABUF, ENOTSUP, "METAL_SHM_DMABUF");
	refuse_allocation(4096, METAL_SHM_CONTIGUOUS, ENOTSUP, "METAL_SHM_CONTIGUOUS");
	refuse_allocation(4096, METAL_SHM_NOTCACHED, ENOTSUP, "METAL_SHM_NOTCACHED");
	refuse_allocation(4096, METAL_SHM_SECURE, ENOTSUP, "METAL_SHM_SECURE");
	refuse_allocation(4096, METAL_SHM_CACHED | METAL_SHM_DMABUF, ENOTSUP, "METAL_SHM_DMABUF");
}

static void memfd_memory_is_zero_and_keeps_what_is_written(void **state)
{
	static unsigned char expected[10000];
	struct metal_device *dev = open_device("memfd");
	struct metal_generic_shm *shm = metal_shm_allocate(sizeof(expected), dev, 0);
	unsigned char *bytes;

	(void)state;
	assert_non_null(shm);
	assert_int_equal(metal_shm_size(shm), sizeof(expected));
	bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);
	assert_non_null(bytes);
	assert_memory_equal(bytes, expected, sizeof(expected));
	for (size_t i = 0; i < sizeof(expected); i++)
		bytes[i] = expected[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(metal_shm_unmap(shm, METAL_SHM_READ | METAL_SHM_WRITE), 0);
	bytes = metal_shm_map(shm, METAL_SHM_READ);
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(metal_shm_unmap(shm, METAL_SHM_READ), 0);
	memset(expected, 0, sizeof(expected));
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void memfd_rounds_up_to_pages(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_device *dev = open_device("memfd");
	struct metal_generic_shm *shm = metal_shm_allocate((size_t)page + 1, dev, 0);
	int fd;

	(void)state;
	assert_int_equal(metal_shm_properties(shm, &p), 0);
	assert_int_equal(p.size, 2 * page);
	fd = metal_shm_export(shm, 0);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 2 * page);
	close(fd);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void memfd_size_is_sealed(void **state)
{
	struct metal_device *dev = open_device("memfd");
	struct metal_generic_shm *shm = metal_shm_allocate(8192, dev, 0);
	int fd = metal_shm_export(shm, 0);

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 65536), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void every_descriptor_of_the_library_is_close_on_exec(void **state)
{
	struct metal_device *dev;
	struct metal_generic_shm *shm;
	bool open_before[256];

	(void)state;
	for (int fd = 0; fd < 256; fd++)
		open_before[fd] = fcntl(fd, F_GETFD) >= 0;
	dev = open_device("memfd");
	shm = metal_shm_allocate(4096, dev, 0);
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !open_before[fd])
			assert_true(flags & FD_CLOEXEC);
	}
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void impossible_size_is_refused(void **state)
{
	(void)state;
	refuse_allocation(0, 0, EINVAL, "0 bytes");
	refuse_allocation(SIZE_MAX, 0, EOVERFLOW, "address space");
	refuse_allocation(SIZE_MAX - 4096, 0, EOVERFLOW, "address space");
	refuse_allocation((size_t)PTRDIFF_MAX, 0, EOVERFLOW, "address space");
	refuse_allocation((size_t)1 << 46, 0, ENOMEM, "the machine has");
}

static void allocation_without_descriptors_left_is_refused(void **state)
{
	struct metal_device *dev = open_device("memfd");
	struct rlimit before, none;
	struct metal_generic_shm *shm;
	int error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	shm = metal_shm_allocate(4096, dev, 0);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(shm);
	assert_int_equal(error, EMFILE);
	assert_reason("memfd_create");
	metal_shm_device_close(dev);
}

static void malformed_heap_name_is_refused(void **state)
{
	char name[200] = "heap:";

	(void)state;
	refuse_open("heap", EINVAL, "heap:system");
	refuse_open("heap:", EINVAL, "heap:system");
	refuse_open("heap:../null", EINVAL, "path");
	refuse_open("heap:/dev/null", EINVAL, "path");
	refuse_open("heap:system/", EINVAL, "path");
	refuse_open("heap:..", EINVAL, "path");
	refuse_open("heap:.", EINVAL, "path");
	refuse_open("heap:a b", EINVAL, "0x20");
	refuse_open("heap:a\n", EINVAL, "0x0a");
	refuse_open("heap:\xc3\xa4", EINVAL, "0xc3");
	memset(name + 5, 'a', 100);
	refuse_open(name, EINVAL, "more than 99 bytes");
}

static void missing_heap_is_named_with_its_directory(void **state)
{
	char name[200] = "heap:";

	(void)state;
	refuse_open("heap:no-such-heap", ENOENT, "no heap no-such-heap");
	assert_reason("/dev/dma_heap");
	memset(name + 5, 'a', 99);
	refuse_open(name, ENOENT, "no heap aaa");
}

static void machine_without_heaps_has_no_role_either(void **state)
{
	(void)state;
	if (!access("/dev/dma_heap", F_OK))
		shm_test_skip("this machine has heaps");
	refuse_open("heap:system", ENOENT, "CONFIG_DMABUF_HEAPS");
	refuse_open("heap:contiguous", ENOENT, "CONFIG_DMABUF_HEAPS");
	refuse_open("heap:linux,cma", ENOENT, "CONFIG_DMABUF_HEAPS");
}

static void udmabuf_takes_no_name(void **state)
{
	(void)state;
	refuse_open("udmabuf:x", EINVAL, "'x'");
}

static void missing_udmabuf_names_its_module(void **state)
{
	(void)state;
	if (!access("/dev/udmabuf", F_OK))
		shm_test_skip("this machine has udmabuf");
	refuse_open("udmabuf", ENOENT, "modprobe udmabuf");
}

static void anon_memory_is_the_programs_own_pages(void **state)
{
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_device *dev = open_device("anon");
	struct metal_generic_shm *shm =
		metal_shm_allocate(5000, dev, METAL_SHM_ZEROED | METAL_SHM_CACHED);
	char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 7, 5000);
	assert_ptr_equal(metal_shm_map(shm, METAL_SHM_READ), bytes);
	assert_int_equal(metal_shm_properties(shm, &p), 0);
	assert_int_equal(p.size % (size_t)sysconf(_SC_PAGESIZE), 0);
	assert_int_equal(p.dmabuf, METAL_SHM_NO);
	assert_int_equal(metal_shm_export(shm, 0), -ENOTSUP);
	metal_shm_device_close(dev);
	assert_int_equal(bytes[4999], 7);
	metal_shm_free(shm, NULL);
}

static void anon_refuses_what_it_is_not(void **state)
{
	struct metal_device *dev = open_device("anon");

	(void)state;
	assert_null(metal_shm_allocate(4096, dev, METAL_SHM_DMABUF));
	assert_reason("anon's memory is no DMA-BUF");
	assert_null(metal_shm_allocate(4096, dev, METAL_SHM_CONTIGUOUS));
	errno = 0;
	assert_null(metal_shm_allocate(PTRDIFF_MAX - 8192, dev, 0));
	assert_int_equal(errno, ENOMEM);
	assert_reason("the machine has");
	assert_null(metal_shm_allocate(SIZE_MAX, dev, 0));
	assert_int_equal(errno, EOVERFLOW);
	metal_shm_device_close(dev);
	refuse_open("anon:x", EINVAL, "'x'");
}

static void who_may_not_open_a_node_is_told_what_helps(void **state)
{
	char path[] = "/tmp/libshm-node-XXXXXX";
	int fd = mkstemp(path), here = open(".", O_PATH | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0 && here >= 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(chdir("/tmp"), 0);
	/* as a program may name it that is there */
	assert_int_equal(metal_shm_not_permitted(path + strlen("/tmp/"), "drm"), -EACCES);
	assert_non_null(strstr(metal_shm_last_error(), "mode 0640: a udev rule would help: "
						       "SUBSYSTEM==\"drm\", "
						       "KERNEL==\"libshm-node-"));
	assert_int_equal(fchdir(here), 0);
	close(here);
	close(fd);
	unlink(path);
	assert_int_equal(metal_shm_not_permitted(path, "drm"), -EACCES);
	assert_non_null(strstr(metal_shm_last_error(), "its directory neither"));
	assert_int_equal(metal_shm_not_permitted(NULL, "drm"), -EINVAL);
	assert_int_equal(metal_shm_not_permitted(path, NULL), -EINVAL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memfd_is_opened_by_its_scheme_alone),
		cmocka_unit_test(memfd_promises_what_it_is),
		cmocka_unit_test(memfd_meets_cached_and_zeroed),
		cmocka_unit_test(memfd_refuses_what_it_is_not),
		cmocka_unit_test(memfd_memory_is_zero_and_keeps_what_is_written),
		cmocka_unit_test(memfd_rounds_up_to_pages),
		cmocka_unit_test(memfd_size_is_sealed),
		cmocka_unit_test(every_descriptor_of_the_library_is_close_on_exec),
		cmocka_unit_test(impossible_size_is_refused),
		cmocka_unit_test(allocation_without_descriptors_left_is_refused),
		cmocka_unit_test(malformed_heap_name_is_refused),
		cmocka_unit_test(missing_heap_is_named_with_its_directory),
		cmocka_unit_test(machine_without_heaps_has_no_role_either),
		cmocka_unit_test(udmabuf_takes_no_name),
		cmocka_unit_test(missing_udmabuf_names_its_module),
		cmocka_unit_test(anon_memory_is_the_programs_own_pages),
		cmocka_unit_test(anon_refuses_what_it_is_not),
		cmocka_unit_test(who_may_not_open_a_node_is_told_what_helps),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
