/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's memory sources: what each promises is true, what it can't promise it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/magic.h>

#include <shm/linux.h>
#include <shm/shm.h>

#include "shm_test.h"

#define KIB        ((size_t)1024)
#define MIB        (1024 * KIB)
#define READ_WRITE (METAL_SHM_READ | METAL_SHM_WRITE)
#define HEAPS      "/dev/dma_heap/"
#define NOBODY     65534
#define VIDEO      44

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

static void refuse_open(const char *name, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_device_open(name, &dev), -error);
	assert_null(dev);
	assert_reason(word);
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

static unsigned char *map(struct metal_generic_shm *shm)
{
	unsigned char *bytes = metal_shm_map(shm, READ_WRITE);

	if (!bytes)
		fail_msg("map: %s", metal_shm_last_error());
	assert_int_equal(metal_shm_sync_for_cpu(shm, METAL_SHM_DIR_DEV_RW), 0);
	return bytes;
}

static bool all_are(const unsigned char *bytes, size_t size, unsigned char value)
{
	return bytes[0] == value && !memcmp(bytes, bytes + 1, size - 1);
}

static void each_name_of_the_cma_heap_opens_it(void **state)
{
	static const char *const names[] = { "heap:contiguous", "heap:reserved", "heap:linux,cma",
					     "heap:default_cma_region", "heap:default-pool" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		struct metal_shm_properties p = { .struct_size = sizeof(p) };
		struct metal_device *dev = open_device(names[i]);

		assert_string_equal(metal_shm_device_name(dev), names[i]);
		assert_int_equal(metal_shm_device_properties(dev, &p), 0);
		assert_int_equal(p.contiguous, METAL_SHM_YES);
		metal_shm_device_close(dev);
	}
}

static void unknown_heap_is_answered_with_those_there_are(void **state)
{
	(void)state;
	refuse_open("heap:nonesuch", ENOENT, "which has system, reserved");
}

/* Dirtied pages go back to the same allocator, and mostly come out of it again. */
static void memory_is_zeroed_after_another_use_of_its_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);

		for (int round = 0; round < 3; round++) {
			struct metal_generic_shm *shm = allocate(4 * MIB, dev, METAL_SHM_ZEROED);
			unsigned char *bytes = map(shm);

			assert_true(all_are(bytes, 4 * MIB, 0));
			memset(bytes, 0xa5, 4 * MIB);
			metal_shm_free(shm, dev);
		}
		metal_shm_device_close(dev);
	}
}

static uint64_t frame_number(int pagemap, const void *address)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t entry;

	assert_int_equal(pread(pagemap, &entry, sizeof(entry),
			       (off_t)((uintptr_t)address / (uintptr_t)page * sizeof(entry))),
			 sizeof(entry));
	assert_true(entry >> 63);
	return entry & ((UINT64_C(1) << 55) - 1);
}

static void contiguous_memory_is_one_run_of_pages(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 4 * MIB;
	struct metal_device *dev = open_device("heap:contiguous");
	struct metal_generic_shm *shm = allocate(size, dev, METAL_SHM_CONTIGUOUS);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned char *bytes = map(shm);
	uint64_t first;

	(void)state;
	memset(bytes, 1, size);
	first = frame_number(pagemap, bytes);
	assert_true(first);
	for (size_t i = 0; i < size / page; i++)
		assert_int_equal(frame_number(pagemap, bytes + i * page), first + i);
	close(pagemap);
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void exported_descriptor_is_a_dmabuf(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);
		struct metal_generic_shm *shm = allocate(10000, dev, METAL_SHM_DMABUF);
		struct dma_buf_sync start = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
		struct statfs fs;
		int fd = metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF);

		assert_true(fd >= 0);
		assert_int_equal(fstatfs(fd, &fs), 0);
		assert_int_equal(fs.f_type, DMA_BUF_MAGIC);
		assert_int_equal(ioctl(fd, DMA_BUF_IOCTL_SYNC, &start), 0);
		assert_int_equal(lseek(fd, 0, SEEK_END), 12 * KIB);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
		metal_shm_free(shm, dev);
		metal_shm_device_close(dev);
	}
}

