/* SPDX-License-Identifier: BSD-3-Clause */
/* A device behind an IOMMU reaches what is attached to it, every byte of it, and nothing else. */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include <shm/device.h>
#include <shm/linux.h>

#include "fake.h"
#include "vfio_memory.h"

#define KIB  ((size_t)1024)
#define SIZE (64 * KIB)

static const char *const kinds[] = { "memfd", "udmabuf", "anon", "wrap" };

static int begin(void **state)
{
	(void)state;
	edu_bind(EDU, "vfio-pci");
	edu_bind(EDU_OTHER, "vfio-pci");
	return 0;
}

/* Out of one place of a buffer through the device into another; all the other bytes stay. */
static void move(const struct edu *edu, struct metal_generic_shm *shm, size_t from, size_t to,
		 size_t size)
{
	struct metal_generic_shm *view = attached(shm, edu);
	unsigned char *bytes = bytes_of(shm), *expected = malloc(metal_shm_size(shm));
	uint64_t address = address_of(view);

	assert_non_null(expected);
	fill(bytes, metal_shm_size(shm), (unsigned)(from + to));
	memcpy(expected, bytes, metal_shm_size(shm));
	memmove(expected + to, bytes + from, size);
	give(shm, edu, METAL_SHM_DIR_DEV_RW);
	edu_load(edu, address + from, size);
	edu_store(edu, address + to, size);
	take(shm, METAL_SHM_DIR_DEV_RW);
	assert_memory_equal(bytes, expected, metal_shm_size(shm));
	free(expected);
	metal_shm_detach(view, edu->dev);
}

static void each_memory_goes_through_the_device_both_ways(void **state)
{
	struct edu edu = edu_open(EDU);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(kinds); i++) {
		struct metal_generic_shm *shm = memory_of(kinds[i], SIZE);

		move(&edu, shm, 0, SIZE - EDU_MOST, EDU_MOST);
		move(&edu, shm, 3 * 4 * KIB - 1000, 777, 1999); /* across a page's end */
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
}

