/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another process works on the memory of real heaps, alone and in turns with a device that may see other
 * bytes than the CPU's cache.
 */
#include <sys/ioctl.h>

#include <linux/dma-heap.h>

#include "fake.h"
#include "importer_device.h"
#include "peer_process.h"
#include "peer_sealed.h"

#define SIZE ((size_t)5 * 4096)

static const char *const sources[] = { "memfd", "udmabuf", "heap:system", "heap:contiguous" };
#define FIRST_HEAP 2 /* the sync of udmabuf (6.1) doesn't reach what devices have copies of */

static struct metal_generic_shm *allocate(const char *name)
{
	struct metal_device *src;
	struct metal_generic_shm *shm;

	if (metal_shm_device_open(name, &src))
		fail_msg("%s: %s", name, metal_shm_last_error());
	shm = metal_shm_allocate(SIZE, src, 0);
	if (!shm)
		fail_msg("%s: %s", name, metal_shm_last_error());
	metal_shm_device_close(src);
	return shm;
}

static struct metal_generic_shm *attach(struct metal_generic_shm *shm, struct metal_device *dev)
{
	struct metal_generic_shm *view = metal_shm_attach(shm, dev);

	if (!view)
		fail_msg("%s: %s", metal_shm_device_name(dev), metal_shm_last_error());
	return view;
}

/* It adds 1 to each byte. */
static void have_worked(struct metal_generic_shm *shm, struct metal_device *worker)
{
	assert_int_equal(metal_shm_sync_for_device(shm, worker, METAL_SHM_DIR_DEV_RW), 0);
	assert_int_equal(metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND), 0);
}

static void bytes_of_each_source_go_to_another_process(void **state)
{
	struct process worker = peer_start("worker");

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_generic_shm *shm = allocate(sources[i]);
		struct metal_generic_shm *view = attach(shm, worker.dev);
		unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

		for (unsigned round = 0; round < 20; round++) {
			memset(bytes, (int)round, SIZE);
			have_worked(shm, worker.dev);
			for (size_t at = 0; at < SIZE; at++)
				assert_int_equal(bytes[at], round + 1);
		}
		metal_shm_detach(view, worker.dev);
		metal_shm_free(shm, NULL);
	}
	peer_stop(&worker);
}

static void parts_go_without_the_bytes_beside_them(void **state)
{
	static const struct {
		size_t offset, size;
	} parts[] = { { 4096, 8192 }, { 77, 4100 }, { SIZE - 1, 1 } };
	struct process worker = peer_start("worker");

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_generic_shm *shm = allocate(sources[i]);
		unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

		for (size_t n = 0; n < SHM_TEST_COUNT(parts); n++) {
			size_t start = parts[n].offset, end = start + parts[n].size;
			struct metal_generic_shm *part =
				metal_shm_sub(shm, start, parts[n].size, METAL_SHM_SUB_NO_COPY);
			struct metal_generic_shm *view = attach(part, worker.dev);

			memset(bytes, 7, SIZE);
			have_worked(part, worker.dev);
			for (size_t at = 0; at < SIZE; at++)
				assert_int_equal(bytes[at], at >= start && at < end ? 8 : 7);
			metal_shm_detach(view, worker.dev);
			metal_shm_free(part, NULL);
		}
		metal_shm_free(shm, NULL);
	}
	peer_stop(&worker);
}

/* All slots of one buffer are over there at once, and come back in another order. */
static void slots_of_one_buffer_come_and_go_by_themselves(void **state)
{
	static const size_t order[] = { 3, 0, 4, 1, 2 };
	struct process worker = peer_start("worker");

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_generic_shm *shm = allocate(sources[i]), *slot[5], *view[5];
		unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

		memset(bytes, 0, SIZE);
		for (size_t n = 0; n < 5; n++) {
			slot[n] = metal_shm_sub(shm, n * 4096, 4096, METAL_SHM_SUB_NO_COPY);
			view[n] = attach(slot[n], worker.dev);
		}
		for (unsigned round = 0; round < 10; round++) {
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(metal_shm_sync_for_device(slot[n], worker.dev,
									   METAL_SHM_DIR_DEV_RW),
						 0);
			for (size_t n = 0; n < 5; n++) {
				size_t at = order[n] * 4096;

				assert_int_equal(
					metal_shm_sync_for_cpu_timeout(
						slot[order[n]], METAL_SHM_DIR_DEV_RW, 20 * SECOND),
					0);
				/* the program's own, beside what is over there */
				for (size_t byte = at; byte < at + 4096; byte++)
					assert_int_equal(bytes[byte]++, 2 * round + 1);
			}
		}
		for (size_t n = 0; n < 5; n++) {
			metal_shm_detach(view[n], worker.dev);
			metal_shm_free(slot[n], NULL);
		}
		metal_shm_free(shm, NULL);
	}
	peer_stop(&worker);
}

