/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO where it fails, which a real one can't be asked to; a real one works in tests/board/test_vfio.c. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "vfio_bench.h"

static void names_are_taken_as_sysfs_spells_them(void **state)
{
	static const char *const wrong[] = {
		"vfio",
		"vfio:",
		"vfio:00:01.0,address_bits=28",
		"vfio:0000:00:01.8,address_bits=28",
		"vfio:0000:0g:01.0,address_bits=28",
		"vfio:../../etc,address_bits=28",
		"vfio:0000:00:01.0 ,address_bits=28",
		"vfio:0000:00:01,address_bits=28",
		"vfio:0000:00:01.0000000000000000000000000000,address_bits=28",
		"vfio:0000:00:01.0",
		"vfio:" FAKE_ONE ",",
		"vfio:" FAKE_ONE ",address_bits",
		"vfio:" FAKE_ONE ",address_bits=",
		"vfio:" FAKE_ONE ",address_bits=028",
		"vfio:" FAKE_ONE ",address_bits=+8",
		"vfio:" FAKE_ONE ",address_bits=28x",
		"vfio:" FAKE_ONE ",address_bits=15",
		"vfio:" FAKE_ONE ",address_bits=65",
		"vfio:" FAKE_ONE ",bits=28",
		"vfio:" FAKE_ONE ",address_bits=28,",
	};
	struct metal_device *dev;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(wrong); i++)
		refuse_open(wrong[i], EINVAL, "vfio:");
	dev = open_device(ONE);
	assert_string_equal(metal_shm_device_name(dev), ONE);
	metal_shm_device_close(dev);
}

static void missing_parts_are_named(void **state)
{
	(void)state;
	refuse_open("vfio:0000:00:05.0,address_bits=28", ENOENT, "no PCI device 0000:00:05.0");
	fake_vfio_bind(FAKE_ONE, NULL);
	refuse_open(ONE, ENODEV, "driver_override");
	fake_vfio_bind(FAKE_ONE, "e1000e");
	refuse_open(ONE, EBUSY, "bound to the driver e1000e");
	fake_vfio_bind(FAKE_ONE, "mlx5_vfio_pci");
	fake_vfio_remove("/dev/vfio/vfio");
	refuse_open(ONE, ENOENT, "modprobe vfio-pci");
	fake_vfio_remove("/dev/vfio/1");
	refuse_open(ONE, ENOENT, "/dev/vfio/1");
	fake_vfio_name_group("1", "vfio-noiommu");
	refuse_open(ONE, ENOTSUP, "no IOMMU");
	fake_vfio_remove("/sys/bus/pci/devices/" FAKE_ONE "/iommu_group");
	refuse_open(ONE, ENOTSUP, "no IOMMU");
}

static void neighbour_that_blocks_the_group_is_named(void **state)
{
	(void)state;
	fake->viable = false;
	fake_vfio_bind(FAKE_PAIR, "snd_hda_intel");
	refuse_open(TWO, EBUSY, FAKE_PAIR ", which the driver snd_hda_intel has");
	fake_vfio_bind(FAKE_PAIR, NULL);
	refuse_open(TWO, EBUSY, "in use by the kernel");
}

static void what_is_not_understood_is_refused(void **state)
{
	(void)state;
	fake->version = 1;
	refuse_open(ONE, ENOTSUP, "version 1");
	fake->version = VFIO_API_VERSION;
	fake->type1 = false;
	refuse_open(ONE, ENOTSUP, "modprobe vfio_iommu_type1");
	fake->type1 = true;
	fake->page_sizes = ~UINT64_C(65535);
	refuse_open(ONE, ENOTSUP, "65536 bytes, the CPU's 4096");
	fake->page_sizes = ~UINT64_C(4095);
	fake->no_ranges = true;
	refuse_open(ONE, ENOTSUP, "which addresses");
}

