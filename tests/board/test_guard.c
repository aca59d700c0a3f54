/* SPDX-License-Identifier: BSD-3-Clause */
/* Guard mode on the kernel's memories, whose mappings are other than a file's. */
#include <signal.h>

#include "guard_fixture.h"

#define SOURCES 3

static const char *const sources[SOURCES] = { "heap:system", "heap:contiguous", "udmabuf" };

/* In a scene cmocka isn't there. */
static void start_on(const char *name, enum metal_shm_access access)
{
	struct metal_generic_shm *shm = NULL;

	if (!metal_shm_device_open(name, &g.source))
		shm = metal_shm_allocate(PAGES * (size_t)sysconf(_SC_PAGESIZE), g.source, 0);
	if (!shm) {
		fprintf(stderr, "%s\n", metal_shm_last_error());
		abort();
	}
	start_with(shm, access, true);
}

static void bytes_of_each_source_are_closed_and_opened(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		start_on(sources[i], METAL_SHM_ACCESS_DMA);
		give(g.shm, g.one, DEV_RW);
		assert_false(may_read(0) || may_read(g.size - 1));
		assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
		assert_true(may_write(0) && may_write(g.size - 1));
		give(g.shm, g.one, DEV_R);
		assert_true(may_read(0));
		assert_false(may_write(0));
		assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_RW), 0);
		assert_int_equal(g.bytes[1], 0x11);
		end_all();
	}
}

static void one_page_of_each_source_is_closed_alone(void **state)
{
	struct metal_generic_shm *part;

	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		start_on(sources[i], METAL_SHM_ACCESS_CPU_USER);
		part = metal_shm_sub(g.shm, g.page, g.page, 0);
		assert_non_null(metal_shm_attach(part, g.one->dev));
		give(part, g.one, DEV_W);
		assert_true(may_write(g.page - 1) && may_write(2 * g.page));
		assert_false(may_read(g.page) || may_read(2 * g.page - 1));
		metal_shm_detach(metal_shm_view(part, g.one->dev), g.one->dev);
		assert_true(may_write(g.page));
		metal_shm_free(part, NULL);
		end_all();
	}
}

static void what_a_device_wrote_is_closed_to_readers_until_it_is_taken_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		start_on(sources[i], METAL_SHM_ACCESS_DMA);
		give(g.shm, g.one, DEV_W);
		give(g.shm, g.two, DEV_R);
		assert_false(may_read(0));
		assert_int_equal(metal_shm_sync_for_cpu(g.shm, DEV_W), 0);
		assert_true(may_read(0));
		assert_false(may_write(0));
		end_all();
	}
}

static void touch(const char *name)
{
	start_on(name, METAL_SHM_ACCESS_DMA);
	give(g.shm, g.one, DEV_W);
	g.bytes[g.page + 3] = 1;
}

static void a_stray_access_to_each_source_is_told(void **state)
{
	char text[160];

	(void)state;
	for (size_t i = 0; i < SOURCES; i++) {
		struct end end = play(sources[i], false);

		assert_died(&end);
		snprintf(text, sizeof(text), "libshm: stray access to a buffer of %s (",
			 sources[i]);
		assert_said(&end, text);
		assert_said(&end, ": one has bytes 0 to ");
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_each_source_are_closed_and_opened),
		cmocka_unit_test(one_page_of_each_source_is_closed_alone),
		cmocka_unit_test(what_a_device_wrote_is_closed_to_readers_until_it_is_taken_back),
		cmocka_unit_test(a_stray_access_to_each_source_is_told),
	};

	if (argc == 3 && !strcmp(argv[1], "--scene")) {
		touch(argv[2]);
		return 98;
	}
	fake_warm_up();
	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
