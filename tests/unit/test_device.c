/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices and drivers: registration, names, half-filled tables, life. */
#include <errno.h>
#include <string.h>

#include <shm/linux.h>

#include "fake.h"
#include "shm_test.h"

static const char *opened_with;
static struct fake_source *opened;

static int open_test(const char *rest, struct metal_device **ret_dev)
{
	opened_with = rest;
	if (!strcmp(rest, "missing"))
		return metal_shm_set_error(ENOENT, "nothing is called missing");
	opened = fake_source_new("test:one", false);
	*ret_dev = opened->dev;
	return 0;
}

static const struct metal_shm_driver test_driver = {
	.struct_size = sizeof(test_driver),
	.scheme = "test",
	.open = open_test,
};

static void a_registered_scheme_opens(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_driver_register(&test_driver), 0);
	assert_int_equal(metal_shm_driver_register(&test_driver), -EEXIST);
	assert_int_equal(metal_shm_device_open("test:one:two", &dev), 0);
	assert_string_equal(opened_with, "one:two");
	assert_string_equal(metal_shm_device_name(dev), "test:one");
	fake_source_end(opened);
	assert_int_equal(metal_shm_device_open("test", &dev), 0);
	assert_string_equal(opened_with, "");
	fake_source_end(opened);
	assert_int_equal(metal_shm_device_open("test:missing", &dev), -ENOENT);
	assert_string_equal(metal_shm_last_error(), "nothing is called missing");
}

static void an_unknown_scheme_names_the_library(void **state)
{
	struct metal_device *dev = NULL;

	(void)state;
	assert_int_equal(metal_shm_device_open("rproc:dsp0", &dev), -EPROTONOSUPPORT);
	assert_non_null(strstr(metal_shm_last_error(), "libshm-rproc"));
	assert_int_equal(metal_shm_device_open("", &dev), -EINVAL);
	assert_int_equal(metal_shm_device_open(":x", &dev), -EINVAL);
	assert_int_equal(metal_shm_device_open(NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_device_open("memfd", NULL), -EINVAL);
	assert_int_equal(metal_shm_device_open("a-scheme-longer-than-any-we-have-seen:x", &dev),
			 -EINVAL);
	assert_null(dev);
}

static void a_half_filled_driver_is_refused(void **state)
{
	struct metal_shm_driver driver = test_driver;

	(void)state;
	driver.scheme = "a:b";
	assert_int_equal(metal_shm_driver_register(&driver), -EINVAL);
	driver.scheme = "";
	assert_int_equal(metal_shm_driver_register(&driver), -EINVAL);
	driver.scheme = "half";
	driver.open = NULL;
	assert_int_equal(metal_shm_driver_register(&driver), -EINVAL);
	driver.open = open_test;
	driver.struct_size = 0;
	assert_int_equal(metal_shm_driver_register(&driver), -EINVAL);
	assert_int_equal(metal_shm_driver_register(NULL), -EINVAL);
}

static int allocate(struct metal_device *dev, size_t size, metal_shm_type type,
		    struct metal_shm_memory *ret_memory)
{
	(void)dev;
	(void)size;
	(void)type;
	(void)ret_memory;
	return -ENOMEM;
}

static void release(struct metal_device *dev, struct metal_shm_memory *memory)
{
	(void)dev;
	(void)memory;
}

static int properties(struct metal_device *dev, const struct metal_shm_memory *memory,
		      struct metal_shm_properties *ret)
{
	(void)dev;
	(void)memory;
	(void)ret;
	return 0;
}

static int map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
	       void **ret_address)
{
	(void)dev;
	(void)memory;
	(void)prot;
	(void)ret_address;
	return -EACCES;
}

static int sync_range(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	(void)dev;
	(void)memory;
	(void)range;
	(void)dir;
	return 0;
}

static int constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
		       struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	(void)ret;
	return 0;
}

static void expect_half(struct metal_shm_device_ops ops, const char *group)
{
	struct metal_device *dev = NULL;

	ops.struct_size = sizeof(ops);
	assert_int_equal(metal_shm_device_create(&ops, "half", NULL, &dev), -EINVAL);
	assert_non_null(strstr(metal_shm_last_error(), group));
	assert_null(dev);
}

