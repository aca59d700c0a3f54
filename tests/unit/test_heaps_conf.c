/* SPDX-License-Identifier: BSD-3-Clause */
/* What heaps.conf may say, and which heaps a name or role stands for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shm/device.h>

#include "config.h"
#include "heap_names.h"

#include "shm_test.h"

/* What heaps.conf with this text says of heap:foo, on top of nothing known. */
static int configured(const char *text, struct metal_shm_properties *ret)
{
	char name[] = "/tmp/shm-test-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	int error;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	setenv("LIBSHM_HEAPS_CONF", name, 1);
	memset(ret, 0, sizeof(*ret));
	error = shm__config_heap("foo", ret);
	unsetenv("LIBSHM_HEAPS_CONF");
	unlink(name);
	return error;
}

static void configuration_fills_what_is_unknown(void **state)
{
	struct metal_shm_properties p;

	(void)state;
	assert_int_equal(
		configured("; of the vendor\n"
			   "[heap:foo]\n"
			   "cached = no\ncontiguous=yes\nsecure = no\ncoherent = yes ; sure\n"
			   "zeroed = no",
			   &p),
		0);
	assert_int_equal(p.cached, METAL_SHM_NO);
	assert_int_equal(p.contiguous, METAL_SHM_YES);
	assert_int_equal(p.secure, METAL_SHM_NO);
	assert_int_equal(p.coherent, METAL_SHM_YES);
	assert_int_equal(p.zeroed, METAL_SHM_NO);
	assert_int_equal(p.dmabuf, METAL_SHM_UNKNOWN);
}

static void configuration_of_another_heap_says_nothing(void **state)
{
	struct metal_shm_properties p;

	(void)state;
	assert_int_equal(configured("[heap:fo]\ncached = yes\n[heap:foo2]\ncached = yes\n", &p), 0);
	assert_int_equal(p.cached, METAL_SHM_UNKNOWN);
	assert_int_equal(configured("", &p), 0);
	assert_int_equal(p.cached, METAL_SHM_UNKNOWN);
}

static void refuse_configuration(const char *text, const char *place)
{
	struct metal_shm_properties p;

	assert_int_equal(configured(text, &p), -EINVAL);
	if (!strstr(metal_shm_last_error(), place))
		fail_msg("'%s' in '%s'", place, metal_shm_last_error());
	assert_int_equal(p.cached, METAL_SHM_UNKNOWN);
}

static void mistake_in_the_configuration_is_named_by_line(void **state)
{
	(void)state;
	refuse_configuration("[heap:foo]\ncached = yes\nzeroed = maybe\n", ":3: ");
	refuse_configuration("[heap:foo]\ncached = yes\n\nchached = yes\n", ":4: ");
	refuse_configuration("[heap:foo]\ncached = yes\ncached = no\n", ":3: ");
	refuse_configuration("[heap:foo]\ncached = yes\n[heap:bar\n", ":3: ");
	refuse_configuration("[heap:foo]\ncached = yes\nzeroed\n", ":3: ");
	refuse_configuration("cached = yes\n", ":1: ");
	refuse_configuration("[heaps:foo]\ncached = yes\n", ":2: ");
	refuse_configuration("[heap:]\ncached = yes\n", ":2: ");
	refuse_configuration("[heap:foo]\ncached = yes\nnonsense\nzeroed = maybe\n", ":3: ");
}

static void mistake_about_another_heap_counts_too(void **state)
{
	(void)state;
	refuse_configuration("[heap:foo]\ncached = yes\n[heap:bar]\nzeroed = maybe\n", ":4: ");
}

static void line_that_is_too_long_is_a_mistake(void **state)
{
	char text[600];

	(void)state;
	snprintf(text, sizeof(text), "[heap:foo]\n; %0400d\ncached = yes\n", 0);
	refuse_configuration(text, ":2: ");
	snprintf(text, sizeof(text), "[heap:%060d]\ncached = yes\n", 0);
	refuse_configuration(text, ":2: ");
}

static void configuration_that_is_named_must_be_there(void **state)
{
	struct metal_shm_properties p = { 0 };

	(void)state;
	setenv("LIBSHM_HEAPS_CONF", "/nonexistent/heaps.conf", 1);
	assert_int_equal(shm__config_heap("foo", &p), -EINVAL);
	assert_non_null(strstr(metal_shm_last_error(), "/nonexistent/heaps.conf"));
	setenv("LIBSHM_HEAPS_CONF", "/", 1);
	assert_int_equal(shm__config_heap("foo", &p), -EISDIR);
	unsetenv("LIBSHM_HEAPS_CONF");
}

static void assert_candidates(const char *name, const char *const expected[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_string_equal(shm__heap_candidate(name, i), expected[i]);
	assert_null(shm__heap_candidate(name, n));
}

static void contiguous_role_tries_each_name_of_the_cma_heap(void **state)
{
	static const char *const role[] = { "reserved", "linux,cma", "default_cma_region",
					    "default-pool" };

	(void)state;
	assert_candidates("contiguous", role, 4);
	assert_true(shm__heap_is_contiguous_role("contiguous"));
	assert_true(shm__heap_is_contiguous_role("default-pool"));
}

static void name_of_the_cma_heap_is_tried_before_its_other_names(void **state)
{
	static const char *const names[] = { "linux,cma", "reserved", "linux,cma",
					     "default_cma_region", "default-pool" };

	(void)state;
	assert_candidates("linux,cma", names, 5);
}

static void other_heap_stands_for_itself_alone(void **state)
{
	static const char *const system[] = { "system" }, *const vendor[] = {
		"linux,cma-uncached"
	};

	(void)state;
	assert_candidates("system", system, 1);
	assert_candidates("linux,cma-uncached", vendor, 1);
	assert_false(shm__heap_is_contiguous_role("linux,cma-uncached"));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_fills_what_is_unknown),
		cmocka_unit_test(configuration_of_another_heap_says_nothing),
		cmocka_unit_test(mistake_in_the_configuration_is_named_by_line),
		cmocka_unit_test(mistake_about_another_heap_counts_too),
		cmocka_unit_test(line_that_is_too_long_is_a_mistake),
		cmocka_unit_test(configuration_that_is_named_must_be_there),
		cmocka_unit_test(contiguous_role_tries_each_name_of_the_cma_heap),
		cmocka_unit_test(name_of_the_cma_heap_is_tried_before_its_other_names),
		cmocka_unit_test(other_heap_stands_for_itself_alone),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
