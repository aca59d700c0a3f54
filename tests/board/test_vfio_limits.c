/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device behind an IOMMU can't have is refused with the reason, and nothing is left of it. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <shm/linux.h>

#include "again.h"
#include "vfio_memory.h"

#define KIB    ((size_t)1024)
#define MIB    (1024 * KIB)
#define SIZE   (64 * KIB)
#define LIMIT  "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define NOBODY 65534
#define KILLS  8

static int begin(void **state)
{
	(void)state;
	edu_bind(EDU, "vfio-pci");
	edu_bind(EDU_OTHER, "vfio-pci");
	return 0;
}

static void refuse_open(const char *name, int error, const char *word)
{
	struct metal_device *dev = NULL;

	assert_int_equal(metal_shm_device_open(name, &dev), -error);
	assert_null(dev);
	assert_reason(word);
}

static void refuse_attach(struct metal_generic_shm *shm, const struct edu *edu, int error,
			  const char *word)
{
	errno = 0;
	assert_null(metal_shm_attach(shm, edu->dev));
	assert_int_equal(errno, error);
	assert_reason(word);
}

static void name_that_is_none_is_refused(void **state)
{
	(void)state;
	refuse_open("vfio", EINVAL, "as in vfio:0000:00:03.0,address_bits=32");
	refuse_open("vfio:00:03.0,address_bits=28", EINVAL, "not a PCI address");
	refuse_open("vfio:0000:00:03.0", EINVAL, "how many bits");
	refuse_open("vfio:0000:00:03.0,address_bits=65", EINVAL, "not 16 to 64");
	refuse_open("vfio:0000:00:13.7,address_bits=28", ENOENT, "no PCI device 0000:00:13.7");
}

static void device_of_another_driver_is_refused(void **state)
{
	(void)state;
	edu_bind(EDU, "");
	refuse_open("vfio:" EDU ",address_bits=28", ENODEV, "echo vfio-pci > ");
	edu_bind(EDU, "uio_pci_generic");
	refuse_open("vfio:" EDU ",address_bits=28", EBUSY, "the driver uio_pci_generic");
	edu_bind(EDU, "vfio-pci");
}

/* Two devices behind one bridge can't be told apart by the IOMMU. */
static void device_whose_neighbour_has_a_driver_is_refused(void **state)
{
	struct metal_device *one, *two;

	(void)state;
	edu_bind(EDU_PAIR_1, "vfio-pci");
	edu_bind(EDU_PAIR_2, "uio_pci_generic");
	refuse_open("vfio:" EDU_PAIR_1 ",address_bits=28", EBUSY,
		    EDU_PAIR_2 ", which the driver uio_pci_generic has");
	edu_bind(EDU_PAIR_2, "vfio-pci");
	one = edu_device(EDU_PAIR_1);
	two = edu_device(EDU_PAIR_2);
	metal_shm_device_close(one);
	metal_shm_device_close(two);
}

static void who_has_no_rights_learns_what_helps(void **state)
{
	struct metal_device *dev = NULL;
	int error;

	(void)state;
	assert_int_equal(seteuid(NOBODY), 0);
	error = metal_shm_device_open("vfio:" EDU ",address_bits=28", &dev);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(error, -EACCES);
	assert_reason("SUBSYSTEM==\"vfio\"");
}

static void group_that_another_process_has_is_refused(void **state)
{
	char path[64], link[256] = "";
	int group;

	(void)state;
	assert_true(readlink("/sys/bus/pci/devices/" EDU "/iommu_group", link, sizeof(link) - 1) >
		    0);
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	assert_true(group >= 0);
	refuse_open("vfio:" EDU ",address_bits=28", EBUSY, "a group has one user");
	close(group);
}

/* Asking the kernel would fail without a word for the one, and never end for the other. */
static void memory_that_cant_be_pinned_is_refused(void **state)
{
	struct edu edu = edu_open(EDU);
	static const char *const heaps[] = { "system", "reserved" };

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(heaps); i++) {
		struct metal_generic_shm *shm, *wrapped;
		unsigned char *bytes;
		char name[32];

		snprintf(name, sizeof(name), "heap:%s", heaps[i]);
		shm = memory_of(name, SIZE);
		snprintf(name, sizeof(name), "'%s' exports", heaps[i]);
		refuse_attach(shm, &edu, ENOTSUP, name);
		bytes = bytes_of(shm);
		wrapped = metal_shm_wrap(bytes, SIZE, NULL, NULL);
		refuse_attach(wrapped, &edu, ENOTSUP, "/dmabuf");
		metal_shm_free(wrapped, NULL);
		metal_shm_free(shm, NULL);
	}
	metal_shm_device_close(edu.dev);
}