/* The device writes, the process adds 1, the device reads; and the program's own bytes in between. */
static void a_device_and_a_process_work_in_turns(void **state)
{
	static unsigned char expected[SIZE], seen[SIZE];
	struct process worker = peer_start("worker");
	struct importer_device device;

	(void)state;
	importer_device_open(&device, "importer");
	for (size_t i = FIRST_HEAP; i < SHM_TEST_COUNT(sources); i++) {
		struct metal_generic_shm *shm = allocate(sources[i]);
		struct metal_generic_shm *views[] = { attach(shm, device.dev),
						      attach(shm, worker.dev) };
		unsigned char *bytes = metal_shm_map(shm, METAL_SHM_READ | METAL_SHM_WRITE);

		for (unsigned round = 1; round < 5; round++) {
			memset(expected, (int)round * 10, SIZE);
			assert_int_equal(
				metal_shm_sync_for_device(shm, device.dev, METAL_SHM_DIR_DEV_RW),
				0);
			importer_device_write(&device, shm, 0, expected, SIZE);
			have_worked(shm, worker.dev);
			bytes[5] = 0xee;
			have_worked(shm, worker.dev);
			memset(expected, (int)round * 10 + 2, SIZE);
			expected[5] = 0xef;
			assert_int_equal(
				metal_shm_sync_for_device(shm, device.dev, METAL_SHM_DIR_DEV_R), 0);
			importer_device_read(&device, shm, 0, seen, SIZE);
			assert_memory_equal(seen, expected, SIZE);
		}
		metal_shm_detach(views[0], device.dev);
		metal_shm_detach(views[1], worker.dev);
		metal_shm_free(shm, NULL);
	}
	importer_device_close(&device);
	peer_stop(&worker);
}

static void memory_of_a_process_that_was_killed_is_the_programs(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(sources); i++) {
		struct process worker = peer_start("worker");
		struct metal_generic_shm *shm = allocate(sources[i]);
		struct metal_generic_shm *view = attach(shm, worker.dev);

		peer_tell(&worker, "keep");
		assert_int_equal(metal_shm_sync_for_device(shm, worker.dev, METAL_SHM_DIR_DEV_RW),
				 0);
		peer_kill(&worker);
		assert_int_equal(
			metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 20 * SECOND),
			-ENODEV);
		memset(metal_shm_map(shm, METAL_SHM_WRITE), 1, SIZE);
		metal_shm_detach(view, worker.dev);
		metal_shm_free(shm, NULL);
		metal_shm_device_close(worker.dev);
	}
}

/* What the kernel that boards have makes of seals, and of a heap's descriptor. */
static void memory_that_is_to_be_read_is_only_read(void **state)
{
	struct dma_heap_allocation_data request = { .len = SEALED_SIZE,
						    .fd_flags = O_RDONLY | O_CLOEXEC };
	struct process reader = peer_start("reader");
	int heap = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC);
	struct metal_generic_shm *shm;

	(void)state;
	peer_reads_fd(&reader, reading_only(sealed_memfd(F_SEAL_SHRINK)));
	peer_reads_fd(&reader, sealed_memfd(F_SEAL_SHRINK | F_SEAL_WRITE));
	peer_reads_fd(&reader, sealed_memfd(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
	peer_reads_what_is_written(&reader);
	assert_int_equal(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request), 0);
	shm = metal_shm_import((int)request.fd, 0, 0);
	assert_non_null(shm);
	peer_reads(&reader, shm, 0);
	metal_shm_free(shm, NULL);
	close((int)request.fd);
	close(heap);
	peer_stop(&reader);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_each_source_go_to_another_process),
		cmocka_unit_test(parts_go_without_the_bytes_beside_them),
		cmocka_unit_test(slots_of_one_buffer_come_and_go_by_themselves),
		cmocka_unit_test(a_device_and_a_process_work_in_turns),
		cmocka_unit_test(memory_that_is_to_be_read_is_only_read),
		cmocka_unit_test(memory_of_a_process_that_was_killed_is_the_programs),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