/* Descriptors that are left open fail the case. */
static void each_step_that_fails_is_named_and_undone(void **state)
{
	static const struct {
		unsigned long request;
		const char *word;
	} steps[] = {
		{ VFIO_GROUP_GET_STATUS, "VFIO_GROUP_GET_STATUS" },
		{ VFIO_GROUP_SET_CONTAINER, "VFIO_GROUP_SET_CONTAINER" },
		{ VFIO_SET_IOMMU, "VFIO_SET_IOMMU" },
		{ VFIO_IOMMU_GET_INFO, "VFIO_IOMMU_GET_INFO" },
		{ VFIO_GROUP_GET_DEVICE_FD, "VFIO_GROUP_GET_DEVICE_FD" },
		{ VFIO_DEVICE_GET_REGION_INFO, "VFIO_DEVICE_GET_REGION_INFO" },
	};
	struct metal_device *dev;

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(steps); i++) {
		fake->fail = steps[i].request;
		fake->error = ENXIO;
		refuse_open(ONE, ENXIO, steps[i].word);
		fake->fail = 0;
		dev = open_device(ONE);
		metal_shm_device_close(dev);
	}
	fake->fail = VFIO_SET_IOMMU;
	fake->error = EPERM;
	refuse_open(ONE, EPERM, "allow_unsafe_interrupts");
	fake->fail = VFIO_IOMMU_GET_INFO;
	fake->error = ENOMEM;
	fake->passes = 1;
	refuse_open(ONE, ENOMEM, "VFIO_IOMMU_GET_INFO");
}

static void devices_share_a_container_where_they_can(void **state)
{
	struct metal_device *one = open_device(ONE), *two = open_device(TWO), *pair;

	(void)state;
	pair = open_device(PAIR); /* its group is open */
	assert_int_equal(fake->containers, 1);
	metal_shm_device_close(two);
	metal_shm_device_close(pair);
	fake->lonely = true;
	two = open_device(TWO);
	assert_int_equal(fake->containers, 2);
	metal_shm_device_close(one);
	metal_shm_device_close(two);
}

/* It joined, but what the addresses are now nobody says. */
static void container_that_cant_be_asked_again_is_not_joined(void **state)
{
	struct metal_device *one = open_device(ONE), *two;

	(void)state;
	fake->fail = VFIO_IOMMU_GET_INFO;
	fake->error = ENOMEM;
	refuse_open(TWO, ENOMEM, "VFIO_IOMMU_GET_INFO");
	assert_int_equal(fake->unsets, 1);
	fake->fail = 0;
	two = open_device(TWO);
	metal_shm_device_close(one);
	metal_shm_device_close(two);
}

static void mapping_is_what_the_memory_is(void **state)
{
	struct metal_generic_shm *shm = buffer("memfd", SIZE), *part, *view, *part_view;
	struct metal_device *dev = open_device(ONE);

	(void)state;
	part = metal_shm_sub(shm, 5000, 4000, METAL_SHM_SUB_NO_COPY);
	view = metal_shm_attach(shm, dev);
	part_view = metal_shm_attach(part, dev);
	assert_int_equal(fake_vfio_mapped(), 2);
	for (int i = 0; i < FAKE_MAPS; i++) {
		const struct fake_map *is = &fake->map[i];

		if (!is->size)
			continue;
		assert_int_equal(is->flags, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
		assert_true(is->size == SIZE || is->size == 8192);
		if (is->size == 8192)
			assert_int_equal(address_of(part_view), is->iova + 5000 - 4096);
		else
			assert_int_equal(address_of(view), is->iova);
	}
	metal_shm_detach(view, dev);
	metal_shm_detach(part_view, dev);
	assert_int_equal(fake_vfio_mapped(), 0);
	metal_shm_free(part, NULL);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
}

static void wrapped_memory_is_mapped_by_its_pages(void **state)
{
	char *pages = aligned_alloc(4096, 3 * 4096);
	struct metal_generic_shm *shm = metal_shm_wrap(pages + 4000, 200, NULL, NULL), *view;
	struct metal_device *dev = open_device(ONE);
	const struct fake_map *is = fake->map;

	(void)state;
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	while (!is->size)
		is++;
	assert_int_equal(is->vaddr, (uintptr_t)pages);
	assert_int_equal(is->size, 8192);
	assert_int_equal(address_of(view), is->iova + 4000);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, NULL);
	free(pages);
	metal_shm_device_close(dev);
}

static void read_only_import_is_mapped_for_reading(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), reader;
	struct metal_device *dev = open_device(ONE);
	struct metal_generic_shm *shm, *view;
	const struct fake_map *is = fake->map;
	char path[64];

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	shm = metal_shm_import(reader, 0, 0);
	close(reader);
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	while (!is->size)
		is++;
	assert_int_equal(is->flags, VFIO_DMA_MAP_FLAG_READ);
	assert_int_equal(metal_shm_sync_for_device(shm, dev, METAL_SHM_DIR_DEV_W), -EACCES);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
}