/*
 * Pages that were a CMA heap's are the next that are given. What is attached may not stay in that area, and
 * the kernel moves it, but for a udmabuf's pages.
 */
static void memory_in_a_cma_area_is_moved_or_refused(void **state)
{
	static const char *const kinds[] = { "memfd", "anon", "udmabuf" };
	struct edu edu = edu_open(EDU);
	unsigned refused = 0;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(kinds); i++) {
		struct metal_generic_shm *shm = memory_of("heap:reserved", 4 * MIB), *view;
		unsigned char *bytes, expected[SIZE];

		metal_shm_free(shm, NULL);
		shm = memory_of(kinds[i], SIZE);
		bytes = bytes_of(shm);
		fill(bytes, SIZE, 9);
		memcpy(expected, bytes, SIZE);
		view = metal_shm_attach(shm, edu.dev);
		if (!view && i == 2) {
			assert_int_equal(errno, ENOMEM);
			assert_reason("or a udmabuf keeps their pages in a CMA area");
			refused++;
		} else if (!view) {
			fail_msg("%s: %s", kinds[i], metal_shm_last_error());
		} else {
			give(shm, &edu, METAL_SHM_DIR_DEV_R);
			edu_load(&edu, address_of(view) + 4096, 1024);
			metal_shm_detach(view, edu.dev);
		}
		assert_memory_equal(bytes, expected, SIZE);
		metal_shm_free(shm, NULL);
	}
	shm_test_note("udmabuf %s", refused ? "refused" : "was not in the CMA area");
	metal_shm_device_close(edu.dev);
}

static void memory_is_chosen_for_the_device(void **state)
{
	struct metal_device *heap = NULL, *devs[2];
	struct edu edu = edu_open(EDU);
	struct metal_generic_shm *shm;

	(void)state;
	devs[0] = edu.dev;
	shm = metal_shm_allocate_for(SIZE, devs, 1, 0);
	if (!shm)
		fail_msg("%s", metal_shm_last_error());
	assert_int_equal(metal_shm_export(shm, METAL_SHM_EXPORT_DMABUF), -ENOTSUP);
	assert_reason("memfd");
	metal_shm_free(shm, NULL);
	assert_int_equal(metal_shm_device_open("heap:system", &heap), 0);
	devs[1] = heap;
	errno = 0;
	assert_null(metal_shm_allocate_for(SIZE, devs, 2, 0));
	assert_int_equal(errno, ENOTSUP);
	assert_reason("'system' exports");
	metal_shm_device_close(heap);
	metal_shm_device_close(edu.dev);
}

static void wrapped_range_with_a_hole_is_refused(void **state)
{
	struct edu edu = edu_open(EDU);
	struct metal_generic_shm *shm;
	char *pages = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	shm = metal_shm_wrap(pages, SIZE, NULL, NULL);
	assert_int_equal(mprotect(pages + 8192, 4096, PROT_READ), 0);
	refuse_attach(shm, &edu, EACCES, "is mapped r--p");
	munmap(pages + 8192, 4096);
	refuse_attach(shm, &edu, EFAULT, "nothing is mapped at");
	metal_shm_free(shm, NULL);
	munmap(pages, 8192);
	munmap(pages + 12288, SIZE - 12288);
	assert_int_equal(locked_kib(), 0);
	metal_shm_device_close(edu.dev);
}

