/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors in and out, with memfds; the board does the same with DMA-BUFs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shm/linux.h>
#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

static int new_memfd(off_t size)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void the_same_memory_is_one_buffer(void **state)
{
	int fd = new_memfd(8192), again = dup(fd);
	struct metal_generic_shm *first = metal_shm_import(fd, 0, 0);
	struct metal_generic_shm *second = metal_shm_import(again, 0, 8192);

	(void)state;
	assert_non_null(first);
	assert_ptr_equal(first, second);
	assert_int_equal(metal_shm_size(first), 8192);
	metal_shm_free(first, NULL);
	assert_int_equal(metal_shm_size(second), 8192);
	metal_shm_free(second, NULL);
	close(fd);
	close(again);
}

static void our_own_export_comes_back_as_itself(void **state)
{
	struct metal_device *memfd = NULL;
	struct metal_generic_shm *shm, *back;
	int fd;

	(void)state;
	assert_int_equal(metal_shm_device_open("memfd", &memfd), 0);
	shm = metal_shm_allocate(5000, memfd, 0);
	fd = metal_shm_export(shm, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	back = metal_shm_import(fd, 0, 0);
	assert_ptr_equal(back, shm);
	metal_shm_free(back, NULL);
	metal_shm_free(shm, memfd);
	back = metal_shm_import(fd, 0, 0);
	assert_non_null(back);
	metal_shm_free(back, NULL);
	close(fd);
	metal_shm_device_close(memfd);
}

static void an_import_shares_its_bytes(void **state)
{
	int fd = new_memfd(4096);
	char *outside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0);
	char *inside = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

	(void)state;
	close(fd);
	strcpy(outside, "from outside");
	assert_string_equal(inside, "from outside");
	strcpy(inside, "from inside");
	assert_string_equal(outside, "from inside");
	metal_shm_free(shm, NULL);
	munmap(outside, 4096);
}

static void a_range_of_an_import_is_a_part(void **state)
{
	int fd = new_memfd(8192);
	struct metal_generic_shm *part = metal_shm_import(fd, 100, 50), *rest;

	(void)state;
	assert_int_equal(metal_shm_size(part), 50);
	rest = metal_shm_import(fd, 100, 0);
	assert_int_equal(metal_shm_size(rest), 8092);
	assert_null(metal_shm_import(fd, 8192, 0));
	assert_int_equal(errno, ERANGE);
	assert_non_null(strstr(metal_shm_last_error(), "8192"));
	assert_null(metal_shm_import(fd, 0, 8193));
	assert_int_equal(errno, ERANGE);
	assert_null(metal_shm_import(fd, UINT64_MAX, 1));
	assert_null(metal_shm_import(fd, 1, SIZE_MAX));
	assert_int_equal(metal_shm_export(part, 0), -ENOTSUP);
	metal_shm_free(part, NULL);
	metal_shm_free(rest, NULL);
	close(fd);
}

static void expect_refusal(int fd, int error)
{
	assert_null(metal_shm_import(fd, 0, 0));
	assert_int_equal(errno, error);
	assert_int_not_equal(strlen(metal_shm_last_error()), 0);
}

static void what_is_no_memory_is_refused(void **state)
{
	int fd = new_memfd(0), pair[2], closed = dup(fd);

	(void)state;
	close(closed);
	expect_refusal(closed, EBADF);
	expect_refusal(-1, EBADF);
	expect_refusal(fd, EINVAL);
	close(fd);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	expect_refusal(pair[0], EINVAL);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_refusal(pair[0], EINVAL);
	close(pair[0]);
	close(pair[1]);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	expect_refusal(fd, EINVAL);
	close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	expect_refusal(fd, EINVAL);
	close(fd);
}

static void a_named_file_of_a_tmpfs_is_no_memfd(void **state)
{
	char path[] = "/dev/shm/libshm-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	(void)state;
	if (fd < 0)
		shm_test_skip("no file can be made in /dev/shm: %s", strerror(errno));
	assert_int_equal(ftruncate(fd, 8192), 0);
	expect_refusal(fd, EINVAL);
	unlink(path);
	close(fd);
}

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static void a_descriptors_access_mode_is_kept(void **state)
{
	struct fake_importer *importer = fake_importer_new("imp", METAL_SHM_ACCESS_DMA);
	int fd = new_memfd(4096), reader = reopen(fd, O_RDONLY), writer = reopen(fd, O_WRONLY);
	struct metal_generic_shm *shm, *view;

	(void)state;
	expect_refusal(writer, EACCES);
	shm = metal_shm_import(reader, 0, 0);
	assert_non_null(shm);
	assert_null(metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE));
	assert_int_equal(errno, EACCES);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	view = metal_shm_attach(shm, importer->dev);
	assert_int_equal(metal_shm_sync_for_device(shm, importer->dev, METAL_SHM_DIR_DEV_R), 0);
	assert_int_equal(metal_shm_sync_for_device(shm, importer->dev, METAL_SHM_DIR_DEV_W),
			 -EACCES);
	metal_shm_detach(view, importer->dev);
	metal_shm_free(shm, NULL);
	fake_importer_end(importer);
	close(fd);
	close(reader);
	close(writer);
}

static void what_has_no_descriptor_is_not_exported(void **state)
{
	static char bytes[64];
	struct metal_generic_shm *shm = metal_shm_wrap(bytes, sizeof(bytes), NULL, NULL);
	struct metal_generic_shm *memfd = metal_shm_allocate_for(100, NULL, 0, 0);

	(void)state;
	assert_int_equal(metal_shm_export(shm, 0), -ENOTSUP);
	assert_int_equal(metal_shm_export(memfd, METAL_SHM_EXPORT_DMABUF), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "memfd memory is not a DMA-BUF"));
	assert_int_equal(metal_shm_export(memfd, 1u << 9), -EINVAL);
	assert_int_equal(metal_shm_export(NULL, 0), -EINVAL);
	metal_shm_free(shm, NULL);
	metal_shm_free(memfd, NULL);
}

static void a_buffer_that_only_a_device_uses_is_found_again(void **state)
{
	struct fake_importer *importer = fake_importer_new("imp", METAL_SHM_ACCESS_CPU_USER);
	int fd = new_memfd(4096);
	struct metal_generic_shm *shm = metal_shm_import(fd, 0, 0), *view, *again;

	(void)state;
	view = metal_shm_attach(shm, importer->dev);
	metal_shm_free(shm, NULL);
	again = metal_shm_import(fd, 0, 0);
	assert_non_null(again);
	assert_ptr_equal(metal_shm_view(again, importer->dev), view);
	metal_shm_free(again, NULL);
	metal_shm_detach(view, importer->dev);
	assert_string_equal(importer->log, "AD");
	close(fd);
	fake_importer_end(importer);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_memory_is_one_buffer),
		cmocka_unit_test(our_own_export_comes_back_as_itself),
		cmocka_unit_test(an_import_shares_its_bytes),
		cmocka_unit_test(a_range_of_an_import_is_a_part),
		cmocka_unit_test(what_is_no_memory_is_refused),
		cmocka_unit_test(a_named_file_of_a_tmpfs_is_no_memfd),
		cmocka_unit_test(a_descriptors_access_mode_is_kept),
		cmocka_unit_test(what_has_no_descriptor_is_not_exported),
		cmocka_unit_test(a_buffer_that_only_a_device_uses_is_found_again),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