static void every_descriptor_of_a_source_is_close_on_exec(void **state)
{
	struct metal_generic_shm *shm[DMABUF_SOURCES];
	struct metal_device *dev[DMABUF_SOURCES];
	bool before[256];

	(void)state;
	for (int fd = 0; fd < 256; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		dev[i] = open_device(dmabuf_sources[i]);
		shm[i] = allocate(4096, dev[i], 0);
	}
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !before[fd])
			assert_true(flags & FD_CLOEXEC);
	}
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		metal_shm_free(shm[i], dev[i]);
		metal_shm_device_close(dev[i]);
	}
}

static void exported_descriptor_shows_the_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);
		struct metal_generic_shm *shm = allocate(64 * KIB, dev, 0);
		int fd = metal_shm_export(shm, 0);
		unsigned char *bytes = map(shm);
		unsigned char *other;

		for (size_t at = 0; at < 64 * KIB; at++)
			bytes[at] = (unsigned char)(at * 7 + i);
		other = mmap(NULL, 64 * KIB, PROT_READ, MAP_SHARED, fd, 0);
		assert_true(other != MAP_FAILED);
		assert_memory_equal(bytes, other, 64 * KIB);
		munmap(other, 64 * KIB);
		close(fd);
		metal_shm_free(shm, dev);
		metal_shm_device_close(dev);
	}
}

static void imported_export_is_the_same_buffer(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);
		struct metal_generic_shm *shm = allocate(64 * KIB, dev, 0);
		int fd = metal_shm_export(shm, 0);

		assert_ptr_equal(metal_shm_import(fd, 0, 0), shm);
		close(fd);
		metal_shm_free(shm, NULL);
		metal_shm_free(shm, dev);
		metal_shm_device_close(dev);
	}
}

static void property_that_is_not_promised_is_refused(void **state)
{
	(void)state;
	refuse_allocation("heap:system", 4096, METAL_SHM_CONTIGUOUS, ENOTSUP, "CONTIGUOUS");
	refuse_allocation("heap:system", 4096, METAL_SHM_NOTCACHED, ENOTSUP, "NOTCACHED");
	refuse_allocation("heap:reserved", 4096, METAL_SHM_SECURE, ENOTSUP, "SECURE");
	refuse_allocation("udmabuf", 4096, METAL_SHM_CONTIGUOUS, ENOTSUP, "CONTIGUOUS");
	refuse_allocation("udmabuf", 4096, METAL_SHM_SECURE, ENOTSUP, "SECURE");
}