/* 28 bits are 256 MiB; the same memory is attached by parts of different length. */
static void addresses_end_and_come_back(void **state)
{
	struct metal_generic_shm *shm = memory_of("memfd", 80 * MIB), *part[4], *view[4];
	struct edu edu = edu_open(EDU);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		part[i] = metal_shm_sub(shm, i * 4096, 80 * MIB - i * 8192, 0);
		assert_non_null(part[i]);
	}
	for (size_t i = 0; i < 3; i++)
		view[i] = attached(part[i], &edu);
	refuse_attach(part[3], &edu, ENOSPC,
		      "bytes of addresses in a row up to 0xfffffff, at most");
	metal_shm_detach(view[1], edu.dev);
	view[1] = attached(part[3], &edu);
	for (size_t i = 0; i < 3; i++)
		metal_shm_detach(view[i], edu.dev);
	for (size_t i = 0; i < 4; i++)
		metal_shm_free(part[i], NULL);
	metal_shm_free(shm, NULL);
	shm = memory_of("memfd", 256 * MIB);
	refuse_attach(shm, &edu, ENOSPC, "at most 268");
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
}

static int lift_limits(void **state)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	(void)state;
	edu_say(LIMIT, "65535");
	return setrlimit(RLIMIT_MEMLOCK, &none);
}

static void mappings_end_and_come_back(void **state)
{
	struct metal_generic_shm *shm = memory_of("anon", SIZE), *part, *view[2];
	struct edu edu;

	(void)state;
	edu_say(LIMIT, "2");
	edu = edu_open(EDU);
	part = metal_shm_sub(shm, 0, 4096, 0);
	view[0] = attached(shm, &edu);
	view[1] = attached(part, &edu);
	metal_shm_free(part, NULL);
	part = metal_shm_sub(shm, 4096, 4096, 0);
	refuse_attach(part, &edu, ENOSPC, "has its 2 mappings; more: module parameter");
	metal_shm_detach(view[1], edu.dev);
	view[1] = attached(part, &edu);
	metal_shm_detach(view[1], edu.dev);
	metal_shm_detach(view[0], edu.dev);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
}

/* Of who has no CAP_IPC_LOCK. */
static void limit_of_locked_memory_is_named(void **state)
{
	const struct rlimit limit = { MIB, RLIM_INFINITY };
	struct metal_generic_shm *large = memory_of("memfd", 2 * MIB),
				 *small = memory_of("anon", SIZE);
	struct edu edu = edu_open(EDU);
	struct metal_generic_shm *view;

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	view = metal_shm_attach(small, edu.dev);
	errno = 0;
	assert_null(metal_shm_attach(large, edu.dev));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(seteuid(0), 0);
	assert_reason("2097152 bytes beside 64 KiB that are locked exceed RLIMIT_MEMLOCK, 1048576: "
		      "ulimit -l 2112,");
	assert_non_null(view);
	metal_shm_detach(view, edu.dev);
	metal_shm_free(large, NULL);
	metal_shm_free(small, NULL);
	metal_shm_device_close(edu.dev);
}

static void abort_on(struct metal_device *dev, unsigned vector, uint64_t times, void *user)
{
	(void)dev;
	(void)vector;
	(void)times;
	(void)user;
	abort();
}

static void more_vectors_than_there_are_are_refused(void **state)
{
	struct edu edu = edu_open(EDU);
	volatile void *address;
	size_t size;

	(void)state;
	assert_int_equal(metal_shm_vfio_interrupts(edu.dev, METAL_SHM_VFIO_MSI, 2, abort_on, NULL),
			 -ERANGE);
	assert_reason("1 vectors of MSI, not 2");
	assert_int_equal(metal_shm_vfio_interrupts(edu.dev, METAL_SHM_VFIO_MSIX, 1, abort_on, NULL),
			 -ERANGE);
	assert_int_equal(metal_shm_vfio_interrupts(edu.dev, METAL_SHM_VFIO_MSI, 1, NULL, NULL),
			 -EINVAL);
	assert_int_equal(metal_shm_vfio_interrupts(edu.dev, 3, 1, abort_on, NULL), -EINVAL);
	assert_int_equal(metal_shm_vfio_region(edu.dev, 1, &address, &size), -ENOTSUP);
	assert_int_equal(metal_shm_vfio_region(edu.dev, 9, &address, &size), -EINVAL);
	assert_true(fcntl(metal_shm_vfio_fd(edu.dev), F_GETFD) & FD_CLOEXEC);
	metal_shm_device_close(edu.dev);
}

static void fail_allocation(int fail_nth, unsigned n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", n);

	assert_int_equal(pwrite(fail_nth, text, (size_t)length, 0), length);
}