static void a_half_filled_table_is_refused(void **state)
{
	const struct metal_shm_device_ops whole = { .allocate = allocate,
						    .release = release,
						    .properties = properties };
	struct metal_shm_device_ops ops = whole;
	struct metal_device *dev = NULL;

	(void)state;
	ops.release = NULL;
	expect_half(ops, "allocate, release and properties");
	ops = whole;
	ops.map = map;
	expect_half(ops, "map and unmap");
	ops = whole;
	ops.sync_for_cpu = sync_range;
	expect_half(ops, "sync_for_cpu and sync_for_device");
	ops = whole;
	ops.constraints = constraints;
	expect_half(ops, "constraints, attach and detach");
	expect_half((struct metal_shm_device_ops){ 0 }, "gives memory, uses it, or both");
	assert_int_equal(metal_shm_device_create(NULL, "none", NULL, &dev), -EINVAL);
	ops = whole;
	assert_int_equal(metal_shm_device_create(&ops, "no size", NULL, &dev), -EINVAL);
	ops.struct_size = sizeof(ops);
	assert_int_equal(metal_shm_device_create(&ops, "", NULL, &dev), -EINVAL);
	assert_int_equal(metal_shm_device_create(&ops, "good", NULL, &dev), 0);
	metal_shm_device_close(dev);
}

static void data_is_given_to_its_own_kind_only(void **state)
{
	static const struct metal_shm_device_ops other = { .struct_size = sizeof(other) };
	struct fake_source *source = fake_source_new("src", true);

	(void)state;
	assert_null(metal_shm_device_data(source->dev, &other));
	assert_int_equal(errno, EINVAL);
	fake_source_end(source);
}

static void an_event_descriptor_is_there_or_refused(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct fake_importer *importer = fake_importer_new("imp", METAL_SHM_ACCESS_DMA);

	(void)state;
	assert_int_equal(metal_shm_device_poll_fd(source->dev), -ENOTSUP);
	assert_int_equal(metal_shm_device_poll_fd(importer->dev), importer->event_fd);
	assert_int_equal(metal_shm_device_dispatch(source->dev), 0);
	assert_int_equal(metal_shm_device_dispatch(importer->dev), 0);
	fake_importer_end(importer);
	fake_source_end(source);
}

static void a_device_that_only_uses_gives_nothing(void **state)
{
	struct fake_importer *importer = fake_importer_new("imp", METAL_SHM_ACCESS_DMA);
	struct metal_shm_properties have = { .struct_size = sizeof(have) };

	(void)state;
	assert_null(metal_shm_allocate(1, importer->dev, 0));
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(metal_shm_device_properties(importer->dev, &have), -ENOTSUP);
	fake_importer_end(importer);
}

static void device_properties_are_the_sources(void **state)
{
	struct fake_source *source = fake_source_new("src", true);
	struct metal_shm_properties have = { .struct_size = sizeof(have) };

	(void)state;
	source->properties.cached = METAL_SHM_YES;
	assert_int_equal(metal_shm_device_properties(source->dev, &have), 0);
	assert_int_equal(have.cached, METAL_SHM_YES);
	assert_int_equal(have.contiguous, METAL_SHM_UNKNOWN);
	have.struct_size = 0;
	assert_int_equal(metal_shm_device_properties(source->dev, &have), -EINVAL);
	fake_source_end(source);
}

static void the_version_is_the_headers(void **state)
{
	(void)state;
	assert_string_equal(metal_shm_version(), "0.1.0");
	assert_int_equal(METAL_SHM_VERSION_MINOR, 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registered_scheme_opens),
		cmocka_unit_test(an_unknown_scheme_names_the_library),
		cmocka_unit_test(a_half_filled_driver_is_refused),
		cmocka_unit_test(a_half_filled_table_is_refused),
		cmocka_unit_test(data_is_given_to_its_own_kind_only),
		cmocka_unit_test(an_event_descriptor_is_there_or_refused),
		cmocka_unit_test(a_device_that_only_uses_gives_nothing),
		cmocka_unit_test(device_properties_are_the_sources),
		cmocka_unit_test(the_version_is_the_headers),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