/* As somebody without privileges, with the node as given. */
static void refuse_nobody(const char *name, const char *node, gid_t group, mode_t mode,
			  const char *word)
{
	struct metal_device *dev = NULL;
	struct stat before;
	int error;

	assert_int_equal(stat(node, &before), 0);
	assert_int_equal(chown(node, 0, group), 0);
	assert_int_equal(chmod(node, mode), 0);
	assert_int_equal(setegid(NOBODY), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	error = metal_shm_device_open(name, &dev);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(chown(node, before.st_uid, before.st_gid), 0);
	assert_int_equal(chmod(node, before.st_mode & 07777), 0);
	assert_int_equal(error, -EACCES);
	assert_null(dev);
	assert_reason(node);
	assert_reason(word);
}

static void node_of_a_group_asks_to_join_it(void **state)
{
	(void)state;
	refuse_nobody("heap:system", HEAPS "system", VIDEO, 0660,
		      "mode 0660: join the group video");
	refuse_nobody("heap:contiguous", HEAPS "reserved", VIDEO, 0660, "group video");
	refuse_nobody("udmabuf", "/dev/udmabuf", VIDEO, 0660, "join the group video");
	refuse_nobody("udmabuf", "/dev/udmabuf", 4242, 0660, "join the group 4242");
}

static void node_of_root_alone_asks_for_a_rule(void **state)
{
	(void)state;
	refuse_nobody("heap:system", HEAPS "system", 0, 0600,
		      "SUBSYSTEM==\"dma_heap\", KERNEL==\"system\"");
	refuse_nobody("heap:system", HEAPS "system", 0, 0660, "udev rule");
	refuse_nobody("heap:system", HEAPS "system", VIDEO, 0640, "udev rule");
	refuse_nobody("udmabuf", "/dev/udmabuf", 0, 0600,
		      "SUBSYSTEM==\"misc\", KERNEL==\"udmabuf\"");
}

static void node_that_is_no_device_is_refused(void **state)
{
	int fd = open(HEAPS "shm-test", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	refuse_open("heap:shm-test", EINVAL, "is not a device");
	assert_int_equal(unlink(HEAPS "shm-test"), 0);
}

static void configure(const char *text)
{
	FILE *file = fopen("/tmp/heaps.conf", "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(setenv("LIBSHM_HEAPS_CONF", "/tmp/heaps.conf", 1), 0);
}

static int forget_configuration(void **state)
{
	(void)state;
	unlink("/tmp/heaps.conf");
	return unsetenv("LIBSHM_HEAPS_CONF");
}

static void configured_property_is_promised(void **state)
{
	struct metal_shm_properties p = { .struct_size = sizeof(p) };
	struct metal_device *dev;

	(void)state;
	configure("[heap:system]\ncached = no\ncoherent = yes\n");
	dev = open_device("heap:system");
	assert_int_equal(metal_shm_device_properties(dev, &p), 0);
	assert_int_equal(p.cached, METAL_SHM_NO);
	assert_int_equal(p.coherent, METAL_SHM_YES);
	assert_int_equal(p.zeroed, METAL_SHM_YES);
	metal_shm_device_close(dev);
	refuse_allocation("heap:system", 4096, METAL_SHM_CACHED, ENOTSUP, "METAL_SHM_CACHED");
}

static void heap_configured_as_secure_is_not_mapped(void **state)
{
	struct metal_device *dev;
	struct metal_generic_shm *shm;

	(void)state;
	configure("[heap:reserved]\nsecure = yes\n");
	dev = open_device("heap:contiguous");
	shm = allocate(4096, dev, METAL_SHM_SECURE);
	assert_null(metal_shm_map(shm, METAL_SHM_READ));
	assert_int_equal(errno, EACCES);
	assert_reason("secure");
	metal_shm_free(shm, dev);
	metal_shm_device_close(dev);
}

static void mistake_in_the_configuration_refuses_the_heap(void **state)
{
	(void)state;
	configure("[heap:reserved]\nsecure = perhaps\n");
	refuse_open("heap:system", EINVAL, "/tmp/heaps.conf:2");
}

/* Only the kernel stands between a reader's descriptor and a writer's mapping. */
static void descriptor_for_reading_maps_for_reading_only(void **state)
{
	struct dma_heap_allocation_data data = { .len = 4096, .fd_flags = O_RDONLY | O_CLOEXEC };
	int heap = open(HEAPS "system", O_RDONLY | O_CLOEXEC);
	struct metal_generic_shm *shm;

	(void)state;
	assert_int_equal(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data), 0);
	shm = metal_shm_import((int)data.fd, 0, 0);
	assert_non_null(shm);
	assert_null(metal_shm_map(shm, READ_WRITE));
	assert_int_equal(errno, EACCES);
	assert_non_null(metal_shm_map(shm, METAL_SHM_READ));
	metal_shm_free(shm, NULL);
	close((int)data.fd);
	close(heap);
}

static void buffer_outlives_its_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < DMABUF_SOURCES; i++) {
		struct metal_device *dev = open_device(dmabuf_sources[i]);
		struct metal_generic_shm *shm = allocate(64 * KIB, dev, 0);

		metal_shm_device_close(dev);
		memset(map(shm), 0x5a, 64 * KIB);
		metal_shm_free(shm, NULL);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_name_of_the_cma_heap_opens_it),
		cmocka_unit_test(unknown_heap_is_answered_with_those_there_are),
		cmocka_unit_test(memory_is_zeroed_after_another_use_of_its_pages),
		cmocka_unit_test(contiguous_memory_is_one_run_of_pages),
		cmocka_unit_test(exported_descriptor_is_a_dmabuf),
		cmocka_unit_test(every_descriptor_of_a_source_is_close_on_exec),
		cmocka_unit_test(exported_descriptor_shows_the_same_bytes),
		cmocka_unit_test(imported_export_is_the_same_buffer),
		cmocka_unit_test(property_that_is_not_promised_is_refused),
		cmocka_unit_test(node_of_a_group_asks_to_join_it),
		cmocka_unit_test(node_of_root_alone_asks_for_a_rule),
		cmocka_unit_test(node_that_is_no_device_is_refused),
		cmocka_unit_test_teardown(configured_property_is_promised, forget_configuration),
		cmocka_unit_test_teardown(heap_configured_as_secure_is_not_mapped,
					  forget_configuration),
		cmocka_unit_test_teardown(mistake_in_the_configuration_refuses_the_heap,
					  forget_configuration),
		cmocka_unit_test(descriptor_for_reading_maps_for_reading_only),
		cmocka_unit_test(buffer_outlives_its_device),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