/* The kernel's own, one after the other, until an attach needs no more of them. */
static void each_failed_allocation_of_an_attach_is_undone(void **state)
{
	struct metal_generic_shm *shm = memory_of("memfd", SIZE), *view = NULL;
	int fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	struct edu edu = edu_open(EDU);
	unsigned failed = 0, n = 0;
	char left[16] = "";

	(void)state;
	assert_true(fail_nth >= 0);
	bytes_of(shm);
	while (n < 200 && (!n || left[0] == '0')) {
		fail_allocation(fail_nth, ++n);
		view = metal_shm_attach(shm, edu.dev);
		assert_true(pread(fail_nth, left, sizeof(left) - 1, 0) > 0);
		fail_allocation(fail_nth, 0);
		if (view) {
			metal_shm_detach(view, edu.dev);
		} else {
			assert_int_equal(errno, ENOMEM);
			failed++;
		}
		assert_int_equal(locked_kib(), 0);
	}
	shm_test_note("%u allocations, %u of which the attach needs", n - 1, failed);
	assert_in_range(failed, 1, n - 1);
	view = attached(shm, &edu);
	metal_shm_detach(view, edu.dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(edu.dev);
	close(fail_nth);
}

/* In a process that is killed: everything, all the time. */
static int go_round(void)
{
	struct edu edu;

	for (;;) {
		struct metal_generic_shm *shm = memory_of("anon", SIZE), *view;

		edu = edu_open(EDU);
		view = attached(shm, &edu);
		printf("%c", '.');
		fflush(stdout);
		edu_store(&edu, address_of(view), 1024);
		metal_shm_detach(view, edu.dev);
		metal_shm_free(shm, NULL);
		metal_shm_device_close(edu.dev);
	}
	return 1;
}

static void killed_process_leaves_nothing_mapped(void **state)
{
	const char *chosen = getenv("SHM_TEST_SEED");
	unsigned seed = chosen ? (unsigned)strtoul(chosen, NULL, 10) : (unsigned)time(NULL);

	(void)state;
	shm_test_note("SHM_TEST_SEED=%u", seed);
	for (int i = 0; i < KILLS; i++) {
		struct metal_generic_shm *shm = memory_of("memfd", SIZE), *view;
		struct edu edu;
		int output, status;
		pid_t child = start_again("go-round", "", NULL, &output);
		char sign;

		/* half of them with their first mapping made */
		if (i % 2)
			assert_int_equal(read(output, &sign, 1), 1);
		seed = seed * 1103515245u + 12345u;
		usleep((seed >> 8) % 200000);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(output);
		edu = edu_open(EDU);
		view = attached(shm, &edu);
		assert_int_equal(locked_kib(), SIZE / KIB);
		metal_shm_detach(view, edu.dev);
		metal_shm_device_close(edu.dev);
		metal_shm_free(shm, NULL);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(name_that_is_none_is_refused, begin),
		cmocka_unit_test_setup(device_of_another_driver_is_refused, begin),
		cmocka_unit_test_setup(device_whose_neighbour_has_a_driver_is_refused, begin),
		cmocka_unit_test_setup(who_has_no_rights_learns_what_helps, begin),
		cmocka_unit_test_setup(group_that_another_process_has_is_refused, begin),
		cmocka_unit_test_setup(memory_that_cant_be_pinned_is_refused, begin),
		cmocka_unit_test_setup(memory_in_a_cma_area_is_moved_or_refused, begin),
		cmocka_unit_test_setup(memory_is_chosen_for_the_device, begin),
		cmocka_unit_test_setup(wrapped_range_with_a_hole_is_refused, begin),
		cmocka_unit_test_setup(addresses_end_and_come_back, begin),
		cmocka_unit_test_setup_teardown(mappings_end_and_come_back, begin, lift_limits),
		cmocka_unit_test_setup_teardown(limit_of_locked_memory_is_named, begin,
						lift_limits),
		cmocka_unit_test_setup(more_vectors_than_there_are_are_refused, begin),
		cmocka_unit_test_setup(each_failed_allocation_of_an_attach_is_undone, begin),
		cmocka_unit_test_setup(killed_process_leaves_nothing_mapped, begin),
	};

	if (!strcmp(argv[0], "go-round"))
		return go_round();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
