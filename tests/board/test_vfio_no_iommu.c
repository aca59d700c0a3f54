/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that no IOMMU stands before would reach all memory: it is refused, also where VFIO would give it. */
#include <errno.h>

#include "edu.h"

#define UNSAFE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void refuse(const char *pci)
{
	struct metal_device *dev = NULL;
	char name[64];

	snprintf(name, sizeof(name), "vfio:%s,address_bits=28", pci);
	assert_int_equal(metal_shm_device_open(name, &dev), -ENOTSUP);
	assert_null(dev);
	if (!strstr(metal_shm_last_error(), "no IOMMU stands before it"))
		fail_msg("%s", metal_shm_last_error());
}

static void device_without_an_iommu_is_refused(void **state)
{
	(void)state;
	edu_bind(EDU, "vfio-pci");
	refuse(EDU);
}

static int forget(void **state)
{
	(void)state;
	edu_bind(EDU, "");
	edu_say(UNSAFE, "N");
	return 0;
}

static void groups_that_vfio_makes_up_are_refused(void **state)
{
	(void)state;
	edu_say(UNSAFE, "Y");
	edu_bind(EDU, "");
	edu_bind(EDU, "vfio-pci");
	assert_int_equal(access("/sys/bus/pci/devices/" EDU "/iommu_group", F_OK), 0);
	refuse(EDU);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_without_an_iommu_is_refused),
		cmocka_unit_test_teardown(groups_that_vfio_makes_up_are_refused, forget),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
