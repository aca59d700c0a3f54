/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of extensions and the lookup of their functions, as a program reads them. */
#include "layer_fixture.h"

static const char *const added[] = {
	"cl_arm_import_memory",   "cl_arm_import_memory_dma_buf",   "cl_arm_import_memory_host",
	"cl_khr_external_memory", "cl_khr_external_memory_dma_buf",
};

static cl_int info(bool platform, cl_uint name, size_t size, void *value, size_t *ret_size)
{
	return platform ? clGetPlatformInfo(cl.platform, name, size, value, ret_size)
			: clGetDeviceInfo(cl.device, name, size, value, ret_size);
}

static unsigned times_in(const char *text, const char *word)
{
	size_t length = strlen(word);
	unsigned times = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += length)
		times += (at == text || at[-1] == ' ') && (!at[length] || at[length] == ' ');
	return times;
}

static void assert_names(bool platform, cl_uint name)
{
	char text[8192], one[CL_NAME_VERSION_MAX_NAME_SIZE];
	size_t size = 0, again = 0;
	int length;

	assert_cl(info(platform, name, 0, NULL, &size));
	assert_true(size < sizeof(text));
	memset(text, 'x', sizeof(text));
	assert_cl(info(platform, name, size, text, &again));
	assert_int_equal(again, size);
	assert_int_equal(strnlen(text, sizeof(text)), size - 1);
	assert_int_equal(info(platform, name, size - 1, text, NULL), CL_INVALID_VALUE);
	for (const char *at = text; sscanf(at, " %63s%n", one, &length) == 1; at += length)
		if (times_in(text, one) != 1)
			fail_msg("%s is there %u times", one, times_in(text, one));
	for (size_t i = 0; i < SHM_TEST_COUNT(added); i++)
		assert_int_equal(times_in(text, added[i]), 1);
}

static void extension_names_come_once_each(void **state)
{
	(void)state;
	assert_names(true, CL_PLATFORM_EXTENSIONS);
	assert_names(false, CL_DEVICE_EXTENSIONS);
}

static void assert_versions(bool platform, cl_uint name, cl_uint names)
{
	cl_name_version list[128];
	size_t size = 0, again = 0, count;
	char text[8192];

	assert_cl(info(platform, name, 0, NULL, &size));
	assert_true(size <= sizeof(list) && !(size % sizeof(list[0])));
	memset(list, 0xff, sizeof(list));
	assert_cl(info(platform, name, size, list, &again));
	assert_int_equal(again, size);
	assert_int_equal(info(platform, name, size - 1, list, NULL), CL_INVALID_VALUE);
	assert_cl(info(platform, names, sizeof(text), text, NULL));
	count = size / sizeof(list[0]);
	for (size_t i = 0; i < count; i++) {
		assert_in_range(strnlen(list[i].name, sizeof(list[i].name)), 1, 63);
		assert_int_not_equal(list[i].version, 0);
		assert_int_equal(times_in(text, list[i].name), 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(list[i].name, list[j].name);
	}
	for (size_t i = 0; i < SHM_TEST_COUNT(added); i++) {
		cl_version version = 0;

		for (size_t j = 0; j < count; j++)
			if (!strcmp(list[j].name, added[i]))
				version = list[j].version;
		if (strstr(added[i], "arm_import"))
			assert_int_equal(version, CL_MAKE_VERSION(1, 1, 0));
		else
			assert_int_equal(CL_VERSION_MAJOR(version), 1);
	}
}

static void extension_versions_match_the_names(void **state)
{
	(void)state;
	assert_versions(true, CL_PLATFORM_EXTENSIONS_WITH_VERSION, CL_PLATFORM_EXTENSIONS);
	assert_versions(false, CL_DEVICE_EXTENSIONS_WITH_VERSION, CL_DEVICE_EXTENSIONS);
}

static void functions_are_found_by_name(void **state)
{
	static const char *const names[] = {
		"clImportMemoryARM",
		"clEnqueueAcquireExternalMemObjectsKHR",
		"clEnqueueReleaseExternalMemObjectsKHR",
	};

	(void)state;
	for (size_t i = 0; i < SHM_TEST_COUNT(names); i++) {
		void *one = clGetExtensionFunctionAddressForPlatform(cl.platform, names[i]);

		assert_non_null(one);
		assert_ptr_equal(one, clGetExtensionFunctionAddress(names[i]));
	}
	assert_null(clGetExtensionFunctionAddressForPlatform(cl.platform, "clImportMemoryARMs"));
	assert_null(clGetExtensionFunctionAddress("clNothing"));
	assert_non_null(
		clGetExtensionFunctionAddressForPlatform(cl.platform, "clCreateCommandBufferKHR"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(extension_names_come_once_each),
		cmocka_unit_test(extension_versions_match_the_names),
		cmocka_unit_test(functions_are_found_by_name),
	};

	open_runtime();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
