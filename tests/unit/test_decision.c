/* SPDX-License-Identifier: BSD-3-Clause */
/* The decision of what a hand-over needs, over every combination of what it looks at. */
#include "core.h"
#include "shm_test.h"

struct one {
	struct shm__coherence now;
	unsigned taker;
	enum metal_shm_dir dir;
	bool coherent;
	struct shm__plan plan;
};

static const unsigned takers[] = {
	METAL_SHM_ACCESS_UNKNOWN,  METAL_SHM_ACCESS_DMA, METAL_SHM_ACCESS_CPU_KERNEL,
	METAL_SHM_ACCESS_CPU_USER, SHM__PROGRAM,
};

static bool is_cpu(unsigned taker)
{
	return taker != METAL_SHM_ACCESS_UNKNOWN && taker != METAL_SHM_ACCESS_DMA;
}

static void over_all(void (*check)(const struct one *one))
{
	unsigned seen = 0;

	for (unsigned bits = 0; bits < 16; bits++) {
		for (size_t t = 0; t < 5; t++) {
			for (unsigned dir = 1; dir < 4; dir++) {
				struct one one = {
					.now = { bits & 1, (bits & 2) != 0, (bits & 4) != 0 },
					.taker = takers[t],
					.dir = (enum metal_shm_dir)dir,
					.coherent = (bits & 8) != 0,
				};

				if (one.now.cpu_dirty && one.now.device_dirty)
					continue;
				one.plan = shm__decide(one.now, one.taker, one.dir, one.coherent);
				check(&one);
				seen++;
			}
		}
	}
	assert_int_equal(seen, 2 * 2 * 3 * 5 * 3);
}

static void check_never_both(const struct one *one)
{
	if (!one->coherent)
		assert_false(one->plan.after.cpu_dirty && one->plan.after.device_dirty);
}

static void a_cpus_and_a_devices_bytes_are_never_both_dirty(void **state)
{
	(void)state;
	over_all(check_never_both);
}

static void check_no_destruction(const struct one *one)
{
	if (one->now.cpu_dirty)
		assert_false(one->plan.start & METAL_SHM_DIR_DEV_W);
	if (one->now.device_dirty && one->plan.end)
		assert_true(one->plan.start & METAL_SHM_DIR_DEV_W);
}

static void no_operation_destroys_anybodys_bytes(void **state)
{
	(void)state;
	over_all(check_no_destruction);
}

static void check_cpu_sees(const struct one *one)
{
	if (one->coherent || !is_cpu(one->taker))
		return;
	assert_int_equal(!!(one->plan.start & METAL_SHM_DIR_DEV_W), one->now.device_dirty);
	assert_int_equal(one->plan.end, 0);
	assert_false(one->plan.after.device_dirty);
}

static void a_cpu_sees_what_a_device_wrote_and_pays_only_then(void **state)
{
	(void)state;
	over_all(check_cpu_sees);
}

static void check_device_sees(const struct one *one)
{
	if (one->coherent || one->taker != METAL_SHM_ACCESS_DMA)
		return;
	assert_int_equal(!!(one->plan.end & METAL_SHM_DIR_DEV_R), one->now.cpu_dirty);
	assert_false(one->plan.after.cpu_dirty);
	if (!one->now.cpu_dirty)
		assert_int_equal(one->plan.start, 0);
}

static void a_device_sees_what_a_cpu_wrote_and_pays_only_then(void **state)
{
	(void)state;
	over_all(check_device_sees);
}

static void check_end_after_start(const struct one *one)
{
	if (one->plan.end && !one->now.started)
		assert_true(one->plan.start != 0);
	if (one->plan.start || one->plan.end)
		assert_true(one->plan.after.started);
}

static void no_end_comes_before_any_start(void **state)
{
	(void)state;
	over_all(check_end_after_start);
}

static void check_unknown(const struct one *one)
{
	if (one->coherent || one->taker != METAL_SHM_ACCESS_UNKNOWN)
		return;
	assert_true(one->plan.end & METAL_SHM_DIR_DEV_R);
	assert_int_equal(!!(one->plan.start & METAL_SHM_DIR_DEV_W), one->now.device_dirty);
}

static void nothing_is_elided_for_an_unknown_device(void **state)
{
	(void)state;
	over_all(check_unknown);
}

static void check_writer_dirties(const struct one *one)
{
	bool writes = one->dir & METAL_SHM_DIR_DEV_W;

	if (one->coherent)
		return;
	if (is_cpu(one->taker))
		assert_int_equal(one->plan.after.cpu_dirty, writes || one->now.cpu_dirty);
	else if (one->taker == METAL_SHM_ACCESS_DMA)
		assert_int_equal(one->plan.after.device_dirty, writes || one->now.device_dirty);
	else
		assert_int_equal(one->plan.after.device_dirty, writes);
}

static void writing_dirties_the_writers_side(void **state)
{
	(void)state;
	over_all(check_writer_dirties);
}

static void check_coherent(const struct one *one)
{
	if (one->coherent)
		assert_true(!one->plan.start && !one->plan.end);
}

static void coherent_memory_needs_nothing(void **state)
{
	(void)state;
	over_all(check_coherent);
}

static void check_end_direction(const struct one *one)
{
	if (one->plan.end)
		assert_int_equal(!!(one->plan.end & METAL_SHM_DIR_DEV_W),
				 !!(one->dir & METAL_SHM_DIR_DEV_W));
}

static void an_end_names_what_the_device_will_do(void **state)
{
	(void)state;
	over_all(check_end_direction);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpus_and_a_devices_bytes_are_never_both_dirty),
		cmocka_unit_test(no_operation_destroys_anybodys_bytes),
		cmocka_unit_test(a_cpu_sees_what_a_device_wrote_and_pays_only_then),
		cmocka_unit_test(a_device_sees_what_a_cpu_wrote_and_pays_only_then),
		cmocka_unit_test(no_end_comes_before_any_start),
		cmocka_unit_test(nothing_is_elided_for_an_unknown_device),
		cmocka_unit_test(writing_dirties_the_writers_side),
		cmocka_unit_test(coherent_memory_needs_nothing),
		cmocka_unit_test(an_end_names_what_the_device_will_do),
	};

	return shm_test_main(argc, argv, tests, SHM_TEST_COUNT(tests));
}
