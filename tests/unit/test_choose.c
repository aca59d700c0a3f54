/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing memory: in the order of cost, by trial, with the reason of each refusal. */
#include <errno.h>
#include <string.h>

#include <shm/observe.h>

#include "fake.h"
#include "shm_test.h"

struct bench {
	struct fake_source *scattered, *contiguous;
	struct fake_importer *camera, *gpu;
	struct metal_device *devs[4];
};

static int set_up(void **state)
{
	struct bench *bench = test_calloc(1, sizeof(*bench));

	bench->scattered = fake_source_new("scattered", true);
	bench->contiguous = fake_source_new("contiguous", true);
	bench->contiguous->properties.contiguous = METAL_SHM_YES;
	bench->camera = fake_importer_new("camera", METAL_SHM_ACCESS_CPU_KERNEL);
	bench->gpu = fake_importer_new("gpu", METAL_SHM_ACCESS_CPU_USER);
	bench->devs[0] = bench->scattered->dev;
	bench->devs[1] = bench->contiguous->dev;
	bench->devs[2] = bench->camera->dev;
	bench->devs[3] = bench->gpu->dev;
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	fake_importer_end(bench->camera);
	fake_importer_end(bench->gpu);
	fake_source_end(bench->scattered);
	fake_source_end(bench->contiguous);
	test_free(bench);
	return 0;
}

static void without_devices_the_cheapest_source_serves(void **state)
{
	struct metal_generic_shm *shm = metal_shm_allocate_for(5000, NULL, 0, METAL_SHM_ZEROED);
	char text[256];

	(void)state;
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_string_equal(text, "memory: memfd\n");
	metal_shm_free(shm, NULL);
}

static void the_first_that_really_works_wins(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;
	char text[512];

	bench->camera->trial_wants_contiguous = true;
	shm = metal_shm_allocate_for(5000, bench->devs, 4, 0);
	assert_non_null(shm);
	metal_shm_explain(shm, text, sizeof(text));
	assert_string_equal(text, "memory: contiguous\n"
				  "refused scattered: contiguous chunk is too small\n");
	assert_int_equal(bench->scattered->live, 0);
	assert_int_equal(bench->contiguous->live, 1);
	metal_shm_free(shm, NULL);
}

static void want_of_memory_is_not_want_of_a_source(void **state)
{
	struct bench *bench = *state;

	bench->scattered->fail_allocate = -EIO;
	bench->contiguous->fail_allocate = -ENOMEM;
	assert_null(metal_shm_allocate_for(5000, bench->devs, 4, 0));
	assert_int_equal(errno, ENOMEM);
	assert_string_equal(metal_shm_last_error(),
			    "no memory works with all devices: refused scattered: told to fail;"
			    "refused contiguous: told to fail");
	bench->contiguous->fail_allocate = -EIO;
	assert_null(metal_shm_allocate_for(5000, bench->devs, 4, 0));
	assert_int_equal(errno, ENOTSUP);
	bench->scattered->fail_allocate = bench->contiguous->fail_allocate = 0;
}

static void a_trial_is_remembered(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	bench->camera->trial_wants_contiguous = true;
	for (int i = 0; i < 3; i++) {
		shm = metal_shm_allocate_for(5000, bench->devs, 4, 0);
		assert_non_null(shm);
		metal_shm_free(shm, NULL);
	}
	assert_string_equal(bench->camera->log, "ATDATD");
	assert_string_equal(bench->gpu->log, "ATD");
	assert_int_equal(metal_shm_device_stats(bench->camera->dev, &stats), 0);
	assert_int_equal(stats.trials, 2);
	assert_int_equal(stats.refusals, 1);
	shm = metal_shm_allocate_for(6000, bench->devs, 4, 0);
	assert_string_equal(bench->gpu->log, "ATDATD");
	metal_shm_free(shm, NULL);
}

static void a_buffer_that_is_refused_late_leads_to_the_next_source(void **state)
{
	struct bench *bench = *state;
	struct metal_shm_pool *pool = NULL;
	struct metal_generic_shm *shm;
	char text[512];

	/* the trial and two frames find their pieces side by side */
	bench->camera->lucky = 4;
	assert_int_equal(metal_shm_pool_create(5000, 4, bench->devs, 4, 0, &pool), 0);
	assert_int_equal(bench->scattered->live, 0);
	assert_int_equal(bench->contiguous->live, 4);
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "refused scattered: not in one piece this time\n"));
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static void a_late_refusal_by_the_only_source_is_the_reason(void **state)
{
	struct bench *bench = *state;
	struct metal_device *devs[] = { bench->scattered->dev, bench->camera->dev };
	struct metal_shm_pool *pool = NULL;

	bench->camera->lucky = 4;
	assert_int_equal(metal_shm_pool_create(5000, 4, devs, 2, 0, &pool), -ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(), "not in one piece this time"));
	assert_null(pool);
	assert_int_equal(bench->scattered->live, 0);
}

