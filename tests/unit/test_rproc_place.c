/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's addresses without the kernel module: by where memory lies, and the resource table. */
#include <shm/device.h>

#include "rproc_bench.h"

#define TABLE "/sys/kernel/debug/remoteproc/remoteproc0/resource_table"
#define CARVEOUT(da, pa, length)                                                       \
	"Entry 0 is of type carveout\n  Device Address " da "\n  Physical Address " pa \
	"\n  Length " length " Bytes\n  Flags 0x0\n  Reserved (should be zero) [0]\n  Name x\n\n"
#define VDEV "Entry 1 is of type vdev\n  ID 7\n  Vring 0\n    Device Address 0x1000\n\n"

/* In the library's place: the test says where the memory lies. */
static struct metal_shm_segment place[2];
static size_t places;
static int place_error;
static unsigned gotten, put;

int metal_shm_physical_get(const struct metal_shm_attachment *at, struct metal_shm_physical *ret)
{
	(void)at;
	if (place_error)
		return metal_shm_set_error(-place_error, "nobody may know");
	gotten++;
	*ret = (struct metal_shm_physical){ place, places, -1 };
	return 0;
}

void metal_shm_physical_put(struct metal_shm_physical *physical)
{
	(void)physical;
	put++;
}

static void lies_at(uint64_t address)
{
	place[0] = (struct metal_shm_segment){ address, SIZE };
	places = 1;
	place_error = 0;
	gotten = put = 0;
	fake_rproc_remove("/dev/shm_importer");
}

static void refused(int error, const char *word)
{
	struct metal_generic_shm *shm = metal_shm_allocate(SIZE, memory, 0);

	assert_null(metal_shm_attach(shm, dsp));
	fails(-errno, error, word);
	metal_shm_free(shm, NULL);
	assert_int_equal(gotten, put);
}

static void memory_of_a_carveout_has_the_tables_address(void **state)
{
	struct metal_generic_shm *shm, *view;
	const struct metal_shm_segment *segments;
	size_t n;

	(void)state;
	lies_at(0x30810000);
	places = 2;
	place[0].length = place[1].length = SIZE / 2;
	place[1].device_address = 0x50000000;
	fake_rproc_file(TABLE, CARVEOUT("0xb0000000", "0x30000000", "0x100000")
				       VDEV CARVEOUT("0xb0800000", "0x30800000", "0x800000")
					       CARVEOUT("0x10000", "0x50000000", "0x8000"));
	shm = attached(&view);
	ok(metal_shm_segments(view, &segments, &n));
	assert_int_equal(n, 2);
	assert_int_equal(segments[0].device_address, 0xb0810000);
	assert_int_equal(segments[1].device_address, 0x10000);
	drop(shm, view);
	assert_int_equal(put, 1);
}

static void memory_that_the_table_does_not_hold_has_no_address(void **state)
{
	static const char *const tables[] = {
		CARVEOUT("0xb0000000", "0x30000000", "0xffff"), /* a byte less */
		CARVEOUT("0xb0000000", "0x30000001", "0x100000"),
		CARVEOUT("0xb0000000", "0x2fff8000", "0x10000"),
		CARVEOUT("0xffffffff", "0x30000000", "0x100000"),
		CARVEOUT("0xb0000000", "0xffffffff", "0x100000"),
		CARVEOUT("0xb0000000", "0x0", "0x100000"),
		CARVEOUT("everywhere", "0x30000000", "0x100000"),
		VDEV,
		"No resource table found\n",
	};

	(void)state;
	lies_at(0x30000000);
	for (size_t i = 0; i < SHM_TEST_COUNT(tables); i++) {
		fake_rproc_file(TABLE, tables[i]);
		refused(ENOTSUP, "physical 0x30000000 is in no carveout of remoteproc0's");
	}
}

/* It is told before: the trial, and each buffer itself is looked at. */
static void memory_is_chosen_by_the_tables_last_address(void **state)
{
	struct metal_device *devs[] = { memory, dsp };
	struct metal_generic_shm *shm;

	(void)state;
	lies_at(0x30000000);
	fake_rproc_file(TABLE, CARVEOUT("0x80000000", "0x30000000", "0x100000"));
	shm = metal_shm_allocate_for(SIZE, devs, 2, 0);
	assert_non_null(shm);
	assert_int_equal(gotten, 2);
	assert_int_equal(put, 2);
	metal_shm_free(shm, NULL);
}

static void refusal_lists_both_ways(void **state)
{
	(void)state;
	lies_at(0x30000000);
	refused(ENOTSUP, "shm_importer: /dev/shm_importer: No such file");
	assert_non_null(strstr(metal_shm_last_error(), "; by its place: /sys/kernel/debug/"));
	place_error = ENODATA;
	refused(ENOTSUP, "by its place: nobody may know");
	fake_rproc_file("/sys/class/remoteproc/remoteproc0/device/iommu_group/type", "DMA\n");
	refused(ENOTSUP, "behind which physical addresses mean nothing");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		RPROC_CASE(memory_of_a_carveout_has_the_tables_address),
		RPROC_CASE(memory_that_the_table_does_not_hold_has_no_address),
		RPROC_CASE(memory_is_chosen_by_the_tables_last_address),
		RPROC_CASE(refusal_lists_both_ways),
	};

	return rproc_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