static void mapping_of_a_file_is_refused(void **state)
{
	struct metal_device *dev = open_device(ONE);
	struct metal_generic_shm *shm;
	FILE *file = tmpfile();
	void *pages;

	(void)state;
	assert_int_equal(ftruncate(fileno(file), SIZE), 0);
	pages = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	fclose(file);
	shm = metal_shm_wrap(pages, SIZE, NULL, NULL);
	refuse_attach(shm, dev, ENOTSUP, "a mapping of /");
	metal_shm_free(shm, NULL);
	munmap(pages, SIZE);
	assert_int_equal(fake_vfio_mapped(), 0);
	metal_shm_device_close(dev);
}

static void shared_pages_and_constants_are_told_apart(void **state)
{
	static const char constant[8192] = "read only";
	struct metal_device *dev = open_device(ONE);
	void *pages = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct metal_generic_shm *shm = metal_shm_wrap(pages, SIZE, NULL, NULL), *view;

	(void)state;
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, NULL);
	munmap(pages, SIZE);
	shm = metal_shm_wrap((void *)(uintptr_t)constant, sizeof(constant), NULL, NULL);
	refuse_attach(shm, dev, EACCES, "r--p");
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
}

static void refused_mapping_gives_its_addresses_back(void **state)
{
	struct metal_generic_shm *shm = buffer("anon", SIZE), *view;
	struct metal_device *dev;
	struct rlimit old, limit;

	(void)state;
	fake->window[0][0] = 0;
	fake->window[0][1] = 0x8fff; /* room for one */
	fake->window[1][0] = 1;
	fake->window[1][1] = 2;
	dev = open_device(ONE);
	fake->fail = VFIO_IOMMU_MAP_DMA;
	fake->error = ENOSPC;
	refuse_attach(shm, dev, ENOSPC, "65535 mappings");
	fake->error = EFAULT;
	refuse_attach(shm, dev, EFAULT, "VFIO_IOMMU_MAP_DMA of 16384 bytes");
	fake->error = ENOMEM;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	limit = old;
	limit.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	refuse_attach(shm, dev, ENOMEM, "RLIMIT_MEMLOCK, 4096: ulimit -l 16,");
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	fake->fail = 0;
	view = metal_shm_attach(shm, dev);
	assert_non_null(view);
	metal_shm_detach(view, dev);
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
}

static void addresses_that_the_kernel_keeps_are_not_used_again(void **state)
{
	struct metal_generic_shm *shm = buffer("anon", SIZE), *view;
	struct metal_device *dev;

	(void)state;
	fake->window[0][0] = 0;
	fake->window[0][1] = 0x8fff;
	fake->window[1][0] = 1;
	fake->window[1][1] = 2;
	dev = open_device(ONE);
	view = metal_shm_attach(shm, dev);
	fake->fail = VFIO_IOMMU_UNMAP_DMA;
	fake->error = EINVAL;
	metal_shm_detach(view, dev);
	assert_reason("undid");
	fake->fail = 0;
	refuse_attach(shm, dev, ENOSPC, "at most 8192 are left");
	metal_shm_device_close(dev);
	dev = open_device(ONE);
	view = metal_shm_attach(shm, dev);
	fake->unmapped_less = 4096;
	metal_shm_detach(view, dev);
	refuse_attach(shm, dev, ENOSPC, "at most 8192 are left");
	metal_shm_free(shm, NULL);
	metal_shm_device_close(dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(names_are_taken_as_sysfs_spells_them),
		CASE(missing_parts_are_named),
		CASE(neighbour_that_blocks_the_group_is_named),
		CASE(what_is_not_understood_is_refused),
		CASE(each_step_that_fails_is_named_and_undone),
		CASE(devices_share_a_container_where_they_can),
		CASE(container_that_cant_be_asked_again_is_not_joined),
		CASE(mapping_is_what_the_memory_is),
		CASE(wrapped_memory_is_mapped_by_its_pages),
		CASE(read_only_import_is_mapped_for_reading),
		CASE(mapping_of_a_file_is_refused),
		CASE(shared_pages_and_constants_are_told_apart),
		CASE(refused_mapping_gives_its_addresses_back),
		CASE(addresses_that_the_kernel_keeps_are_not_used_again),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