static void a_passing_failure_is_no_verdict(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;

	bench->camera->fail_trial = -EBUSY;
	assert_null(metal_shm_allocate_for(5000, bench->devs, 4, 0));
	bench->camera->fail_trial = 0;
	shm = metal_shm_allocate_for(5000, bench->devs, 4, 0);
	assert_non_null(shm);
	metal_shm_free(shm, NULL);
}

static void a_requirement_is_checked_before_any_trial(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;

	bench->gpu->constraints.required = METAL_SHM_CONTIGUOUS;
	shm = metal_shm_allocate_for(5000, bench->devs, 4, 0);
	assert_non_null(shm);
	assert_string_equal(bench->scattered->log, "");
	metal_shm_free(shm, NULL);
}

static void when_none_serves_each_is_named_with_its_reason(void **state)
{
	struct bench *bench = *state;

	bench->camera->trial_wants_contiguous = true;
	bench->gpu->constraints.required = METAL_SHM_SECURE;
	bench->contiguous->properties.secure = METAL_SHM_NO;
	assert_null(metal_shm_allocate_for(5000, bench->devs, 4, 0));
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(metal_shm_last_error(),
			       "refused scattered: nothing tells whether scattered's memory is "
			       "secure, and gpu needs METAL_SHM_SECURE;"));
	assert_non_null(strstr(metal_shm_last_error(),
			       "refused contiguous: contiguous's memory is not secure, and gpu "
			       "needs METAL_SHM_SECURE"));
}

static void a_trial_gets_the_size_it_needs(void **state)
{
	struct bench *bench = *state;
	struct metal_generic_shm *shm;

	bench->camera->constraints.trial_size = 100000;
	shm = metal_shm_allocate_for(10, bench->devs, 4, 0);
	assert_non_null(shm);
	assert_int_equal(metal_shm_size(shm), 10);
	metal_shm_free(shm, NULL);
}

static void a_pool_tells_why_too(void **state)
{
	struct bench *bench = *state;
	struct metal_shm_frame frame = { .fourcc = METAL_SHM_FOURCC('X', 'R', '2', '4'),
					 .width = 16,
					 .height = 16 };
	struct metal_generic_shm *shm;
	struct metal_shm_pool *pool;
	char text[512];

	bench->camera->trial_wants_contiguous = true;
	assert_int_equal(metal_shm_frame_negotiate(&frame, bench->devs, 4), 0);
	assert_int_equal(metal_shm_pool_create_frames(&frame, bench->devs, 4, 2, &pool), 0);
	shm = metal_shm_pool_get(pool, 0);
	metal_shm_explain(shm, text, sizeof(text));
	assert_non_null(strstr(text, "memory: contiguous\nrefused scattered: "));
	metal_shm_free(shm, NULL);
	metal_shm_pool_destroy(pool);
}

static void what_cannot_be_chosen_for_is_refused(void **state)
{
	struct bench *bench = *state;
	struct metal_device *bad[] = { NULL };

	assert_null(metal_shm_allocate_for(0, bench->devs, 4, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate_for(1, NULL, 1, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate_for(1, bad, 1, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate_for(1, bench->devs, 65, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(metal_shm_allocate_for(1, NULL, 0, METAL_SHM_SECURE));
	assert_int_equal(errno, ENOTSUP);
	assert_null(metal_shm_allocate_for(SIZE_MAX, NULL, 0, 0));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_devices_the_cheapest_source_serves),
		CASE(the_first_that_really_works_wins),
		CASE(want_of_memory_is_not_want_of_a_source),
		CASE(a_trial_is_remembered),
		CASE(a_buffer_that_is_refused_late_leads_to_the_next_source),
		CASE(a_late_refusal_by_the_only_source_is_the_reason),
		CASE(a_passing_failure_is_no_verdict),
		CASE(a_requirement_is_checked_before_any_trial),
		CASE(when_none_serves_each_is_named_with_its_reason),
		CASE(a_trial_gets_the_size_it_needs),
		CASE(a_pool_tells_why_too),
		CASE(what_cannot_be_chosen_for_is_refused),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