static void view_is_one_run_of_addresses_that_the_device_reaches(void **state)
{
	struct edu edu = edu_open(EDU);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(kinds); i++) {
		struct metal_generic_shm *shm = memory_of(kinds[i], SIZE - 5);
		struct metal_generic_shm *view = attached(shm, &edu);
		const struct metal_shm_segment *segments;
		size_t n;

		assert_int_equal(metal_shm_segments(view, &segments, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(segments[0].length, SIZE - 5);
		assert_in_range(segments[0].device_address, 4096, (1u << 28) - SIZE);
		assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
		metal_shm_detach(view, edu.dev);
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
}

/* Odd offset and length; by a handle of its own, while the program has the rest. */
static void part_is_reached_in_place(void **state)
{
	struct metal_generic_shm *shm = memory_of("memfd", SIZE), *part, *view;
	unsigned char *bytes = bytes_of(shm), expected[SIZE];
	struct edu edu = edu_open(EDU);

	(void)state;
	fill(bytes, SIZE, 1);
	memcpy(expected, bytes, SIZE);
	part = metal_shm_sub(shm, 5001, 1500, METAL_SHM_SUB_NO_COPY);
	view = attached(part, &edu);
	assert_int_equal(metal_shm_view_mode(view), METAL_SHM_VIEW_IN_PLACE);
	give(part, &edu, METAL_SHM_DIR_DEV_RW);
	edu_load(&edu, address_of(view) + 500, 1000);
	edu_store(&edu, address_of(view), 1000);
	take(part, METAL_SHM_DIR_DEV_RW);
	memmove(expected + 5001, expected + 5501, 1000);
	assert_memory_equal(bytes, expected, SIZE);
	metal_shm_detach(view, edu.dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
}

/*
 * What the device tries at an address that it may not reach is in the kernel's log, and nowhere else. The
 * kernel prints of three such faults in five seconds.
 */
static void refuse_store(const struct edu *edu, uint64_t address)
{
	int log = log_from_here();
	char where[64];

	snprintf(where, sizeof(where), "fault addr 0x%llx", (unsigned long long)address & ~4095ull);
	edu_store(edu, address, 512);
	assert_true(log_says(log, "DMAR: [DMA Write", where));
}

static void address_that_is_not_attached_is_blocked(void **state)
{
	struct metal_generic_shm *shm = memory_of("memfd", SIZE), *view;
	unsigned char *bytes = bytes_of(shm), expected[SIZE];
	struct edu edu = edu_open(EDU);

	(void)state;
	fill(bytes, SIZE, 2);
	memcpy(expected, bytes, SIZE);
	view = attached(shm, &edu);
	give(shm, &edu, METAL_SHM_DIR_DEV_RW);
	refuse_store(&edu, address_of(view) + SIZE); /* just behind it */
	take(shm, METAL_SHM_DIR_DEV_RW);
	assert_memory_equal(bytes, expected, SIZE);
	metal_shm_detach(view, edu.dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
}

/* Nor does the next buffer get the address that the device may still have. */
static void detached_memory_is_out_of_reach(void **state)
{
	struct edu edu = edu_open(EDU);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(kinds); i++) {
		struct metal_generic_shm *shm = memory_of(kinds[i], SIZE), *view, *next;
		unsigned char *bytes = bytes_of(shm), expected[SIZE];
		uint64_t before;

		fill(bytes, SIZE, 3);
		memcpy(expected, bytes, SIZE);
		view = attached(shm, &edu);
		before = address_of(view);
		metal_shm_detach(view, edu.dev);
		next = attached(shm, &edu);
		assert_int_not_equal(address_of(next), before);
		edu_store(&edu, before + 100, 512);
		assert_memory_equal(bytes, expected, SIZE);
		metal_shm_detach(next, edu.dev);
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
}

/* A descriptor for reading only, of memory that this process has no other buffer of. */
static struct metal_generic_shm *read_only_memory(const unsigned char *bytes, size_t size)
{
	int fd = memfd_create("vfio", MFD_CLOEXEC | MFD_ALLOW_SEALING), reader;
	struct metal_generic_shm *shm;
	char path[64];

	assert_int_equal(write(fd, bytes, size), size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	shm = metal_shm_import(reader, 0, 0);
	close(reader);
	if (!shm)
		fail_msg("import: %s", metal_shm_last_error());
	return shm;
}

static void what_is_read_only_is_mapped_for_reading_only(void **state)
{
	struct metal_generic_shm *shm, *view;
	struct edu edu = edu_open(EDU);
	unsigned char expected[SIZE];

	(void)state;
	fill(expected, SIZE, 4);
	shm = read_only_memory(expected, SIZE);
	view = attached(shm, &edu);
	assert_int_equal(metal_shm_sync_for_device(shm, edu.dev, METAL_SHM_DIR_DEV_W), -EACCES);
	give(shm, &edu, METAL_SHM_DIR_DEV_R);
	edu_load(&edu, address_of(view), 1024);
	refuse_store(&edu, address_of(view) + 4096);
	take(shm, METAL_SHM_DIR_DEV_R);
	assert_memory_equal(metal_shm_map(shm, METAL_SHM_READ), expected, SIZE);
	metal_shm_detach(view, edu.dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
}

static void two_devices_work_on_one_buffer_in_turns(void **state)
{
	struct metal_generic_shm *shm = memory_of("anon", SIZE), *one_view, *two_view;
	struct edu one = edu_open(EDU), two = edu_open(EDU_OTHER);
	unsigned char *bytes = bytes_of(shm), expected[SIZE];

	(void)state;
	fill(bytes, SIZE, 5);
	memcpy(expected, bytes, SIZE);
	memmove(expected + 8192, expected, 1024);
	memmove(expected + 16384, expected + 8192, 1024);
	one_view = attached(shm, &one);
	two_view = attached(shm, &two);
	give(shm, &one, METAL_SHM_DIR_DEV_RW);
	edu_load(&one, address_of(one_view), 1024);
	edu_store(&one, address_of(one_view) + 8192, 1024);
	give(shm, &two, METAL_SHM_DIR_DEV_RW);
	edu_load(&two, address_of(two_view) + 8192, 1024);
	edu_store(&two, address_of(two_view) + 16384, 1024);
	take(shm, METAL_SHM_DIR_DEV_RW);
	assert_memory_equal(bytes, expected, SIZE);
	metal_shm_detach(one_view, one.dev);
	metal_shm_detach(two_view, two.dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(one.dev);
	metal_shm_device_close(two.dev);
}

static void nothing_stays_locked_after_detach(void **state)
{
	unsigned long before = locked_kib();
	struct edu edu = edu_open(EDU);

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(kinds); i++) {
		struct metal_generic_shm *shm = memory_of(kinds[i], SIZE);
		struct metal_generic_shm *view = attached(shm, &edu);

		assert_true(locked_kib() >= before + SIZE / KIB);
		metal_shm_detach(view, edu.dev);
		assert_int_equal(locked_kib(), before);
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
}

static void view_outlives_its_closed_device(void **state)
{
	struct metal_generic_shm *shm = memory_of("anon", SIZE), *view;
	struct edu edu = edu_open(EDU);
	volatile uint32_t *id = (volatile uint32_t *)edu.registers;

	(void)state;
	view = attached(shm, &edu);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
	assert_int_equal(*id & 0xffff, 0x00ed);
	metal_shm_detach(view, edu.dev);
	edu = edu_open(EDU);
	metal_shm_device_close(edu.dev);
}

static void device_is_opened_twice(void **state)
{
	struct metal_generic_shm *shm = memory_of("memfd", SIZE);
	struct edu one = edu_open(EDU), two = edu_open(EDU);

	(void)state;
	metal_shm_device_close(one.dev);
	move(&two, shm, 100, 9000, 2000);
	metal_shm_device_close(two.dev);
	metal_shm_free(shm, NULL);
}

struct finishing {
	struct edu edu;
	struct metal_generic_shm *shm;
	unsigned called;
};

static void finished(struct metal_device *dev, unsigned vector, uint64_t times, void *user)
{
	struct finishing *finishing = user;

	assert_int_equal(vector, 0);
	assert_int_equal(times, 1);
	edu_acknowledge(&finishing->edu);
	finishing->called++;
	assert_int_equal(metal_shm_unhold(finishing->shm, dev, 0), 0);
}

/* The program holds the bytes for the device; its interrupt ends that, and whoever waited goes on. */
static void interrupt_ends_the_work(void **state)
{
	static const unsigned interrupts[] = { METAL_SHM_VFIO_MSI, METAL_SHM_VFIO_INTX };
	struct finishing finishing = { .edu = edu_open(EDU) };
	struct metal_generic_shm *shm = memory_of("anon", SIZE), *view;
	unsigned char *bytes = bytes_of(shm);
	struct edu *edu = &finishing.edu;

	(void)state;
	finishing.shm = shm;
	view = attached(shm, edu);
	for (size_t i = 0; i < SHM_TEST_COUNT(interrupts); i++) {
		if (metal_shm_vfio_interrupts(edu->dev, interrupts[i], 1, finished, &finishing))
			fail_msg("interrupts: %s", metal_shm_last_error());
		for (unsigned round = 0; round < 2; round++) {
			fill(bytes, SIZE, round);
			assert_int_equal(metal_shm_hold(shm, edu->dev, METAL_SHM_DIR_DEV_R,
							METAL_SHM_FOREVER),
					 0);
			edu_start(edu, address_of(view), EDU_OWN, EDU_MOST, EDU_INTERRUPT);
			assert_int_equal(
				metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 0),
				-ETIMEDOUT);
			take(shm, METAL_SHM_DIR_DEV_RW);
			assert_false(edu_get(edu, EDU_COMMAND) & EDU_START);
			assert_int_equal(finishing.called, i * 2 + round + 1);
		}
	}
	assert_int_equal(metal_shm_vfio_interrupts(edu->dev, METAL_SHM_VFIO_INTX, 0, NULL, NULL),
			 0);
	edu_start(edu, address_of(view), EDU_OWN, 16, EDU_INTERRUPT);
	edu_wait(edu);
	assert_int_equal(metal_shm_device_dispatch(edu->dev), 0);
	assert_int_equal(finishing.called, 4);
	edu_acknowledge(edu);
	metal_shm_detach(view, edu->dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu->dev);
}

struct worker {
	const char *pci, *kind;
	unsigned rounds;
};

static void *work(void *user)
{
	const struct worker *worker = user;
	struct edu edu = edu_open(worker->pci);

	for (unsigned i = 0; i < worker->rounds; i++) {
		struct metal_generic_shm *shm = memory_of(worker->kind, SIZE);

		move(&edu, shm, i * 1000, SIZE - EDU_MOST - i, EDU_MOST);
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
	return NULL;
}

/* Attaches and detaches, so that mappings of one container come and go all the time. */
static void *churn(void *user)
{
	const struct worker *worker = user;
	struct edu edu = edu_open(worker->pci);

	for (unsigned i = 0; i < worker->rounds; i++) {
		struct metal_generic_shm *shm = memory_of(worker->kind, (i % 5 + 1) * 10000);
		struct metal_generic_shm *view = attached(shm, &edu);

		assert_true(address_of(view) < 1u << 28);
		metal_shm_free(shm, NULL);
		metal_shm_detach(view, edu.dev);
	}
	metal_shm_device_close(edu.dev);
	return NULL;
}

static void threads_share_devices_and_container(void **state)
{
	struct worker workers[] = { { EDU, "memfd", 3 },
				    { EDU_OTHER, "anon", 3 },
				    { EDU, "udmabuf", 50 },
				    { EDU_OTHER, "wrap", 50 } };
	pthread_t threads[SHM_TEST_COUNT(workers)];
	unsigned long before = locked_kib();

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(workers); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, i < 2 ? work : churn, &workers[i]), 0);
	for (size_t i = 0; i < SHM_TEST_COUNT(workers); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(locked_kib(), before);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_memory_goes_through_the_device_both_ways, begin),
		cmocka_unit_test_setup(view_is_one_run_of_addresses_that_the_device_reaches, begin),
		cmocka_unit_test_setup(part_is_reached_in_place, begin),
		cmocka_unit_test_setup(address_that_is_not_attached_is_blocked, begin),
		cmocka_unit_test_setup(what_is_read_only_is_mapped_for_reading_only, begin),
		cmocka_unit_test_setup(detached_memory_is_out_of_reach, begin),
		cmocka_unit_test_setup(two_devices_work_on_one_buffer_in_turns, begin),
		cmocka_unit_test_setup(nothing_stays_locked_after_detach, begin),
		cmocka_unit_test_setup(view_outlives_its_closed_device, begin),
		cmocka_unit_test_setup(device_is_opened_twice, begin),
		cmocka_unit_test_setup(interrupt_ends_the_work, begin),
		cmocka_unit_test_setup(threads_share_devices_and_container, begin),
	};

	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
